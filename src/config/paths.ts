/**
 * Paths of the files in this package. The build bundles modules into files of dist/, so a module cannot find
 * other files relative to itself: the root is the first folder above that has a package.json.
 */
import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative, sep } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const here = fileURLToPath(import.meta.url);
const root = rootAbove(dirname(here));
/** `dist` in a build, `src` if Node.js runs the sources. */
const [code = 'dist'] = relative(root, here).split(sep);
const script = here.endsWith('.ts') ? '.ts' : '.cjs';

export const PACKAGE_FILE = inRoot('package.json');
/** The same contract in both forms, made by `npm run generate`. */
export const CONTRACT_FILES = { yaml: inRoot('openapi.yaml'), json: inRoot('openapi.json') } as const;
/** The files of the web page, made by the build. */
export const PAGE_FOLDER = inRoot('dist/page/');
export const EMBEDDED_MODEL = inRoot('models/haiku');
export const CLI_ENTRY = inRoot(`${code}/cli${here.endsWith('.ts') ? '.ts' : '.js'}`);
export const ENGINE_ENTRY = inRoot(`${code}/engine/process${script}`);
export const TOKENIZER_THREAD_ENTRY = inRoot(`${code}/text/thread/tokenizer-thread${script}`);
export const GRAMMAR_THREAD_ENTRY = inRoot(`${code}/text/grammar/grammar-thread${script}`);
export const WATCHDOG_THREAD_ENTRY = inRoot(`${code}/lifecycle/watchdog-thread${script}`);

/**
 * Folder in which the engines of this user reserve memory; undefined on systems without user ids. In the
 * folder for temporary files, because XDG_RUNTIME_DIR exists in login sessions only: a service and a shell of
 * one user would have different folders.
 */
export function reservationsFolder(): string | undefined {
  const user = process.getuid?.();
  return user === undefined ? undefined : join(tmpdir(), `rbees-workerd-${user}`);
}

/**
 * Folder for converted weights that one engine uses alone: the folder of saved weights cannot be written, or
 * is switched off.
 */
export function convertedFolder(): string {
  return join(reservationsFolder() ?? join(tmpdir(), 'rbees-workerd'), 'converted');
}

/** Folder with one file for each worker of this user, by which `ps` finds them; undefined as above. */
export function workersFolder(): string | undefined {
  const parent = reservationsFolder();
  return parent === undefined ? undefined : join(parent, 'workers');
}

function inRoot(path: string): URL {
  return pathToFileURL(join(root, path));
}

/** @throws Error if no folder above has a package.json: the installation is broken. */
function rootAbove(folder: string): string {
  if (existsSync(join(folder, 'package.json'))) return folder;
  const above = dirname(folder);
  if (above === folder)
    throw new Error(
      `No package.json in the folders above ${here}: the installation of rbees-workerd is incomplete; install it again`,
    );
  return rootAbove(above);
}

/**
 * Where the package's own files lie. The build bundles modules into files of dist/ itself, so the root is found by its package.json and no
 * module counts folders from its own place.
 */
import { existsSync } from 'node:fs';
import { dirname, extname, join, relative, sep } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const here = fileURLToPath(import.meta.url);
const root = rootAbove(dirname(here));
/** `dist` when built, `src` where Node runs the sources. */
const [code = 'dist'] = relative(root, here).split(sep);
const script = extname(here);

export const PACKAGE_FILE = inRoot('package.json');
export const CONTRACT_FILE = inRoot('openapi.yaml');
export const EMBEDDED_MODEL = inRoot('models/haiku');
export const ENGINE_ENTRY = inRoot(`${code}/engine/process${script}`);
export const TOKENIZER_THREAD_ENTRY = inRoot(`${code}/text/tokenizer/tokenizer-thread${script}`);

function inRoot(path: string): URL {
  return pathToFileURL(join(root, path));
}

/** @throws Error when no folder above has a package.json: the installation is broken. */
function rootAbove(folder: string): string {
  if (existsSync(join(folder, 'package.json'))) return folder;
  const above = dirname(folder);
  if (above === folder)
    throw new Error(`No package.json above ${here}: the installation of rbees-workerd is incomplete`);
  return rootAbove(above);
}

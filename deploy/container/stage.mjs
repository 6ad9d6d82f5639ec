// @ts-check
/**
 * Copies the files that a worker needs at run time into an empty folder, for a container image:
 *
 *   node deploy/container/stage.mjs <folder>              a root file system for an image FROM scratch
 *   node deploy/container/stage.mjs <folder> --app-only   without the C libraries, for an image with a base
 *
 * `<folder>/root` becomes `/`, and `<folder>/cache` becomes the folder of the user 65532 for models and saved
 * weights. The checkout must be built (node scripts/prepare.mjs). Linux only.
 */
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  realpathSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const CHECKOUT = fileURLToPath(new URL('../..', import.meta.url));
const PLATFORM = `${process.platform}-${process.arch}`;
/** The files of the checkout that a worker reads. dist/ has all packages but the ones with native code. */
const FILES = ['package.json', 'LICENSE', 'openapi.json', 'openapi.yaml', 'models', 'dist'];
/**
 * Not copied: maps and types are for developers; the worker uses the library of onnxruntime-node without its
 * JavaScript and binding, and without the provider of TensorRT; the libraries of musl are for other systems.
 */
const UNUSED = /\.(?:map|d\.ts|built|cc|hh|inc|def|S|asm)$|onnxruntime_binding|providers_tensorrt|musl_/;
/** Users and names: Node.js asks for the name of its user, and the C library for the name of this machine. */
const ETC = {
  passwd: 'root:x:0:0:root:/:/sbin/nologin\nworker:x:65532:65532:worker:/var/cache/rbees-workerd:/sbin/nologin\n',
  group: 'root:x:0:\nworker:x:65532:\n',
  'nsswitch.conf': 'hosts: files dns\n',
};

const [folder, option] = process.argv.slice(2);
if (folder === undefined || (option !== undefined && option !== '--app-only'))
  fail('Usage: node deploy/container/stage.mjs <folder> [--app-only]');
if (process.platform !== 'linux') fail(`An image has the files of Linux; this is ${process.platform}.`);
if (!existsSync(join(CHECKOUT, 'dist', 'cli.js'))) fail('dist/cli.js is missing: run node scripts/prepare.mjs first.');

const root = join(folder, 'root');
const app = join(root, 'app');
for (const name of FILES) copy(join(CHECKOUT, name), join(app, name));
for (const [from, to] of packages()) copy(from, join(app, 'node_modules', to));
copy(join(CHECKOUT, 'deploy', 'container', 'healthcheck.cjs'), join(app, 'healthcheck.cjs'));
copy(realpathSync(process.execPath), join(root, 'usr', 'bin', 'node'));
mkdirSync(join(folder, 'cache'), { recursive: true });
if (option === undefined) system();

/**
 * The native packages, without the files of other platforms.
 * @returns {[from: string, to: string][]}
 */
function packages() {
  const runtime = join('onnxruntime-node', 'bin');
  const api = readdirSync(join(CHECKOUT, 'node_modules', runtime)).find((name) => name.startsWith('napi-'));
  const library = join(runtime, api ?? fail(`${runtime} has no library.`), process.platform, process.arch);
  const koffi = ['index.js', 'index.cjs', 'package.json', 'LICENSE.txt'].map((name) => join('koffi', name));
  const names = [
    ...koffi,
    ...['lib', 'src'].map((name) => join('koffi', name)),
    join('@koromix', `koffi-${PLATFORM}`),
    join('onnxruntime-node', 'package.json'),
    library,
  ];
  return names
    .map((name) => /** @type {[string, string]} */ ([join(CHECKOUT, 'node_modules', name), name]))
    .filter(([from]) => existsSync(from));
}

/** The C libraries of Node.js and of the native packages, the folders, and the names of the users. */
function system() {
  const native = readdirSync(app, { recursive: true, encoding: 'utf8' }).filter((name) =>
    /\.node$|\.so(?:\.\d+)*$/.test(name),
  );
  const programs = [process.execPath, ...native.map((name) => join(app, name))];
  for (const library of new Set(programs.flatMap(librariesOf))) copyFile(realpathSync(library), join(root, library));
  for (const [name, text] of Object.entries(ETC)) {
    mkdirSync(join(root, 'etc'), { recursive: true });
    writeFileSync(join(root, 'etc', name), text);
  }
  mkdirSync(join(root, 'tmp'));
  chmodSync(join(root, 'tmp'), 0o1777);
}

/**
 * The paths of the libraries that a program loads, with the loader itself.
 * @param {string} program
 */
function librariesOf(program) {
  const text = execFileSync('ldd', [program], { encoding: 'utf8' });
  return [...text.matchAll(/(?:=> )?(\/\S+) \(0x/g)].map(([, path = '']) => path);
}

/**
 * @param {string} from
 * @param {string} to
 */
function copy(from, to) {
  mkdirSync(dirname(to), { recursive: true });
  cpSync(from, to, { recursive: true, dereference: true, filter: (path) => !UNUSED.test(path) });
}

/**
 * @param {string} from
 * @param {string} to
 */
function copyFile(from, to) {
  mkdirSync(dirname(to), { recursive: true });
  copyFileSync(from, to);
}

/**
 * @param {string} text
 * @returns {never}
 */
function fail(text) {
  process.stderr.write(`${text}\n`);
  process.exit(1);
}

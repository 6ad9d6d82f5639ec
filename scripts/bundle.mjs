// @ts-check
/**
 * Bundles the entries of a build with their packages into CommonJS scripts, and writes the small files that
 * start them. Without bundles a worker spends most of its start-up on finding and reading some 400 small files
 * (docs/decisions/0005-bundled-entries.md). The scripts are CommonJS because only then V8 can load compiled
 * code in every supported version of Node.js (docs/decisions/0022-cheap-workers.md). Benches and tests use the
 * modules beside the entries.
 *
 *   node scripts/bundle.mjs <folder of the build>
 */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, dirname, join, relative, resolve } from 'node:path';
import { rolldown } from 'rolldown';
import { startPlugin } from './bundle-plugin.mjs';

const folder = resolve(process.argv[2] ?? 'dist');
const scripts = join(folder, 'bundle');
/** Native code that finds files by its own path, and a package of which only the path is needed. */
const EXTERNAL = ['koffi', 'onnxruntime-node'];

/**
 * The entries. `writeAfterMs`: a process writes its code cache when it exits; a thread cannot, because it is
 * ended.
 * @type {Readonly<Record<string, { module: string, start: string, writeAfterMs: number }>>}
 */
const ENTRIES = {
  cli: { module: 'cli.js', start: 'cli.js', writeAfterMs: 60_000 },
  engine: { module: 'engine/process.js', start: 'engine/process.cjs', writeAfterMs: 60_000 },
  'tokenizer-thread': {
    module: 'text/thread/tokenizer-thread.js',
    start: 'text/thread/tokenizer-thread.cjs',
    writeAfterMs: 500,
  },
  'grammar-thread': {
    module: 'text/grammar/grammar-thread.js',
    start: 'text/grammar/grammar-thread.cjs',
    writeAfterMs: 500,
  },
};

const modules = Object.fromEntries(Object.entries(ENTRIES).map(([name, { module }]) => [name, join(folder, module)]));
const head = readFileSync(join(folder, 'cli.js'), 'utf8').split('*/')[0];
const chunks = await bundle(modules, '[name]-[hash].cjs');
for (const name of readdirSync(scripts)) wrap(join(scripts, name));
await bundle({ loader: join(folder, 'config', 'bundle', 'loader.js') }, '[name].cjs');
// So small that reading its compiled code would take longer than compiling it.
await bundle(
  { 'watchdog-thread': join(folder, 'lifecycle', 'watchdog-thread.js') },
  '[name].cjs',
  join(folder, 'lifecycle'),
);
for (const [name, entry] of Object.entries(ENTRIES)) writeStart(name, entry);
await bundleForBrowsers();

/**
 * @param {Record<string, string>} input
 * @param {string} entryFileNames
 */
async function bundle(input, entryFileNames, dir = scripts) {
  const build = await rolldown({
    input,
    // The comments of a bundle name its modules: below the build, whose name has a process id.
    cwd: folder,
    external: EXTERNAL,
    platform: 'node',
    treeshake: true,
    plugins: [startPlugin()],
  });
  const { output } = await build.write({
    dir,
    format: 'cjs',
    entryFileNames,
    chunkFileNames: (chunk) => `${basename(chunk.name)}-[hash].cjs`,
    comments: false,
  });
  await build.close();
  return output.filter((file) => file.type === 'chunk');
}

/** Writes the client as one module without imports, for a `<script type="module">`. */
async function bundleForBrowsers() {
  const build = await rolldown({
    input: join(folder, 'client', 'client.js'),
    cwd: folder,
    platform: 'browser',
    treeshake: true,
  });
  await build.write({ file: join(folder, 'client', 'browser.js'), format: 'esm', minify: true, comments: false });
  await build.close();
}

/**
 * Wraps a script in the function that the loader calls. Escapes all characters that are not ASCII: one of them
 * would double the memory of the whole text.
 * @param {string} file
 */
function wrap(file) {
  const text = readFileSync(file, 'utf8').replace(/^#!.*/, '');
  const ascii = text.replace(/[^\0-\x7f]/g, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`);
  writeFileSync(file, `(function (exports, require, module, __filename, __dirname) { 'use strict'; ${ascii}\n})`);
}

/**
 * Writes the file that starts an entry.
 * @param {string} name
 * @param {typeof ENTRIES[string]} entry
 */
function writeStart(name, { start, writeAfterMs }) {
  const file = join(folder, start);
  const path = relative(dirname(file), join(scripts, 'loader.cjs')).replaceAll('\\', '/');
  const loader = path.startsWith('.') ? path : `./${path}`;
  const options = JSON.stringify({ name, script: scriptOf(name), writeAfterMs });
  const run = `require('${loader}').runEntry(${options});\n`;
  mkdirSync(dirname(file), { recursive: true });
  if (start.endsWith('.cjs')) writeFileSync(file, run);
  else
    writeFileSync(
      file,
      `${head}*/\nconst require = process.getBuiltinModule('node:module').createRequire(import.meta.url);\n${run}`,
    );
}

/** @param {string} name */
function scriptOf(name) {
  const chunk = chunks.find((one) => one.name === name);
  if (!chunk) throw new Error(`The build has no script ${name}.`);
  return chunk.fileName;
}

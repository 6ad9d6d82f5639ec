// @ts-check
/**
 * Runs a TypeScript file of this repository: makes the checkout ready, bundles the file into build/ (Node 20
 * does not run TypeScript) and imports it. The bundle is as deep in the tree as its source, so that paths
 * relative to `import.meta.url` stay valid.
 *
 *   node scripts/run.mjs <file.ts> [arguments…]
 */
import { extname, isAbsolute, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import './prepare.mjs';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
/** Entries that a script starts as processes: bundled together with the script. */
const BESIDE = { 'test/soak/run.ts': ['test/soak/attackers.ts', 'test/soak/probe.ts', 'test/soak/streams.ts'] };

const [, , source = '', ...rest] = process.argv;
/** @param {string} file */
const outputOf = (file) => file.replace(/^[^/]+\//, '').slice(0, -extname(file).length);

const { rolldown } = await import('rolldown');
const sources = [source, ...(BESIDE[/** @type {keyof typeof BESIDE} */ (source)] ?? [])];
const bundle = await rolldown({
  input: Object.fromEntries(sources.map((file) => [outputOf(file), join(ROOT, file)])),
  // Packages are imported, not bundled.
  external: (id) => !(id.startsWith('.') || isAbsolute(id)),
  platform: 'node',
});
await bundle.write({
  dir: join(ROOT, 'build'),
  format: 'esm',
  entryFileNames: '[name].mjs',
  chunkFileNames: `${outputOf(source)}-[name]-[hash].mjs`,
});
await bundle.close();

const script = join(ROOT, 'build', `${outputOf(source)}.mjs`);
process.argv = [process.argv[0] ?? 'node', script, ...rest];
await import(pathToFileURL(script).href);

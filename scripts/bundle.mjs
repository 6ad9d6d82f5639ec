// @ts-check
/**
 * Bundles the entries of a build with their packages, in place. Without bundles a worker spends most of
 * its start-up on finding and reading some 400 small files (docs/decisions/0005-bundled-entries.md). Benches
 * and tests use the modules beside the entries.
 *
 *   node scripts/bundle.mjs <folder of the build>
 */
import { basename, join, resolve } from 'node:path';
import { rolldown } from 'rolldown';

const folder = resolve(process.argv[2] ?? 'dist');
const ENTRIES = ['cli', 'engine/process', 'text/thread/tokenizer-thread', 'lifecycle/watchdog-thread'];
/** Native code that finds files by its own path, and a package of which only the path is needed. */
const EXTERNAL = ['koffi', 'onnxruntime-node'];

const bundle = await rolldown({
  input: Object.fromEntries(ENTRIES.map((entry) => [entry, join(folder, `${entry}.js`)])),
  external: EXTERNAL,
  platform: 'node',
  treeshake: true,
});
await bundle.write({
  dir: folder,
  format: 'esm',
  entryFileNames: '[name].js',
  chunkFileNames: (chunk) => `chunk-${basename(chunk.name)}-[hash].js`,
});
await bundle.close();

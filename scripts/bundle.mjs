/**
 * Bundles the three entries of a build with their packages, in place: a worker is spawned by the hundred, and most of its start-up was
 * Node finding and reading some 400 small files (docs/decisions/0005-bundled-entries.md). The modules beside the entries stay for scripts, benches and tests.
 *
 *   node scripts/bundle.mjs <folder of the build>
 */
import { basename, join, resolve } from 'node:path';
import { rolldown } from 'rolldown';

const folder = resolve(process.argv[2] ?? 'dist');
const ENTRIES = ['cli', 'engine/process', 'text/tokenizer/tokenizer-thread'];
/** Native code beside its own JavaScript, and a package that is only looked up. */
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

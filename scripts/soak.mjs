/**
 * The soak: bundles what lies in test/soak (TypeScript, which this Node does not run by itself) and runs it.
 *
 *   npm run soak [-- --requests n] [--minutes n] [--malformed n] [--seed n]
 */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { rolldown } from 'rolldown';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const ENTRIES = ['run', 'probe', 'streams'];
/** As deep as the sources: they count from where they lie. */
const OUT = join(ROOT, 'build', 'soak');

const bundle = await rolldown({
  input: Object.fromEntries(ENTRIES.map((entry) => [entry, join(ROOT, 'test', 'soak', `${entry}.ts`)])),
  external: ['koffi'],
  platform: 'node',
});
await bundle.write({ dir: OUT, format: 'esm', entryFileNames: '[name].mjs', chunkFileNames: '[name].mjs' });
await bundle.close();
const { status } = spawnSync(process.execPath, [join(OUT, 'run.mjs'), ...process.argv.slice(2)], { stdio: 'inherit' });
process.exit(status ?? 1);

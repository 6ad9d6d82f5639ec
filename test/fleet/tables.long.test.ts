/** docs/scale.md has the tables that the simulation prints: equal seeds give equal tables on every machine. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
/** All but `policies`, which takes a minute: `highest` runs the same policies. */
const PARTS = ['oneWorker', 'highest', 'routers', 'losses', 'storms'];

test('the tables of bench/fleet.ts are those of docs/scale.md', { timeout: 600_000 }, () => {
  const command = [join(ROOT, 'scripts/run.mjs'), 'bench/fleet.ts', ...PARTS];
  const options = { cwd: ROOT, encoding: 'utf8', stdio: 'pipe' } as const;
  const lines = execFileSync(process.execPath, command, options)
    .split('\n')
    .filter((line) => line.startsWith('|'));
  const page = new Set(readFileSync(join(ROOT, 'docs/scale.md'), 'utf8').split('\n'));
  expect(lines.filter((line) => !page.has(line))).toEqual([]);
  expect(lines.length).toBeGreaterThan(60);
});

/** V8 gets a flag for its collections only where it knows the flag. */
import { execFileSync, spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { setFlagsFromString } from 'node:v8';
import { beforeEach, expect, test, vi } from 'vitest';
import { COLLECT_AFTER_MS, collectAfterStart } from '../../../src/config/bundle/collections.ts';

vi.mock('node:v8', () => ({ setFlagsFromString: vi.fn() }));
beforeEach(() => vi.mocked(setFlagsFromString).mockClear());

const BUILT = fileURLToPath(new URL('../../../dist/config/bundle/collections.js', import.meta.url));

test.each(['20.19.0', '22.12.0', '24.0.0'])('Node.js %s gets it', (version) => {
  collectAfterStart(version);
  expect(vi.mocked(setFlagsFromString).mock.calls).toEqual([
    [`--gc-memory-reducer-start-delay-ms=${COLLECT_AFTER_MS}`],
  ]);
});

test.each(['18.20.0', '26.0.0'])('Node.js %s, in which nobody has tried it, does not', (version) => {
  collectAfterStart(version);
  expect(setFlagsFromString).not.toHaveBeenCalled();
});

test('this version of Node.js knows it: V8 prints no error', () => {
  const flags = execFileSync(process.execPath, ['--v8-options'], { encoding: 'utf8' });
  expect(flags).toContain('--gc-memory-reducer-start-delay-ms');
  const { stderr, status } = spawnSync(
    process.execPath,
    ['--input-type=module', '-e', `(await import(${JSON.stringify(BUILT)})).collectAfterStart()`],
    { encoding: 'utf8' },
  );
  expect({ stderr, status }).toEqual({ stderr: '', status: 0 });
});

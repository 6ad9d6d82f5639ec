/** Ten tokens in a separate engine process, which works, hangs, refuses the model or fails. */
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import type { DeviceName } from '../../../src/protocol/devices.ts';
import { options } from '../../engine/harness.ts';

const DIST = new URL('../../../dist/commands/doctor/smoke-test.js', import.meta.url).href;
/** Imported from the build, which contains the script of the engine process. */
const { generateTen } = (await import(DIST)) as typeof import('../../../src/commands/doctor/smoke-test.ts');
const PLAYED = fileURLToPath(new URL('../../support/played-gpu.cjs', import.meta.url));

const on = (device: DeviceName) => ({
  ...options,
  slots: 1,
  candidates: options.candidates.map((candidate) => ({ ...candidate, device })),
});

test('generates ten tokens', async () => {
  const run = await generateTen(on('cpu'), [0, 17, 42], {});
  expect(run).toMatchObject({ outcome: 'ran', deviceBytes: 0 });
  expect(run.ids).toHaveLength(10);
});

test('ends the process of a device that hangs, after the timeout', { timeout: 60_000 }, async () => {
  const run = await generateTen(on('webgpu'), [0], { NODE_OPTIONS: `--require ${PLAYED}`, PLAYED: 'hang' }, 3000);
  expect(run).toEqual({
    outcome: 'lost',
    ids: [],
    problem: 'the engine ended (the model was not open within 3000 ms)',
  });
});

test('reports why a device refuses, as a sentence and as a reason', async () => {
  // No machine has a hundred cards.
  expect(await generateTen(on('cuda-99'), [0], {})).toMatchObject({
    outcome: 'refused',
    problem: expect.stringMatching(/^cuda-99 cannot be used: ./),
    reason: { code: expect.stringMatching(/^(no_driver|driver_fault|no_gpu_for_process|index_out_of_range)$/) },
  });
});

test('reports a failed run for a prompt outside of the vocabulary', async () => {
  expect(await generateTen(on('cpu'), [1_000_000], {})).toMatchObject({ outcome: 'failed', ids: [] });
});

/** Ten tokens in an engine process of their own: what becomes of one that does not answer, and of one that breaks. */
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { options } from '../../engine/harness.ts';

const DIST = new URL('../../../dist/commands/doctor/smoke-test.js', import.meta.url).href;
/** From the build, since it starts the engine's script beside it. */
const { drawTen } = (await import(DIST)) as typeof import('../../../src/commands/doctor/smoke-test.ts');
const PLAYED = fileURLToPath(new URL('../../support/played-gpu.cjs', import.meta.url));

const on = (device: string) => ({
  ...options,
  slots: 1,
  candidates: options.candidates.map((candidate) => ({ ...candidate, device })),
});

test('ten tokens are drawn', async () => {
  const run = await drawTen(on('cpu'), [0, 17, 42], {});
  expect(run).toMatchObject({ outcome: 'ran', deviceBytes: 0 });
  expect(run.ids).toHaveLength(10);
});

test('a device that hangs is left after its time', { timeout: 60_000 }, async () => {
  const run = await drawTen(on('webgpu'), [0], { NODE_OPTIONS: `--require ${PLAYED}`, PLAYED: 'hang' }, 3000);
  expect(run).toEqual({
    outcome: 'lost',
    ids: [],
    problem: 'the engine ended (the model was not open within 3000 ms)',
  });
});

test('a device that refuses says why', async () => {
  expect(await drawTen(on('abacus'), [0], {})).toMatchObject({
    outcome: 'refused',
    problem: expect.stringContaining('Unknown device abacus'),
  });
});

test('a prompt that the model cannot take is a run that failed', async () => {
  expect(await drawTen(on('cpu'), [1_000_000], {})).toMatchObject({ outcome: 'failed', ids: [] });
});

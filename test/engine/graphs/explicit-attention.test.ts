/**
 * Attention in elementary operators computes what GroupQueryAttention computes on the CPU: with a cap of the
 * scores, a window, groups of query heads, padded heads, in chunks, and in several rows together.
 */
import { mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { deviceNamed } from '../../../src/engine/devices/registry.ts';
import { loadOrt } from '../../../src/engine/ort/api.ts';
import { modelOf } from '../../../src/engine/ort/built-model.ts';
import { Session } from '../../../src/engine/ort/session.ts';
import { CHOICES } from '../../../src/graph-builder/choices.ts';
import { parseModel } from '../../../src/onnx/graph.ts';
import { ignoredBy } from '../../../src/protocol/devices.ts';
import type { Candidate } from '../../../src/protocol/loading.ts';
import { readable } from '../../support/checkpoints/candidate.ts';
import { type RandomShape, writeRandomDecoder } from '../../support/random-decoder.ts';
import { Bench, prompt, runtimeLibrary } from '../harness.ts';

const CONTEXT = 96;
const folder = realpathSync(mkdtempSync(join(tmpdir(), 'explicit-')));
afterAll(() => rmSync(folder, { recursive: true }));

const { ignores } = CHOICES.cpu;
const ignoreAsWebGpu = (): unknown => Object.assign(CHOICES.cpu, { ignores: ignoredBy('webgpu', true) });
const ignoreNothing = (): unknown => Object.assign(CHOICES.cpu, { ignores });
afterEach(ignoreNothing);

const operators = (candidate: Candidate): string[] => {
  const { edited } = modelOf(readable(candidate), 'cpu', { names: {}, context: CONTEXT });
  return parseModel(edited?.bytes ?? new Uint8Array())?.graph.nodes.map(({ operator }) => operator) ?? [];
};

/** Logits of the last position after each chunk of a row. */
function logitsInChunks(candidate: Candidate, ids: readonly number[], chunk: number): number[] {
  const model = modelOf(readable(candidate), 'cpu', { names: {}, context: CONTEXT });
  const session = Session.open(loadOrt(runtimeLibrary), model, deviceNamed('cpu'));
  try {
    session.reserve({ rows: 1, capacity: CONTEXT, chunk, keep: 1 });
    const found: number[] = [];
    for (let start = 0; start < ids.length; start += chunk) {
      const some = ids.slice(start, start + chunk);
      for (const [index, id] of some.entries()) session.ids[index] = BigInt(id);
      const lengths = [start + some.length];
      session.run({ rows: { first: 0, count: 1 }, lengths, tokens: some.length, logitsAt: 0, keep: 1 });
      found.push(...session.logits.subarray(0, session.signature.vocabSize));
    }
    return found;
  } finally {
    session.close();
  }
}

/** Root mean square of the difference, relative to the second. */
function difference(found: readonly number[], expected: readonly number[]): number {
  const squares = (values: readonly number[]): number => values.reduce((sum, value) => sum + value * value, 0);
  return Math.sqrt(squares(found.map((value, index) => value - (expected[index] ?? 0))) / squares(expected));
}

const ids = Array.from({ length: 40 }, (_, index) => (index * 37 + 11) % 200);

const SHAPES: readonly [name: string, shape: RandomShape][] = [
  ['a cap', { layers: [{ softcap: 2 }, { softcap: 2 }] }],
  ['a window', { layers: [{ window: 5 }, { window: 9 }] }],
  ['a cap and a window in every other layer', { layers: [{ softcap: 2, window: 5 }, { softcap: 2 }], gemma: true }],
  ['one key head for all query heads', { kvHeads: 1, layers: [{ softcap: 2 }, { softcap: 2, window: 3 }] }],
  ['a key head for each query head', { kvHeads: 4, layers: [{ softcap: 2 }, { softcap: 2, window: 3 }] }],
  ['padded heads', { headSize: 20, layers: [{ softcap: 2, window: 5 }, { softcap: 2 }] }],
  ['norms of queries and keys', { normOver: 'head', layers: [{ softcap: 2, window: 5 }, { softcap: 2 }] }],
  ['heads that rotate in part', { headSize: 32, pairs: 5, layers: [{ softcap: 2, window: 5 }, { softcap: 2 }] }],
];

describe.each(SHAPES)('%s', (name, shape) => {
  const candidate = writeRandomDecoder(join(folder, `${name}.bin`), shape)('cpu');

  it.each([1, 7, 40])('in chunks of %i gives the logits of GroupQueryAttention', (chunk) => {
    const expected = logitsInChunks(candidate, ids, chunk);
    ignoreAsWebGpu();
    expect(operators(candidate)).not.toContain('GroupQueryAttention');
    expect(difference(logitsInChunks(candidate, ids, chunk), expected)).toBeLessThan(1e-5);
  });

  it('generates the same 24 ids in two rows together, after prompts in chunks of 7', async () => {
    const generate = async (): Promise<number[][]> => {
      const bench = new Bench({ candidates: [candidate], context: CONTEXT, slots: 2, prefillChunk: 7 });
      const prompts = [ids, prompt(17).map((id) => id % 200)];
      const outcomes = await Promise.all(prompts.map((one) => bench.run({ prompt: one, maxTokens: 24 })));
      bench.engine.close();
      return outcomes.map((outcome) => outcome.ids);
    };
    const expected = await generate();
    ignoreAsWebGpu();
    expect(await generate()).toEqual(expected);
  });
});

it('replaces only the layers that need it: a cap always, a window under graph capture', () => {
  const mixed = writeRandomDecoder(join(folder, 'mixed.bin'), { layers: [{ softcap: 2 }, {}, { window: 4 }] })('cpu');
  const count = (): number => operators(mixed).filter((operator) => operator === 'GroupQueryAttention').length;
  expect(count()).toBe(3);
  Object.assign(CHOICES.cpu, { ignores: ignoredBy('webgpu') });
  expect(count()).toBe(2);
  Object.assign(CHOICES.cpu, { ignores: ignoredBy('webgpu', true) });
  expect(count()).toBe(1);
});

it('a cap of the scores changes the logits, so that a wrong cap would be found', () => {
  const [capped, free] = [[{ softcap: 2 }], [{}]].map((layers, index) =>
    writeRandomDecoder(join(folder, `cap-${index}.bin`), { layers })('cpu'),
  );
  const [with2, without] = [capped, free].map((one) => logitsInChunks(one!, ids, 40));
  expect(difference(with2!, without!)).toBeGreaterThan(0.1);
});

/**
 * The logits of graphs on the CPU, in both forms that devices choose, against a computation in float64. Shows
 * properties of a decoder that no family of test/checkpoints combines.
 */
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { deviceNamed } from '../../src/engine/devices/registry.ts';
import { loadOrt } from '../../src/engine/ort/api.ts';
import { Session } from '../../src/engine/ort/session.ts';
import { buildDecoder } from '../../src/graph-builder/build-decoder.ts';
import { CHOICES, type Choices } from '../../src/graph-builder/choices.ts';
import { BFLOAT16, FLOAT16, FLOAT32 } from '../../src/onnx/types.ts';
import type { DecoderSpec, TensorPlace } from '../../src/protocol/decoder/decoder-spec.ts';
import { runtimeLibrary } from '../engine/harness.ts';
import { type Properties, randomDecoder, VOCABULARY } from './random-decoder.ts';
import { referenceLogits } from './reference-decoder.ts';

const root = mkdtempSync(join(tmpdir(), 'computed-logits-'));
afterAll(() => rmSync(root, { recursive: true }));

const [POSITIONS, ROWS] = [40, 3];
/** Three rows: prompts of different lengths. */
const PROMPTS = [1, 6, 30].map((length, row) =>
  Array.from({ length }, (_, i) => (7 * i * i + 13 * row + 5) % VOCABULARY),
);

const PLAIN: Properties = { heads: 4, kvHeads: 2, headSize: 16, pairs: 8 };
const CASES: Readonly<Record<string, Properties>> = {
  'plain heads': PLAIN,
  'an odd number of heads, and one kv head': { ...PLAIN, heads: 3, kvHeads: 1 },
  'one head': { ...PLAIN, heads: 1, kvHeads: 1 },
  'the smallest head': { ...PLAIN, headSize: 2, pairs: 1 },
  'an odd head without positions': { ...PLAIN, headSize: 5, pairs: 0 },
  'few rotated elements in a head': { ...PLAIN, headSize: 16, pairs: 2 },
  'three quarters of a head, with a magnitude': { ...PLAIN, headSize: 32, pairs: 12, magnitude: 1.25 },
  'a wide head': { ...PLAIN, heads: 2, kvHeads: 1, headSize: 80, pairs: 40 },
  'interleaved pairs': { ...PLAIN, isInterleaved: true },
  'interleaved pairs in padded heads': { ...PLAIN, headSize: 20, pairs: 10, isInterleaved: true },
  'interleaved pairs in a part of a head, with a magnitude': {
    ...{ ...PLAIN, headSize: 24, pairs: 6, magnitude: 1.25, isInterleaved: true },
  },
  'interleaved pairs in an odd head, with norms': {
    ...{ ...PLAIN, headSize: 7, pairs: 3, normOver: 'head', isInterleaved: true },
  },
  'interleaved pairs with biases and a softcap': {
    ...{ ...PLAIN, headSize: 12, pairs: 6, biases: ['q', 'k'], softcap: 0.5, isInterleaved: true },
  },
  'a bias of the queries alone': { ...PLAIN, biases: ['q'] },
  'a bias of keys, output and up': { ...PLAIN, biases: ['k', 'output', 'up'] },
  'biases and padded heads': { ...PLAIN, headSize: 12, pairs: 6, biases: ['q', 'v', 'down'] },
  'a window of one token': { ...PLAIN, window: 1 },
  'a window and no positions': { ...PLAIN, pairs: 0, window: 5 },
  'a softcap in padded heads': { ...PLAIN, headSize: 20, pairs: 10, softcap: 0.5 },
  'norms of padded heads': { ...PLAIN, headSize: 20, pairs: 6, normOver: 'head', biases: ['q'] },
  'norms over the width': { ...PLAIN, normOver: 'width', norms: 'behind', types: [BFLOAT16] },
  'no norm in front of the first layer': { ...PLAIN, norms: 'behind', residualScale: 0.5 },
  'norms around, softcap of the logits': { ...PLAIN, norms: 'around', logitScale: 0.25, logitSoftcap: 2 },
  'a tensor type of its own for each tensor': { ...PLAIN, types: [BFLOAT16, FLOAT32, FLOAT16, FLOAT16] },
  'the same with biases, and a head of its own': {
    ...{ ...PLAIN, types: [FLOAT16, BFLOAT16, FLOAT32], isTied: false },
    ...{ headSize: 24, pairs: 12, biases: ['q', 'k', 'gate', 'output'] },
  },
};

function openDecoder(spec: DecoderSpec<TensorPlace>, file: Uint8Array, choices: Choices): Session {
  const name = `${readdirSync(root).length}.safetensors`;
  const path = join(root, name);
  writeFileSync(path, file);
  const built = buildDecoder(spec, { choices, files: [name], positions: POSITIONS });
  const model = { path, edited: { ...built, folder: root, isRequired: true } };
  const session = Session.open(loadOrt(runtimeLibrary), model, deviceNamed('cpu'));
  session.reserve({ rows: ROWS, capacity: POSITIONS, chunk: POSITIONS, keep: POSITIONS });
  return session;
}

describe.each(['cpu', 'webgpu'] as const)('the form for %s', (kind) => {
  it.each(Object.entries(CASES))('%s', (_, properties) => {
    const { spec, file } = randomDecoder(properties);
    const session = openDecoder(spec, file, CHOICES[kind]);
    const expected = PROMPTS.map((ids) => referenceLogits(spec, file, ids));
    let largest = 0;
    /** One run of some rows up to the ids `ends`. Compares the logits after the last `keep` ids of each row. */
    const run = (first: number, ends: readonly number[], tokens: number, keep: number): void => {
      for (const [row, end] of ends.entries())
        for (let i = 0; i < tokens; i++)
          session.ids[row * tokens + i] = BigInt(PROMPTS[first + row]?.[end - tokens + i] ?? 0);
      const rows = { first, count: ends.length };
      const written = session.run({ rows, lengths: ends, tokens, logitsAt: 0, keep });
      expect(written).toBe(Math.min(keep, tokens));
      for (const [row, end] of ends.entries())
        for (let at = 0; at < written; at++) {
          const found = session.logits.subarray(
            (row * written + at) * VOCABULARY,
            (row * written + at + 1) * VOCABULARY,
          );
          for (const [id, logit] of (expected[first + row]?.[end - written + at] ?? [Number.NaN]).entries())
            largest = Math.max(largest, Math.abs((found[id] ?? Number.NaN) - logit));
        }
    };
    // All ids but the last of each row, which is none of the first row. The third row runs in three parts.
    run(1, [5], 5, 2);
    run(2, [8], 8, 1);
    run(2, [9], 1, 3);
    run(2, [29], 20, 20);
    // The last id of all rows in one run.
    run(0, [1, 6, 30], 1, 1);
    session.close();
    expect(largest).toBeLessThan(1e-4);
  });
});

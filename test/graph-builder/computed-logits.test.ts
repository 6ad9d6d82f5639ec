/**
 * The logits of graphs on the CPU, in both forms that devices choose, against a computation in float64. Shows
 * properties of a decoder that no family of test/checkpoints combines.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { CHOICES } from '../../src/graph-builder/choices.ts';
import { BFLOAT16, FLOAT16, FLOAT32 } from '../../src/onnx/types.ts';
import { differencesFrom, openDecoder, PROMPTS } from './computed-logits.ts';
import { type Properties, randomDecoder } from './random-decoder.ts';
import { referenceLogits } from './reference-decoder.ts';

const root = mkdtempSync(join(tmpdir(), 'computed-logits-'));
afterAll(() => rmSync(root, { recursive: true }));

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
  sinks: { ...PLAIN, hasSinks: true },
  'sinks without positions': { ...PLAIN, pairs: 0, hasSinks: true },
  'sinks and a window, in padded heads with biases': {
    ...{ ...PLAIN, heads: 6, headSize: 20, pairs: 10, window: 5 },
    ...{ hasSinks: true, biases: ['q', 'k', 'v', 'output'] },
  },
  'sinks and a softcap': { ...PLAIN, hasSinks: true, softcap: 0.5, types: [BFLOAT16] },
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

describe.each(['cpu', 'webgpu'] as const)('the form for %s', (kind) => {
  it.each(Object.entries(CASES))('%s', (_, properties) => {
    const { spec, file } = randomDecoder(properties);
    const session = openDecoder(root, spec, { file, choices: CHOICES[kind] });
    const expected = PROMPTS.map((ids) => referenceLogits(spec, file, ids));
    const { largest } = differencesFrom(session, PROMPTS, expected);
    session.close();
    expect(largest).toBeLessThan(1e-4);
  });
});

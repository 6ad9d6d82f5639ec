/** Checkpoints of floats that the engine quantizes at load: how far their logits are from those of the floats. */
import { mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import type { Exactness } from '../../../src/protocol/decoder/conversion.ts';
import type { Candidate } from '../../../src/protocol/loading.ts';
import { candidateOf } from '../../support/checkpoints/candidate.ts';
import { writeCheckpoint } from '../../support/checkpoints/folder.ts';
import { CONTEXT, checkpointNamed } from '../../support/checkpoints/models.ts';
import { Bench } from '../harness.ts';
import { Difference } from './difference.ts';

const root = realpathSync(mkdtempSync(join(tmpdir(), 'quantized-at-load-')));
afterAll(() => rmSync(root, { recursive: true }));

/** float32, float16 and bfloat16; tied weights, biases, norms, windows, packed matrices, a width of 60 columns. */
const NAMES = [
  'llama-linear',
  'llama-biases',
  'llama-head-20',
  'qwen3',
  'phi3-short',
  'gemma-2',
  'mistral',
  'smollm3',
  'olmo-2',
];
const IDS = 258;
/**
 * The most that logits and weights may differ. Logits: 2 to 4 % in 8 bits, mostly because the CPU rounds activations
 * to 8 bits, and 20 to 41 % in 4 bits: random weights exaggerate it. Weights: 0.38 % and 6.5 %.
 */
const BOUNDS = [
  ['q8', { logits: 0.05, weights: 0.005 }],
  ['q4', { logits: 0.5, weights: 0.08 }],
] as const;

/** The log-probabilities after parts of the reference outputs, which are the same ids for all forms of the weights. */
async function tokensWith(candidate: Candidate, name: string) {
  const bench = new Bench({ candidates: [candidate], context: CONTEXT, temporaryFolder: root });
  const prompts = checkpointNamed(name).continuations.flatMap(({ prompt, ids }) =>
    [0, 1, 2, 5, 11, 23].map((length) => [...prompt, ...ids.slice(0, length)]),
  );
  const outcomes = await Promise.all(prompts.map((prompt) => bench.run({ prompt, maxTokens: 1, logprobs: IDS })));
  const { conversions = [] } = bench.engine.facts;
  bench.engine.close();
  return { tokens: outcomes.flatMap(({ tokens }) => tokens), conversions };
}

describe.each(NAMES)('%s', (name) => {
  it.each(BOUNDS)('in %s', async (quantize, { logits, weights }) => {
    const folder = join(root, name);
    writeCheckpoint(folder, checkpointNamed(name));
    const candidate = await candidateOf(folder, 'cpu', CONTEXT);
    const expected = await tokensWith(candidate, name);
    const found = await tokensWith({ ...candidate, quantize }, name);
    expect(expected.conversions).toEqual([]);
    const measured = found.conversions.map(({ difference }: Exactness) => difference);
    const difference = new Difference();
    for (const [index, { top }] of found.tokens.entries()) {
      const row: number[] = [];
      for (const { id, logprob } of expected.tokens[index]?.top ?? []) row[id] = logprob;
      difference.add(top, row);
    }
    expect(Math.max(...measured)).toBeLessThan(weights);
    expect(difference.relative).toBeLessThan(logits);
  });
});

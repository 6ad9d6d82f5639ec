/**
 * GGUF models with matrices in blocks, on the CPU: the log-probabilities of all ids are those of a computation in
 * float64 with the weights of the blocks, without graph, KV cache, conversion and runtime.
 */
import { mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BLOCK_FORMATS, type BlockFormat } from '../../../src/protocol/decoder/block-formats.ts';
import type { EngineOptions } from '../../../src/protocol/loading.ts';
import { candidateOf } from '../../support/checkpoints/candidate.ts';
import { CONTEXT, checkpointNamed } from '../../support/checkpoints/models.ts';
import type { TestGguf } from '../../support/gguf/gguf-bytes.ts';
import { HALVES } from '../conversion/blocks.ts';
import { Bench } from '../harness.ts';
import { Difference } from './difference.ts';
import { MISTAKES, type QuantizedModel, quantizedModel, referenceOf, writeModel } from './quantized-model.ts';

const root = realpathSync(mkdtempSync(join(tmpdir(), 'quantized-')));
afterAll(() => rmSync(root, { recursive: true }));

/**
 * All 13 formats; biases, norms of queries and keys, windows, softcaps, packed and tied matrices, heads of their own;
 * the mixtures of formats that llama.cpp writes.
 */
const MODELS: readonly QuantizedModel[] = [
  { name: 'llama-2', formats: { others: 'q8_0' } },
  { name: 'llama-3', formats: { others: 'q4_0' } },
  { name: 'llama-biases', formats: { others: 'q5_0' } },
  { name: 'mistral', formats: { others: 'iq4_nl' } },
  { name: 'qwen2', formats: { others: 'mxfp4', token_embd: 'q8_0' } },
  { name: 'qwen3', formats: { others: 'q4_1' } },
  { name: 'phi3', formats: { others: 'q5_1' } },
  { name: 'gemma-2', formats: { others: 'q4_0', attn_v: 'q5_1', token_embd: 'q8_0' } },
  { name: 'llama-3', formats: { others: 'q4_k', attn_v: 'q6_k', ffn_down: 'q6_k', token_embd: 'q6_k' } },
  { name: 'qwen3-yarn', formats: { others: 'q5_k', output: 'q6_k' } },
  { name: 'granite', formats: { others: 'q3_k', attn_v: 'q5_k' } },
  { name: 'llama-biases', formats: { others: 'q2_k', 'output.weight': 'q6_k' } },
  { name: 'olmo-2', formats: { others: 'iq4_xs', attn_v: 'q4_k', token_embd: 'q5_k' } },
];
const NEW_TOKENS = 6;
/**
 * The CPU rounds activations to 8 bits, which random weights exaggerate: the difference is 0.01 to 0.03, and 0.07 for
 * Granite. The mistakes cause 0.81 at least.
 */
const BOUND = 0.1;

it('has each format of GGUF files in a model', () => {
  expect(new Set(MODELS.flatMap(({ formats }) => Object.values(formats)))).toEqual(new Set(Object.keys(BLOCK_FORMATS)));
});

const named = MODELS.map((one) => [one.name, Object.values(one.formats).join(', '), one] as const);

describe.each(named)('%s in %s', (name, formats, model) => {
  // Of 1, 5 and 40 ids. The last one is longer than the windows.
  const prompts = checkpointNamed(name)
    .continuations.slice(0, 3)
    .map(({ prompt }) => prompt);
  const folder = join(root, `${name} ${formats.replaceAll(', ', ' ')}`);
  let gguf: TestGguf;
  /** The expected logits by the ids before them: a greedy continuation is mostly the same. */
  const expectedBy = new Map<string, readonly (readonly number[])[]>();
  let reference: Awaited<ReturnType<typeof referenceOf>>;
  beforeAll(async () => {
    gguf = quantizedModel(model);
    reference = await referenceOf(join(folder, 'floats'), gguf);
  });

  async function outputs(overrides: Partial<EngineOptions>) {
    const candidates = [await candidateOf(writeModel(folder, gguf), 'cpu', CONTEXT)];
    const bench = new Bench({ candidates, context: CONTEXT, temporaryFolder: root, ...overrides });
    const asked = prompts.map((prompt) => bench.run({ prompt, maxTokens: NEW_TOKENS, logprobs: 258 }));
    const found = await Promise.all(asked);
    bench.engine.close();
    return found.map(({ ids, tokens, finish }, index) => {
      expect(finish).toMatchObject({ reason: 'max_tokens' });
      return { ids: [...(prompts[index] ?? []), ...ids].slice(0, -1), tokens };
    });
  }

  /** The difference between the engine and a computation. */
  function differenceOf(
    found: Awaited<ReturnType<typeof outputs>>,
    expected: (ids: readonly number[]) => readonly (readonly number[])[],
  ): number {
    const difference = new Difference();
    for (const { ids, tokens } of found) {
      const logits = expected(ids).slice(-NEW_TOKENS);
      for (const [step, { top }] of tokens.entries()) difference.add(top, logits[step] ?? []);
    }
    return difference.relative;
  }

  const expected = (ids: readonly number[]) => {
    const key = ids.join();
    const known = expectedBy.get(key) ?? reference(ids);
    expectedBy.set(key, known);
    return known;
  };

  it.each([
    ['for each prompt alone', { slots: 1 }],
    ['for all prompts at once', { slots: 4 }],
    ['in chunks of 7 ids', { slots: 3, prefillChunk: 7 }],
  ] as const)('computes the logits of the blocks %s', async (_, overrides) => {
    expect(differenceOf(await outputs(overrides), expected)).toBeLessThan(BOUND);
  });

  it('would not compute them with a mistake in the weights', async () => {
    const found = (await outputs({ slots: 4 })).slice(0, 2);
    const hasMinimums = Object.values(model.formats).some((format: BlockFormat) => HALVES[format].length > 1);
    expect(differenceOf(found, expected)).toBeLessThan(BOUND);
    for (const [mistake, dequantize] of Object.entries(MISTAKES)) {
      if (mistake.startsWith('minimums') && !hasMinimums) continue;
      const wrong = await referenceOf(join(folder, mistake), gguf, dequantize);
      expect(differenceOf(found, wrong), mistake).toBeGreaterThan(7 * BOUND);
    }
  });
});

/**
 * GGUF files with quantized experts, from the file to the logits on the CPU, against a computation in float64 with
 * the weights that the rules of the formats give.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { convertWeights } from '../../../src/engine/conversion/convert-weights.ts';
import { planConversion } from '../../../src/engine/conversion/plan/plan-conversion.ts';
import { CHOICES } from '../../../src/graph-builder/choices.ts';
import { exactnessFacts } from '../../../src/lifecycle/weights/conversion-narration.ts';
import { decoderSpecOf } from '../../../src/model/checkpoint/families/decoder-spec.ts';
import { deriveConfig } from '../../../src/model/checkpoint/gguf/config/derive-config.ts';
import { readGguf } from '../../../src/model/checkpoint/gguf/read-gguf.ts';
import type { ModelProblem } from '../../../src/model/problems.ts';
import type { Exactness } from '../../../src/protocol/decoder/conversion.ts';
import type { DecoderSpec, TensorPlace } from '../../../src/protocol/decoder/decoder-spec.ts';
import { type Differences, differencesFrom, openDecoder, PROMPTS } from '../../graph-builder/computed-logits.ts';
import { referenceLogits } from '../../graph-builder/reference-decoder.ts';
import { differenceFrom } from '../../support/checkpoints/continuations.ts';
import { CONTEXT, checkpointNamed } from '../../support/checkpoints/models.ts';
import { convertedModel } from '../../support/gguf/converted-model.ts';
import { ggufBytes, type TestGguf } from '../../support/gguf/gguf-bytes.ts';
import { Bench } from '../harness.ts';
import { type FormatOf, inQ8, mixtureFile } from './mixture-file.ts';

const root = mkdtempSync(join(tmpdir(), 'mixtures-'));
afterAll(() => rmSync(root, { recursive: true }));

interface Described {
  readonly path: string;
  readonly decoder: DecoderSpec;
}

/** Writes a file, and reads the decoder that it describes. */
async function described(gguf: TestGguf, name: string): Promise<Described> {
  const path = join(root, name);
  writeFileSync(path, ggufBytes(gguf));
  const problems: ModelProblem[] = [];
  const model = await readGguf(root, name, problems);
  expect(problems).toEqual([]);
  if (!model) throw new Error(`${name} has no model`);
  const { config, tensors, origin } = deriveConfig(model);
  return { path, decoder: decoderSpecOf(config, tensors, CONTEXT, origin) };
}

interface Result extends Differences {
  readonly exactness: readonly Exactness[];
  /** The largest expected logit. */
  readonly scale: number;
}

/** @param accuracyLevel of the matrices outside of experts; 0 = float32 */
async function computed(
  family: 'qwen3-moe' | 'gpt-oss',
  formatOf: FormatOf,
  accuracyLevel: 0 | 4 = 0,
): Promise<Result> {
  const { quantized, plain } = mixtureFile(family, formatOf);
  const reference = await described(plain, 'plain.gguf');
  const bytes = new Uint8Array(readFileSync(reference.path));
  const expected = PROMPTS.map((ids) => referenceLogits(reference.decoder as DecoderSpec<TensorPlace>, bytes, ids));
  const { path, decoder } = await described(quantized, 'quantized.gguf');
  const plan = planConversion(decoder, { file: 1 });
  if (!plan) throw new Error('nothing to convert');
  const converted = join(root, 'converted');
  const exactness = convertWeights(plan, { weightFiles: [path], path: converted, onProgress: () => undefined });
  const session = openDecoder(root, plan.decoder, {
    ...{ file: readFileSync(path), others: [readFileSync(converted)] },
    choices: { ...CHOICES.cpu, accuracyLevel },
  });
  const differences = differencesFrom(session, PROMPTS, expected);
  session.close();
  const scale = Math.max(...expected.flat(2).map(Math.abs));
  return { ...differences, exactness, scale };
}

type Format = ReturnType<FormatOf>;
const experts =
  (format: Format, dense: Format): FormatOf =>
  (part) =>
    part === 'dense' ? dense : format;

/** One format for gate and up, and one for down, as in the files of llama.cpp. */
const mixed =
  (gateUp: Format, down: Format, dense?: Format): FormatOf =>
  (part) =>
    ({ gate: gateUp, up: gateUp, down, dense })[part];

describe('experts in a format that is exact', () => {
  it.each([
    ['gpt-oss', 'mxfp4', undefined],
    ['gpt-oss', 'mxfp4', 'q8_0'],
    ['qwen3-moe', 'q8_0', 'q8_0'],
    ['qwen3-moe', 'q4_0', undefined],
    ['qwen3-moe', 'q6_k', undefined],
  ] as const)('%s of %s, other matrices %s: the logits of the file', async (family, format, dense) => {
    const { largest, scale, exactness } = await computed(family, experts(format, dense));
    expect(exactness.map(({ difference }) => difference)).toEqual(exactness.map(() => 0));
    expect(largest).toBeLessThan(1e-4 * scale);
  });

  // The CPU rounds activations to 8 bits in front of the other matrices, and never in front of experts.
  it.each([
    ['gpt-oss', 'mxfp4', 'q8_0'],
    ['qwen3-moe', 'q4_0', 'q4_0'],
  ] as const)('%s of %s, other matrices %s: with activations of 8 bits', async (family, format, dense) => {
    const { relative } = await computed(family, experts(format, dense), CHOICES.cpu.accuracyLevel);
    expect(relative).toBeLessThan(0.05);
  });
});

/** The experts of the checkpoint are whole multiples of a power of 2: Q8_0 has the same weights. */
describe('a GGUF file of Qwen3-MoE with experts in Q8_0', () => {
  it('continues prompts as the reference in numpy', async () => {
    const model = checkpointNamed('qwen3-moe');
    const file = convertedModel(model);
    const tensors = Object.entries(file.tensors ?? {}).map(([name, tensor]) =>
      name.endsWith('_exps.weight') ? [name, inQ8(tensor)] : [name, tensor],
    );
    const { path, decoder } = await described({ ...file, tensors: Object.fromEntries(tensors) }, 'q8.gguf');
    const candidates = [{ device: 'cpu', modelFile: path, weightFiles: [path], decoder }] as const;
    const bench = new Bench({ candidates, context: CONTEXT, temporaryFolder: root });
    for (const one of model.continuations) {
      const { tokens } = await bench.run({ prompt: one.prompt, maxTokens: one.ids.length, logprobs: 0 });
      expect(differenceFrom(one, tokens)).toBeUndefined();
    }
    bench.engine.close();
  });
});

// The operator has one number of bits and one block size for all matrices of a layer, and no minimums.
describe('experts in formats of other bits and other blocks', () => {
  it.each<readonly [string, FormatOf]>([
    ['Q4_0 and Q8_0', mixed('q4_0', 'q8_0', 'q8_0')],
    ['Q3_K and Q6_K', mixed('q3_k', 'q6_k')],
    ['Q6_K and Q4_0', mixed('q6_k', 'q4_0')],
    ['IQ4_NL and Q5_0', mixed('iq4_nl', 'q5_0', 'q4_0')],
  ])('%s: the logits of the file', async (_, formatOf) => {
    const { largest, scale, exactness } = await computed('qwen3-moe', formatOf);
    expect(exactness.map(({ difference }) => difference)).toEqual(exactness.map(() => 0));
    expect(largest).toBeLessThan(1e-4 * scale);
  });
});

describe('experts that are rounded to 8 bits', () => {
  it.each<readonly [string, FormatOf, exact: string | undefined, rounded: readonly string[]]>([
    ['Q4_K and Q6_K', mixed('q4_k', 'q6_k', 'q6_k'), 'q6_k', ['q4_k', 'q6_k']],
    ['Q4_K alone', mixed('q4_k', 'q4_k'), undefined, ['q4_k']],
  ])('%s: near the logits of the file, and reported', async (_, formatOf, exact, rounded) => {
    const { relative, exactness } = await computed('qwen3-moe', formatOf);
    expect(relative).toBeLessThan(0.02);
    const facts = exactnessFacts({ conversions: exactness });
    expect(facts.exact_weights).toBe(exact);
    const names = facts.rounded_weights?.split(', ').map((one) => /^(\S+) \(0\.\d+ %\)$/.exec(one)?.[1]);
    expect(names).toEqual(rounded);
    expect(facts.weights_difference_percent).toBeLessThan(0.5);
  });
});

/**
 * GGUF files of small random mixtures of experts (Qwen3-MoE, gpt-oss) whose matrices have the formats that a test
 * chooses, and the same files with dequantized weights, by the rules of the formats.
 */
import { BLOCK_FORMATS, type BlockFormat } from '../../../src/protocol/decoder/block-formats.ts';
import { VOCABULARY } from '../../graph-builder/random-decoder.ts';
import { checkpointNamed } from '../../support/checkpoints/models.ts';
import { convertedModel } from '../../support/gguf/converted-model.ts';
import type { TestGguf, TestTensor } from '../../support/gguf/gguf-bytes.ts';
import { randomBits, weightsOf } from './blocks.ts';

/** The matrices that a test gives a format. The others are float32. */
export type Part = 'gate' | 'up' | 'down' | 'dense';
/** The format of a matrix in a layer; absent = float32. */
export type FormatOf = (part: Part, layer: number) => BlockFormat | undefined;

/** The exponents of the half floats in a block, so that weights are near 0.05: position and power of 2. */
const POWERS: Readonly<Partial<Record<BlockFormat, readonly (readonly [at: number, power: number])[]>>> = {
  q4_0: [[0, -7]],
  q5_0: [[0, -8]],
  q8_0: [[0, -11]],
  iq4_nl: [[0, -11]],
  q3_k: [[108, -10]],
  q4_k: [
    [0, -12],
    [2, -9],
  ],
  q6_k: [[208, -14]],
};

const EXPERTS = 6;
/** A window of gpt-oss shorter than the prompts, and the limit that a GGUF file means. */
const USUAL = { sliding_window: 8, swiglu_limit: 7 };

/** 2 layers with 6 experts each. Widths are whole blocks of 256. */
export function mixtureFile(
  name: 'qwen3-moe' | 'gpt-oss',
  formatOf: FormatOf,
): { readonly quantized: TestGguf; readonly plain: TestGguf } {
  const model = checkpointNamed(name);
  const given = model.config as unknown as Record<string, unknown>;
  const config = {
    ...model.config,
    ...{ vocab_size: VOCABULARY, hidden_size: 256, head_dim: 64, num_hidden_layers: 2 },
    ...(name === 'gpt-oss' && { ...{ intermediate_size: 256, num_local_experts: EXPERTS }, ...USUAL }),
    ...(name === 'qwen3-moe' && { moe_intermediate_size: 256, num_experts: EXPERTS }),
    ...('layer_types' in given && { layer_types: (given['layer_types'] as string[]).slice(0, 2) }),
  };
  const file = convertedModel({ ...model, config });
  const [quantized, plain]: Record<string, TestTensor>[] = [{}, {}];
  for (const [index, [tensor, original]] of Object.entries(file.tensors ?? {}).entries()) {
    const format = formatOfTensor(tensor, original, formatOf);
    const blocks = format && smallBlocks(format, original.shape, index + 1);
    if (quantized) quantized[tensor] = blocks ? { type: format, shape: original.shape, data: blocks } : original;
    if (plain) plain[tensor] = blocks ? { ...original, data: floatBytes(weightsOf(format, blocks)) } : original;
  }
  return { quantized: { ...file, tensors: quantized ?? {} }, plain: { ...file, tensors: plain ?? {} } };
}

const DENSE = /^(?:blk\.\d+\.attn_(?:q|k|v|output)|token_embd|output)\.weight$/;

function formatOfTensor(name: string, { shape }: TestTensor, formatOf: FormatOf): BlockFormat | undefined {
  const [, layer, part] = /^blk\.(\d+)\.ffn_(gate|up|down)_exps\.weight$/.exec(name) ?? [];
  if (part !== undefined) return formatOf(part as Part, Number(layer));
  return DENSE.test(name) && shape.length === 2 ? formatOf('dense', 0) : undefined;
}

/** Random blocks whose weights are small enough for a model. Those of MXFP4 are larger: they reach the limit. */
function smallBlocks(format: BlockFormat, shape: readonly number[], seed: number): Uint8Array {
  const next = randomBits(seed);
  const { values, bytes: size } = BLOCK_FORMATS[format];
  const count = shape.reduce((product, each) => product * each, 1) / values;
  const bytes = Uint8Array.from({ length: count * size }, () => next() & 255);
  const view = new DataView(bytes.buffer);
  for (let block = 0; block < count; block += 1) {
    if (format === 'mxfp4') bytes[block * size] = 120 + (next() % 5);
    for (const [at, power] of POWERS[format] ?? [])
      view.setUint16(block * size + at, ((15 + power) << 10) | (next() & 0x3ff), true);
  }
  return bytes;
}

const floatBytes = (values: Float32Array): Uint8Array => new Uint8Array(values.buffer);

/** A float32 tensor in Q8_0, for blocks whose largest weight is the 127-fold of a power of 2. */
export function inQ8({ shape, data = new Uint8Array() }: TestTensor): TestTensor {
  const weights = new Float32Array(data.slice().buffer);
  const bytes = new Uint8Array((weights.length / 32) * 34);
  const view = new DataView(bytes.buffer);
  for (let block = 0; block < weights.length / 32; block += 1) {
    const values = weights.subarray(block * 32, (block + 1) * 32);
    const power = Math.log2(Math.max(...values.map(Math.abs)) / 127);
    if (!Number.isInteger(power) || power < -14) throw new Error(`The scale 2^${power} is no normal half float`);
    view.setUint16(block * 34, (15 + power) << 10, true);
    for (const [index, value] of values.entries()) view.setInt8(block * 34 + 2 + index, value / 2 ** power);
  }
  return { type: 'q8_0', shape, data: bytes };
}

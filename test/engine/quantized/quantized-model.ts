/**
 * Random GGUF models with matrices in blocks: random blocks in the place of the matrices of a random checkpoint, and
 * the same model with the weights of these blocks as float32. Shares no code with the conversion.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { decoderSpecOf } from '../../../src/model/checkpoint/families/decoder-spec.ts';
import { deriveConfig } from '../../../src/model/checkpoint/gguf/config/derive-config.ts';
import { readGguf } from '../../../src/model/checkpoint/gguf/read-gguf.ts';
import { BLOCK_FORMATS, type BlockFormat } from '../../../src/protocol/decoder/block-formats.ts';
import type { DecoderSpec, TensorPlace } from '../../../src/protocol/decoder/decoder-spec.ts';
import { referenceLogits } from '../../graph-builder/reference-decoder.ts';
import { ggufMetadata, type TokenizerJson } from '../../support/checkpoints/gguf-tokenizer.ts';
import { type CheckpointModel, CONTEXT, checkpointNamed } from '../../support/checkpoints/models.ts';
import { convertedModel } from '../../support/gguf/converted-model.ts';
import { ggufBytes, type TestGguf, type TestTensor, type TestValue } from '../../support/gguf/gguf-bytes.ts';
import { HALVES, randomBits, weightsOf } from '../conversion/blocks.ts';

const TOKENIZER = fileURLToPath(new URL('../../models/hub/tokenizer.json', import.meta.url));

/** The metadata of a tokenizer whose ids are bytes. */
const tokenizerKeys = Object.fromEntries(
  [...ggufMetadata(JSON.parse(readFileSync(TOKENIZER, 'utf8')) as TokenizerJson, { pre: 'gpt-2' })].filter(([key]) =>
    key.startsWith('tokenizer.'),
  ),
) as Record<string, TestValue>;

/** Second half float of a block, in units of the first: the weights of random values have the mean 0. */
const CENTRES: Partial<Readonly<Record<BlockFormat, number>>> = {
  q4_1: -7.5,
  q5_1: -15.5,
  q2_k: 1.5,
  q4_k: 7.5,
  q5_k: 15.5,
};

const MOST_BLOCKS = 4096;

/** A model, and the formats of its matrices by parts of their names; `others` is the format of all others. */
export interface QuantizedModel {
  readonly name: string;
  /** Columns of the matrices, in the place of the usual number. */
  readonly width?: number;
  readonly formats: Readonly<Record<string, BlockFormat>> & { readonly others: BlockFormat };
}

/** The weights of a matrix in blocks. The right ones are `weightsOf`. */
export type Dequantize = (format: BlockFormat, blocks: Uint8Array) => Float32Array;

/** The model with blocks. The widths of its matrices are 256 if a format needs it. */
export function quantizedModel({ name, formats, width }: QuantizedModel): TestGguf {
  const isWide = Object.values(formats).some((format) => BLOCK_FORMATS[format].values > 32);
  const columns = width ?? (isWide ? 256 : undefined);
  const usual = checkpointNamed(name);
  const { metadata, tensors = {} } = convertedModel(columns === undefined ? usual : widened(usual, columns));
  const quantized = Object.entries(tensors).map(([tensor, { shape, data }], index) => {
    const part = Object.keys(formats).find((one) => tensor.includes(one)) ?? 'others';
    const format = formats[part] ?? formats.others;
    const isMatrix = shape.length === 2 && data !== undefined;
    return [tensor, isMatrix ? inBlocks(format, { shape, data }, index) : { shape, ...(data && { data }) }] as const;
  });
  return { metadata: { ...metadata, ...tokenizerKeys }, tensors: Object.fromEntries(quantized) };
}

function widened({ config, ...model }: CheckpointModel, columns: number): CheckpointModel {
  const sizes = { hidden_size: columns, intermediate_size: columns };
  const head = config.head_dim ? { head_dim: columns / config.num_attention_heads } : {};
  return { ...model, config: { ...config, ...sizes, ...head } };
}

/** Random blocks whose weights have the root mean square of the tensor. Large matrices repeat them. */
function inBlocks(
  type: BlockFormat,
  { shape, data }: { readonly shape: readonly number[]; readonly data: Uint8Array },
  seed: number,
): TestTensor {
  const floats = new Float32Array(data.slice().buffer);
  const { values, bytes: size } = BLOCK_FORMATS[type];
  const [target, next] = [rootMeanSquare(floats), randomBits(seed)];
  const count = floats.length / values;
  const random = Uint8Array.from({ length: Math.min(MOST_BLOCKS, count) * size }, () => next() & 255);
  for (let at = 0; at < random.length; at += size)
    scaleTo(target * (0.7 + (0.6 * next()) / 2 ** 32), type, random.subarray(at, at + size));
  const bytes = new Uint8Array(count * size);
  for (let at = 0; at < bytes.length; at += random.length) bytes.set(random.subarray(0, bytes.length - at), at);
  return { type, shape, data: bytes };
}

/** Sets the scale and the minimum of a block. */
function scaleTo(target: number, format: BlockFormat, block: Uint8Array): void {
  if (format === 'mxfp4') {
    block[0] = 128;
    block[0] += Math.round(Math.log2(target / rootMeanSquare(weightsOf(format, block))));
    return;
  }
  const [scaleAt = 0, minimumAt] = HALVES[format];
  const view = new DataView(block.buffer, block.byteOffset);
  const write = (scale: number): void => {
    view.setUint16(scaleAt, halfBits(scale), true);
    if (minimumAt !== undefined) view.setUint16(minimumAt, halfBits(scale * (CENTRES[format] ?? 0)), true);
  };
  write(1);
  write(target / rootMeanSquare(weightsOf(format, block)));
}

const rootMeanSquare = (values: Float32Array): number =>
  Math.sqrt(values.reduce((sum, value) => sum + value * value, 0) / values.length);

/** The bits of a float16 near a number below 65 504. */
function halfBits(value: number): number {
  const exponent = Math.max(-14, Math.floor(Math.log2(Math.abs(value))));
  const steps = Math.floor(Math.abs(value) / 2 ** (exponent - 10));
  return (value < 0 ? 0x8000 : 0) | ((exponent + 14) * 1024 + steps);
}

/** Writes the model as `<folder>/model.gguf`. Returns its path. */
export function writeModel(folder: string, model: TestGguf): string {
  mkdirSync(folder, { recursive: true });
  const file = join(folder, 'model.gguf');
  writeFileSync(file, ggufBytes(model));
  return file;
}

/** The computation of the logits of a model in float64, with the weights that `dequantize` gives. */
export async function referenceOf(
  folder: string,
  { metadata, tensors = {} }: TestGguf,
  dequantize: Dequantize = weightsOf,
): Promise<(ids: readonly number[]) => readonly (readonly number[])[]> {
  const floats = Object.entries(tensors).map(([name, { type, shape, data = new Uint8Array() }]) => {
    if (typeof type !== 'string' || !(type in BLOCK_FORMATS)) return [name, { shape, data }] as const;
    const weights = dequantize(type as BlockFormat, data);
    return [name, { shape, data: new Uint8Array(weights.buffer) }] as const;
  });
  const file = writeModel(folder, { ...(metadata && { metadata }), tensors: Object.fromEntries(floats) });
  const problems: unknown[] = [];
  const read = await readGguf(folder, 'model.gguf', problems as []);
  if (!read) throw new Error(JSON.stringify(problems));
  const { config, tensors: places, origin } = deriveConfig(read);
  const spec = decoderSpecOf(config, places, CONTEXT, origin) as DecoderSpec<TensorPlace>;
  const bytes = Uint8Array.from(readFileSync(file));
  return (ids) => referenceLogits(spec, bytes, ids);
}

/** Mistakes of a conversion. */
export const MISTAKES: Readonly<Record<string, Dequantize>> = {
  'neighbours change places': (format, blocks) => {
    const right = weightsOf(format, blocks);
    return right.map((_, index) => right[index ^ 1] ?? 0);
  },
  'each block has the scale of the next one': (format, blocks) => {
    const { bytes: size } = BLOCK_FORMATS[format];
    const [from, length] = format === 'mxfp4' ? [0, 1] : [HALVES[format][0] ?? 0, 2];
    const wrong = blocks.slice();
    for (let at = size; at < blocks.length; at += size)
      wrong.set(blocks.subarray(at + from, at + from + length), at - size + from);
    return weightsOf(format, wrong);
  },
  'minimums are 0': (format, blocks) => {
    const { bytes: size } = BLOCK_FORMATS[format];
    const [, minimumAt] = HALVES[format];
    const wrong = blocks.slice();
    if (minimumAt !== undefined) for (let at = minimumAt; at < blocks.length; at += size) wrong.fill(0, at, at + 2);
    return weightsOf(format, wrong);
  },
};

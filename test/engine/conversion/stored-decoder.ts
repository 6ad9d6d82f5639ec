/** A decoder of one layer whose matrices have the formats that a test chooses, and the bytes of its file. */

import { sourceBytes } from '../../../src/engine/conversion/plan/plan-conversion.ts';
import { BLOCK_FORMATS } from '../../../src/protocol/decoder/block-formats.ts';
import type { SourceFormat } from '../../../src/protocol/decoder/conversion.ts';
import type { DecoderSpec, StoredMatrix, TensorPlace } from '../../../src/protocol/decoder/decoder-spec.ts';
import { randomBits, randomBlocks } from './blocks.ts';

const TYPES = { f32: 1, f16: 10, bf16: 16 };
const isFloat = (format: SourceFormat): format is keyof typeof TYPES => format in TYPES;

/** The formats of the matrices by name (`q`, `gate`, `embedding`, …). */
export interface Formats {
  readonly [name: string]: SourceFormat | undefined;
  readonly others: SourceFormat;
}

export interface StoredDecoder {
  readonly decoder: DecoderSpec;
  readonly file: Buffer;
}

export interface Sizes {
  readonly hidden?: number;
  readonly inner?: number;
  readonly isTied?: boolean;
}

/** 2 query heads, 1 key/value head; 40 tokens. */
export function storedDecoder(
  formats: Formats,
  { hidden = 256, inner = 512, isTied = true }: Sizes = {},
): StoredDecoder {
  const parts: Buffer[] = [Buffer.alloc(96)];
  let offset = 96;
  const add = (bytes: Uint8Array): number => {
    const at = offset;
    parts.push(Buffer.from(bytes));
    offset += bytes.length;
    return at;
  };
  const matrix = (name: string, rows: number, width: number): StoredMatrix => {
    const format = formats[name] ?? formats.others;
    const bytes = bytesOf(format, rows * width, parts.length);
    const place = { file: 0, offset: add(bytes), bytes: bytes.length, shape: [rows, width] };
    return isFloat(format) ? { ...place, type: TYPES[format] } : { ...place, format };
  };
  const linear = (name: string, rows: number, width: number) => ({ weight: matrix(name, rows, width) });
  const norm = () => ({ weight: vector(hidden), epsilon: 1e-5, offset: 0 as const });
  const vector = (size: number): TensorPlace => {
    const bytes = bytesOf('f32', size, parts.length);
    return { file: 0, offset: add(bytes), bytes: bytes.length, type: TYPES.f32, shape: [size] };
  };
  const half = hidden / 2;
  const embedding = matrix('embedding', 40, hidden);
  const attention = {
    ...{ q: linear('q', hidden, hidden), k: linear('k', half, hidden), v: linear('v', half, hidden) },
    output: linear('output', hidden, hidden),
    ...{ heads: 2, kvHeads: 1, headSize: half, scale: half ** -0.5 },
  };
  const mlp = {
    ...{ gate: linear('gate', inner, hidden), up: linear('up', inner, hidden), down: linear('down', hidden, inner) },
    activation: 'silu' as const,
  };
  const decoder: DecoderSpec = {
    ...{ vocabSize: 40, hiddenSize: hidden, embedding, embeddingScale: 1, rotaries: [], logitScale: 1 },
    layers: [{ attention, attentionInNorm: norm(), mlp, mlpInNorm: norm(), residualScale: 1 }],
    finalNorm: norm(),
    head: isTied ? { weight: embedding } : linear('head', 40, hidden),
  };
  return { decoder, file: Buffer.concat(parts) };
}

function bytesOf(format: SourceFormat, weights: number, seed: number): Uint8Array {
  if (!isFloat(format)) return randomBlocks(format, weights / BLOCK_FORMATS[format].values, seed);
  const next = randomBits(seed);
  const bytes = new Uint8Array(sourceBytes(format, weights));
  const view = new DataView(bytes.buffer);
  for (let index = 0; index < weights; index += 1) {
    const weight = next() / 2 ** 32 - 0.5;
    if (format === 'f32') view.setFloat32(4 * index, weight, true);
    // Half floats below 2, and the upper half of the float32.
    else if (format === 'f16') view.setUint16(2 * index, next() & 0xbfff, true);
    else view.setUint16(2 * index, (new Uint32Array(Float32Array.of(weight).buffer)[0] as number) >>> 16, true);
  }
  return bytes;
}

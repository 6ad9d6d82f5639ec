/**
 * Models with random weights, made in seconds. All tensors of a model are ranges of one file of random bytes;
 * each range begins at another place, so that the engine and the runtime take them for different tensors and
 * a device gets its own copy of each. A file is little larger than the largest tensor: 1 GB for 16 GB of half
 * floats. Readers of checkpoints refuse such a file, because tensors overlap. This module therefore makes the
 * description of the decoder that the worker would read from a checkpoint.
 */
import { closeSync, mkdirSync, openSync, realpathSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { readableCandidate } from '../../src/engine/conversion/graph-candidate.ts';
import { decoderSpecOf } from '../../src/model/checkpoint/families/decoder-spec.ts';
import { FLOAT16, FLOAT32 } from '../../src/onnx/types.ts';
import { BLOCK_FORMATS, blockBytes } from '../../src/protocol/decoder/block-formats.ts';
import type { StoredMatrix, TensorPlace } from '../../src/protocol/decoder/decoder-spec.ts';
import type { DeviceName } from '../../src/protocol/devices.ts';
import { sourceFiles } from '../../src/protocol/host/weights-cache.ts';
import type { Candidate } from '../../src/protocol/loading.ts';
import { configOf, type Format, layerMatrices, type Shape } from './shapes.ts';

const HALF_BYTES = 2;
/** Units of the random bytes: an element, or a block with its scale. */
const UNITS = { fp16: HALF_BYTES, q4: BLOCK_FORMATS.q4_0.bytes, q8: BLOCK_FORMATS.q8_0.bytes } as const;
/** The random bytes are repeated after so many units: a prime, so that the rows of a matrix differ. */
const PERIOD = { fp16: 8_388_593, q4: 1_048_573, q8: 524_287 } as const;
/** Units between the first bytes of two layers; also a prime. */
const SHIFT = 2053;
/** Half floats with this sign and exponent are in [2^-7, 2^-6) and its negative. */
const HALF_EXPONENT = 8 << 10;
/** Scales of blocks: about 2^-9 and 2^-13, so that weights are about as large as the half floats. */
const SCALE = { q4: 6 << 10, q8: 2 << 10 } as const;

/** Xorshift of 32 bits: the same bytes in every run. */
function randomWords(count: number, seed: number): Uint32Array {
  const words = new Uint32Array(count);
  let state = seed;
  for (let index = 0; index < count; index++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    words[index] = state;
  }
  return words;
}

/** One period of random units. */
export function randomUnits(format: Format, count: number): Uint8Array {
  const bytes = new Uint8Array(randomWords(Math.ceil((count * UNITS[format]) / 4), 0x9e3779b9).buffer);
  const view = new DataView(bytes.buffer);
  if (format === 'fp16') {
    // The sign and the mantissa stay random.
    for (let at = 0; at < count * HALF_BYTES; at += HALF_BYTES)
      view.setUint16(at, (view.getUint16(at, true) & 0x83ff) | HALF_EXPONENT, true);
  } else {
    for (let at = 0; at < count * UNITS[format]; at += UNITS[format])
      view.setUint16(at, (view.getUint16(at, true) & 0x3ff) | SCALE[format], true);
  }
  return bytes.subarray(0, count * UNITS[format]);
}

/** Places of all tensors of a shape, and the bytes of the file. */
export interface Layout {
  readonly tensors: ReadonlyMap<string, StoredMatrix>;
  readonly bytes: number;
  /** Position of the random bytes, behind the weights of the norms, which are 1. */
  readonly poolAt: number;
}

/** The layout of a file: norms, then the range of random bytes. Pure. */
export function layoutOf(shape: Shape, format: Format): Layout {
  const tensors = new Map<string, StoredMatrix>();
  const isHalf = format === 'fp16';
  const normBytes = shape.hidden * (isHalf ? HALF_BYTES : Float32Array.BYTES_PER_ELEMENT);
  const norm: TensorPlace = {
    ...{ file: 0, offset: 0, bytes: normBytes, type: isHalf ? FLOAT16 : FLOAT32, shape: [shape.hidden] },
  };
  const poolAt = Math.ceil(normBytes / 64) * 64;
  let end = poolAt;
  /** Places a matrix, and returns the position behind it. */
  const place = (name: string, [rows, width]: readonly [number, number], offset: number): number => {
    const bytes = isHalf ? rows * width * HALF_BYTES : blockBytes(format === 'q4' ? 'q4_0' : 'q8_0', rows * width);
    const where = { file: 0, offset, bytes, shape: [rows, width] };
    tensors.set(
      `${name}.weight`,
      isHalf ? { ...where, type: FLOAT16 } : { ...where, format: format === 'q4' ? 'q4_0' : 'q8_0' },
    );
    end = Math.max(end, offset + bytes);
    return offset + bytes;
  };
  const stride = SHIFT * UNITS[format];
  for (let layer = 0; layer < shape.layers; layer++) {
    let at = poolAt + (layer + 2) * stride;
    // The matrices of a layer are neighbours, as in a real checkpoint: q, k and v are one product.
    for (const [name, size] of Object.entries(layerMatrices(shape)))
      at = place(`model.layers.${layer}.${name}`, size, at);
    for (const name of ['input_layernorm', 'post_attention_layernorm'])
      tensors.set(`model.layers.${layer}.${name}.weight`, norm);
  }
  place('model.embed_tokens', [shape.vocab, shape.hidden], poolAt);
  if (!shape.tied) place('lm_head', [shape.vocab, shape.hidden], poolAt + stride);
  tensors.set('model.norm.weight', norm);
  return { tensors, bytes: end, poolAt };
}

/** The bytes of the norms: ones. */
function onesOf(shape: Shape, format: Format, bytes: number): Uint8Array {
  const ones = new Uint8Array(bytes);
  if (format === 'fp16') new Uint16Array(ones.buffer).fill(0x3c00, 0, shape.hidden);
  else new Float32Array(ones.buffer).fill(1, 0, shape.hidden);
  return ones;
}

const fileOf = (folder: string, name: string): string => join(folder, `${name.replaceAll(/\W+/g, '-')}.bin`);

/** Writes the file of a model. */
export function writeWeights(path: string, shape: Shape, format: Format): void {
  const { bytes, poolAt } = layoutOf(shape, format);
  const units = Math.min(PERIOD[format], Math.ceil((bytes - poolAt) / UNITS[format]));
  const pool = randomUnits(format, units);
  const file = openSync(path, 'w');
  try {
    writeSync(file, onesOf(shape, format, poolAt));
    for (let left = bytes - poolAt; left > 0; left -= pool.length)
      writeSync(file, pool, 0, Math.min(left, pool.length));
  } finally {
    closeSync(file);
  }
}

/** The candidate for the file of a model, which must exist. */
export function candidateFor(folder: string, name: string, form: { readonly shape: Shape; readonly format: Format }) {
  const path = realpathSync(fileOf(folder, name));
  return (device: DeviceName, context: number): Candidate => ({
    ...{ device, modelFile: path, weightFiles: [path], sources: sourceFiles([path]) },
    decoder: decoderSpecOf(configOf(form.shape), layoutOf(form.shape, form.format).tensors, context),
  });
}

/** Folder of the weights that the engine converts from blocks. */
export const convertedIn = (folder: string): string => join(folder, 'converted');

/** What making a model took. */
export interface Made {
  readonly bytes: number;
  readonly writeMs: number;
  /** Conversion of blocks into the form of a graph; 0 without blocks. */
  readonly convertMs: number;
}

/** Makes the file of a model, and converts its blocks, so that no engine has to. */
export function makeModel(
  folder: string,
  name: string,
  form: { readonly shape: Shape; readonly format: Format },
): Made {
  const began = performance.now();
  mkdirSync(convertedIn(folder), { recursive: true, mode: 0o700 });
  writeWeights(fileOf(folder, name), form.shape, form.format);
  const written = performance.now();
  const candidate = candidateFor(folder, name, form)('cpu', 512);
  const nothing = (): void => undefined;
  const hooks = { report: nothing, check: nothing };
  readableCandidate(candidate, { weightsCache: { folder: convertedIn(folder) } }, hooks).release();
  const convertMs = form.format === 'fp16' ? 0 : performance.now() - written;
  return { bytes: layoutOf(form.shape, form.format).bytes, writeMs: written - began, convertMs };
}

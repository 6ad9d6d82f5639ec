/** Random and extreme blocks of each format, and the weights of converted files, for the tests of conversion. */
import { BLOCK_FORMATS, type BlockFormat } from '../../../src/protocol/decoder/block-formats.ts';
import { DEQUANTIZE } from './ggml-rules.ts';

/** The positions of the half floats in a block: of the scale, then of the minimum. */
export const HALVES: Readonly<Record<BlockFormat, readonly number[]>> = {
  q4_0: [0],
  q4_1: [0, 2],
  q5_0: [0],
  q5_1: [0, 2],
  q8_0: [0],
  q2_k: [80, 82],
  q3_k: [108],
  q4_k: [0, 2],
  q5_k: [0, 2],
  q6_k: [208],
  iq4_nl: [0],
  iq4_xs: [0],
  mxfp4: [],
};
/** 0, -0, the subnormals (least, largest, negative), least normal, 1, -1, the largest and its negative. */
const EXTREMES = [0, 0x8000, 1, 0x03ff, 0x8001, 0x0400, 0x3c00, 0xbc00, 0x7bff, 0xfbff];

/** Numbers from 0 to 2^32 - 1 (mulberry32). */
export function randomBits(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let bits = Math.imul(state ^ (state >>> 15), 1 | state);
    bits = (bits + Math.imul(bits ^ (bits >>> 7), 61 | bits)) ^ bits;
    return (bits ^ (bits >>> 14)) >>> 0;
  };
}

/** Blocks of random bytes with finite scales of both signs: every tenth scale is extreme. */
export function randomBlocks(format: BlockFormat, count: number, seed = 1): Uint8Array {
  const next = randomBits(seed);
  const size = BLOCK_FORMATS[format].bytes;
  const bytes = Uint8Array.from({ length: count * size }, () => next() & 255);
  const view = new DataView(bytes.buffer);
  for (let block = 0; block < count; block += 1) {
    for (const at of HALVES[format]) {
      // Exponents of 0 to 29 of 31.
      const random = (next() & 0x83ff) | ((next() % 30) << 10);
      const isExtreme = next() % 10 === 0;
      view.setUint16(block * size + at, isExtreme ? (EXTREMES[next() % EXTREMES.length] ?? 0) : random, true);
    }
    // The difference of the largest and the smallest value is finite up to the exponent 251.
    if (format === 'mxfp4')
      bytes[block * size] = next() % 10 === 0 ? ([0, 1, 2, 251][next() % 4] ?? 0) : 100 + (next() % 50);
  }
  return bytes;
}

/** Sets the first half float of a block, or the exponent of a block of MXFP4. */
export function setScale(format: BlockFormat, bytes: Uint8Array, block: number, bits: number): void {
  const at = block * BLOCK_FORMATS[format].bytes;
  if (format === 'mxfp4') bytes[at] = bits;
  else new DataView(bytes.buffer, bytes.byteOffset).setUint16(at + (HALVES[format][0] ?? 0), bits, true);
}

/** The weights of blocks by the rules of the format. */
export function weightsOf(format: BlockFormat, bytes: Uint8Array): Float32Array {
  const { values, bytes: size } = BLOCK_FORMATS[format];
  const weights = new Float32Array((bytes.length / size) * values);
  for (let block = 0; block * size < bytes.length; block += 1) {
    const view = new DataView(bytes.buffer, bytes.byteOffset + block * size, size);
    DEQUANTIZE[format](view, weights.subarray(block * values, (block + 1) * values));
  }
  return weights;
}

/**
 * The weights of a few blocks as numbers, by the rules of ggml-quants.c, and of their converted form: a
 * conversion compares both on a sample. Slow and short; kernels.wat is the fast way. Pure.
 */

import { floatOf } from '../../onnx/half-float.ts';
import { BFLOAT16, FLOAT16 } from '../../onnx/types.ts';
import { BLOCK_FORMATS, type BlockFormat } from '../../protocol/decoder/block-formats.ts';
import type { SourceFormat } from '../../protocol/decoder/conversion.ts';
import type { Form } from '../../protocol/decoder/exact-forms.ts';

/** The integer and the numbers of a weight: `scale × q - minimum`. */
interface Weight {
  readonly q: number;
  readonly scale: number;
  readonly minimum?: number;
}

/** Reads one block. Values beyond one byte are little-endian. */
interface Block {
  byte(at: number): number;
  /** A signed byte. */
  signed(at: number): number;
  half(at: number): number;
}
type Rule = (block: Block, index: number) => Weight;

const half = (bits: number): number => floatOf(FLOAT16, bits);
const bfloat = (bits: number): number => floatOf(BFLOAT16, bits);

const IQ4 = [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113];
const E2M1 = [0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12];

/** 4 bits of weight `i` in 16 bytes at `at`: the low halves are the first 16 weights. */
const nibble = ({ byte }: Block, at: number, i: number): number => (byte(at + (i % 16)) >> (i < 16 ? 0 : 4)) & 15;
/** Bit `i` of the bits at `at`. */
const bit = ({ byte }: Block, at: number, i: number): number => (byte(at + (i >> 3)) >> (i & 7)) & 1;

/** 6 bits each of scale and minimum `j` of Q4_K and Q5_K, at bytes 4 to 15. */
function scaleOfK({ byte }: Block, j: number): { readonly scale: number; readonly minimum: number } {
  if (j < 4) return { scale: byte(4 + j) & 63, minimum: byte(8 + j) & 63 };
  return {
    scale: (byte(8 + j) & 15) | ((byte(j) >> 6) << 4),
    minimum: (byte(8 + j) >> 4) | ((byte(4 + j) >> 6) << 4),
  };
}

/** 4 bits of weight `i` of Q4_K and Q5_K: 32 bytes for 64 weights. */
const nibbleOfK = ({ byte }: Block, at: number, i: number): number =>
  (byte(at + 32 * (i >> 6) + (i & 31)) >> (i & 32 ? 4 : 0)) & 15;

/** 2 bits of weight `i` of Q2_K and Q3_K: 32 bytes for 128 weights. */
const twoBits = ({ byte }: Block, at: number, i: number): number =>
  (byte(at + 32 * (i >> 7) + (i & 31)) >> (2 * ((i >> 5) & 3))) & 3;

function scaleOfQ3K({ byte }: Block, j: number): number {
  const low = (byte(96 + (j & 7)) >> (j < 8 ? 0 : 4)) & 15;
  const high = (byte(104 + (j & 3)) >> (2 * (j >> 2))) & 3;
  return (low | (high << 4)) - 32;
}

function scaleOfIq4Xs({ byte }: Block, j: number): number {
  const low = (byte(4 + (j >> 1)) >> (4 * (j & 1))) & 15;
  const high = ((byte(2) | (byte(3) << 8)) >> (2 * j)) & 3;
  return (low | (high << 4)) - 32;
}

function sixBits({ byte }: Block, i: number): number {
  const [half, inside] = [i >> 7, i & 127];
  const low = (byte(64 * half + (inside & 63)) >> (inside < 64 ? 0 : 4)) & 15;
  const high = (byte(128 + 32 * half + (inside & 31)) >> (2 * (inside >> 5))) & 3;
  return low | (high << 4);
}

const RULES: Readonly<Record<BlockFormat, Rule>> = {
  q4_0: (block, i) => ({ q: nibble(block, 2, i) - 8, scale: block.half(0) }),
  q4_1: (block, i) => ({ q: nibble(block, 4, i), scale: block.half(0), minimum: -block.half(2) }),
  q5_0: (block, i) => ({ q: (nibble(block, 6, i) | (bit(block, 2, i) << 4)) - 16, scale: block.half(0) }),
  q5_1: (block, i) => ({
    q: nibble(block, 8, i) | (bit(block, 4, i) << 4),
    scale: block.half(0),
    minimum: -block.half(2),
  }),
  q8_0: (block, i) => ({ q: block.signed(2 + i), scale: block.half(0) }),
  q2_k: (block, i) => ({
    q: twoBits(block, 16, i),
    scale: block.half(80) * (block.byte(i >> 4) & 15),
    minimum: block.half(82) * (block.byte(i >> 4) >> 4),
  }),
  q3_k: (block, i) => ({
    q: twoBits(block, 32, i) + 4 * ((block.byte(i & 31) >> (i >> 5)) & 1) - 4,
    scale: block.half(108) * scaleOfQ3K(block, i >> 4),
  }),
  q4_k: (block, i) => {
    const { scale, minimum } = scaleOfK(block, i >> 5);
    return { q: nibbleOfK(block, 16, i), scale: block.half(0) * scale, minimum: block.half(2) * minimum };
  },
  q5_k: (block, i) => {
    const { scale, minimum } = scaleOfK(block, i >> 5);
    const fifth = (block.byte(16 + (i & 31)) >> (i >> 5)) & 1;
    const q = nibbleOfK(block, 48, i) | (fifth << 4);
    return { q, scale: block.half(0) * scale, minimum: block.half(2) * minimum };
  },
  q6_k: (block, i) => ({ q: sixBits(block, i) - 32, scale: block.half(208) * block.signed(192 + (i >> 4)) }),
  iq4_nl: (block, i) => ({ q: IQ4[nibble(block, 2, i)] ?? 0, scale: block.half(0) }),
  iq4_xs: (block, i) => ({
    q: IQ4[nibble(block, 8 + 16 * (i >> 5), i & 31)] ?? 0,
    scale: block.half(0) * scaleOfIq4Xs(block, i >> 5),
  }),
  mxfp4: (block, i) => ({ q: E2M1[nibble(block, 1, i)] ?? 0, scale: 2 ** (block.byte(0) - 128) }),
};

/** The first `count` weights of a matrix whose bytes in the file are `bytes`; whole blocks. float32. */
export function dequantized(format: SourceFormat, bytes: Uint8Array, count: number): Float32Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (format === 'f32') return Float32Array.from({ length: count }, (_, index) => view.getFloat32(4 * index, true));
  if (format === 'bf16')
    return Float32Array.from({ length: count }, (_, index) => bfloat(view.getUint16(2 * index, true)));
  if (format === 'f16')
    return Float32Array.from({ length: count }, (_, index) => half(view.getUint16(2 * index, true)));
  const { values, bytes: size } = BLOCK_FORMATS[format];
  const rule = RULES[format];
  return Float32Array.from({ length: count }, (_, index) => {
    const begin = Math.floor(index / values) * size;
    const {
      q,
      scale,
      minimum = 0,
    } = rule(
      {
        byte: (at) => view.getUint8(begin + at),
        signed: (at) => view.getInt8(begin + at),
        half: (at) => half(view.getUint16(begin + at, true)),
      },
      index % values,
    );
    return Math.fround(scale * q) - minimum;
  });
}

/** The parts of converted weights. */
export interface ConvertedParts {
  readonly values: Uint8Array;
  readonly scales: Float32Array;
  readonly minimums: Float32Array;
  readonly zeroPoints: Uint8Array;
}

/** The first `count` weights of a converted form. */
export function reconstructed({ bits, blockSize, extra }: Form, parts: ConvertedParts, count: number): Float32Array {
  return Float32Array.from({ length: count }, (_, index) => {
    const block = Math.floor(index / blockSize);
    const byte = parts.values[bits === 8 ? index : index >> 1] ?? 0;
    const value = bits === 8 ? byte : (byte >> (4 * (index & 1))) & 15;
    const zero = extra === 'zeroPoints' ? (parts.zeroPoints[block] ?? 0) : 2 ** (bits - 1);
    const minimum = extra === 'minimums' ? (parts.minimums[block] ?? 0) : 0;
    return Math.fround((value - zero) * (parts.scales[block] ?? 0)) - minimum;
  });
}

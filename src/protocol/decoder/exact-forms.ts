/**
 * The forms of converted matrices that have the weights of the block formats. All devices read the same
 * forms, so that they share one converted file. Plain data.
 */
import type { BlockFormat } from './block-formats.ts';

/** The form of a converted matrix: see `QuantizedMatrix`. */
export interface Form {
  readonly bits: 4 | 8;
  readonly blockSize: 16 | 32;
  /** The numbers that each block has besides its scale; absent = none. Zero points need 8 bits. */
  readonly extra?: 'minimums' | 'zeroPoints';
}

/**
 * The weights of a form without minimums equal the weights of the format bit for bit. With minimums, the one
 * difference is that the minimum is rounded to float32.
 */
export const EXACT_FORMS: Readonly<Record<BlockFormat, Form>> = {
  q4_0: { bits: 4, blockSize: 32 },
  q4_1: { bits: 4, blockSize: 32, extra: 'minimums' },
  q5_0: { bits: 8, blockSize: 32 },
  q5_1: { bits: 8, blockSize: 32, extra: 'minimums' },
  q8_0: { bits: 8, blockSize: 32 },
  q2_k: { bits: 4, blockSize: 16, extra: 'minimums' },
  q3_k: { bits: 4, blockSize: 16 },
  q4_k: { bits: 4, blockSize: 32, extra: 'minimums' },
  q5_k: { bits: 8, blockSize: 32, extra: 'minimums' },
  q6_k: { bits: 8, blockSize: 16 },
  iq4_nl: { bits: 8, blockSize: 32 },
  iq4_xs: { bits: 8, blockSize: 32 },
  mxfp4: { bits: 8, blockSize: 32 },
};

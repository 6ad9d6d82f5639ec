/**
 * The formats of GGUF files that store the values of a matrix in blocks along its last dimension. Plain data.
 * Source: ggml-common.h and ggml.h of llama.cpp.
 */

/** Values in a block, bytes of a block, and the number of the format in a file. */
export interface BlockShape {
  readonly values: number;
  readonly bytes: number;
  /** `ggml_type`. */
  readonly id: number;
}

export const BLOCK_FORMATS = {
  q4_0: { values: 32, bytes: 18, id: 2 },
  q4_1: { values: 32, bytes: 20, id: 3 },
  q5_0: { values: 32, bytes: 22, id: 6 },
  q5_1: { values: 32, bytes: 24, id: 7 },
  q8_0: { values: 32, bytes: 34, id: 8 },
  q2_k: { values: 256, bytes: 84, id: 10 },
  q3_k: { values: 256, bytes: 110, id: 11 },
  q4_k: { values: 256, bytes: 144, id: 12 },
  q5_k: { values: 256, bytes: 176, id: 13 },
  q6_k: { values: 256, bytes: 210, id: 14 },
  iq4_nl: { values: 32, bytes: 18, id: 20 },
  iq4_xs: { values: 256, bytes: 136, id: 23 },
  mxfp4: { values: 32, bytes: 17, id: 39 },
} as const satisfies Readonly<Record<string, BlockShape>>;

export type BlockFormat = keyof typeof BLOCK_FORMATS;

/** Bytes of a row of `values` values, a multiple of the block. */
export const blockBytes = (format: BlockFormat, values: number): number =>
  (values / BLOCK_FORMATS[format].values) * BLOCK_FORMATS[format].bytes;

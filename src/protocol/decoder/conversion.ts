/**
 * Facts about the conversion of weights into the form of a graph, as both processes know them. Types only.
 */
import type { BlockFormat } from './block-formats.ts';
import type { UnsharedReason } from './sharing.ts';

/** The format of a matrix in a weight file: blocks, or the element type of floats. */
export type SourceFormat = BlockFormat | 'f32' | 'f16' | 'bf16';

/** All matrices of one format that have the same converted form. */
export interface ConvertedWeights {
  readonly from: SourceFormat;
  readonly bits: 4 | 8;
  readonly blockSize: number;
  /** The converted weights have minimums. */
  readonly hasMinimums: boolean;
  /** Present: the converted weights have zero points. */
  readonly hasZeroPoints?: true;
  readonly matrices: number;
  /** Number of weights in them. */
  readonly count: number;
}

/** Result of a conversion. */
export interface Exactness extends ConvertedWeights {
  /**
   * Root mean square of the differences between the weights of the file and the converted weights, relative
   * to the root mean square of the weights; 0 if all are equal. Measured on a sample of each matrix.
   */
  readonly difference: number;
}

/** The progress of a conversion. Sizes in bytes. */
export type ConversionProgress =
  /** This engine converts `bytes` of the files; the converted file has `diskBytes`. */
  | { readonly state: 'converting'; readonly bytes: number; readonly diskBytes: number; readonly expectedMs: number }
  /** `percent` is 25, 50 and 75, once each; the conversion is expected to end after `expectedMs`. */
  | { readonly state: 'progress'; readonly percent: number; readonly expectedMs: number }
  /** Another engine converts: `percent` is 0, 25, 50 and 75, once each. */
  | { readonly state: 'waiting'; readonly percent: number }
  | { readonly state: 'converted'; readonly diskBytes: number; readonly durationMs: number }
  /** The file cannot be shared: this engine converts the weights into a file of its own. */
  | { readonly state: 'unshared'; readonly reason: UnsharedReason };

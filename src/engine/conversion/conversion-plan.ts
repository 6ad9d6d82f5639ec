/** The conversion of a decoder's matrices into the forms that a graph reads. Types only. */
import type { BlockFormat } from '../../protocol/decoder/block-formats.ts';
import type { DecoderSpec, GraphMatrix } from '../../protocol/decoder/decoder-spec.ts';

/** The plan of a conversion: one file with all converted matrices. */
export interface ConversionPlan {
  /** The decoder with converted matrices. Their places are in the converted file. */
  readonly decoder: DecoderSpec<GraphMatrix>;
  /** Size of the converted file. */
  readonly bytes: number;
  /** Bytes of the weight files that the conversion reads. */
  readonly sourceBytes: number;
  readonly weights: readonly ConvertedWeights[];
}

/** All matrices of one format that have the same converted form. */
export interface ConvertedWeights {
  /** A block format, or the element type of floats. */
  readonly from: BlockFormat | 'f32' | 'f16' | 'bf16';
  readonly bits: 4 | 8;
  readonly blockSize: number;
  /** The converted weights have minimums. */
  readonly hasMinimums: boolean;
  readonly matrices: number;
  /** Number of weights in them. */
  readonly count: number;
}

/** Result of a conversion. */
export interface Exactness extends ConvertedWeights {
  /**
   * Root mean square of the differences between the weights of the file and the converted weights, relative
   * to the root mean square of the weights; 0 if all are equal.
   */
  readonly difference: number;
}

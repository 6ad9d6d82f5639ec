/** The conversion of a decoder's matrices into the forms that a graph reads. Types only. */
import type { BlockFormat } from '../../protocol/decoder/block-formats.ts';
import type { DecoderSpec, GraphMatrix, StoredMatrix } from '../../protocol/decoder/decoder-spec.ts';

/** The format of a matrix in a weight file: blocks, or the element type of floats. */
export type SourceFormat = BlockFormat | 'f32' | 'f16' | 'bf16';

/** The form of a converted matrix: see `QuantizedMatrix`. */
export interface Form {
  readonly bits: 4 | 8;
  readonly blockSize: 16 | 32;
  /** The numbers that each block has besides its scale; absent = none. Zero points need 8 bits. */
  readonly extra?: 'minimums' | 'zeroPoints';
}

/** The plan of a conversion: one file with all converted matrices. */
export interface ConversionPlan {
  /** The decoder with converted matrices. Their places are in the converted file. */
  readonly decoder: DecoderSpec<GraphMatrix>;
  /** Size of the converted file. */
  readonly bytes: number;
  /** Bytes of the weight files that the conversion reads. */
  readonly sourceBytes: number;
  readonly weights: readonly ConvertedWeights[];
  readonly tasks: readonly ConversionTask[];
  /** Names of the matrices that stay floats although the caller quantizes: their rows are no whole blocks. */
  readonly floats: readonly string[];
}

/** The conversion of one matrix. */
export interface ConversionTask {
  /** The matrix in the decoder, for messages: `layers.3.attention.q`. */
  readonly name: string;
  readonly source: StoredMatrix;
  readonly from: SourceFormat;
  readonly form: Form;
  readonly values: Rows;
  readonly scales: Rows;
  readonly minimums?: Rows;
  readonly zeroPoints?: Rows;
}

/**
 * The rows of one part of a matrix in the converted file. Row i begins at `offset + i × stride`. The rows of
 * two matrices alternate if both have twice the size of a row as stride, and the second begins one row later:
 * so a mixture of experts can have its gate and up matrices in one.
 */
export interface Rows {
  /** Position of the first row in the file. */
  readonly offset: number;
  /** Bytes from the begin of a row to the begin of the next row. */
  readonly stride: number;
}

/** All matrices of one format that have the same converted form. */
export interface ConvertedWeights {
  readonly from: SourceFormat;
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
   * to the root mean square of the weights; 0 if all are equal. Measured on a sample of each matrix.
   */
  readonly difference: number;
}

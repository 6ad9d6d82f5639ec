/** The conversion of a decoder's matrices into the forms that a graph reads. Types only. */
import type { ConvertedWeights, SourceFormat } from '../../../protocol/decoder/conversion.ts';
import type { DecoderSpec, GraphMatrix, StoredMatrix } from '../../../protocol/decoder/decoder-spec.ts';
import type { Form } from '../../../protocol/decoder/exact-forms.ts';

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
  /** Bytes from the start of a row to the start of the next row. */
  readonly stride: number;
}

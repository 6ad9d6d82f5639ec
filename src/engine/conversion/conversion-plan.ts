/** The conversion of a decoder's matrices into the forms that a graph reads. Types only. */
import type { ConvertedWeights } from '../../protocol/decoder/conversion.ts';
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

/** The kind of converted weights: the format in the file and the form in the graph. Pure. */
import type { ConvertedWeights } from '../../../protocol/decoder/conversion.ts';
import type { ConversionTask } from './conversion-plan.ts';

/** The fields that identify `ConvertedWeights`. */
export type WeightsKind = Omit<ConvertedWeights, 'matrices' | 'count'>;

/** The kind of the weights of a task. */
export const kindOf = ({ from, form }: Pick<ConversionTask, 'from' | 'form'>): WeightsKind => ({
  from,
  bits: form.bits,
  blockSize: form.blockSize,
  hasMinimums: form.extra === 'minimums',
  ...(form.extra === 'zeroPoints' && { hasZeroPoints: true }),
});

/** A text that is equal for equal kinds only. */
export const kindKey = ({ from, bits, blockSize, hasMinimums, hasZeroPoints }: WeightsKind): string =>
  [from, bits, blockSize, hasMinimums, hasZeroPoints].join(':');

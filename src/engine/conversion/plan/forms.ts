/**
 * The forms of converted matrices that do not have all weights of their source, and the comparison and sizes
 * of forms. Plain data and pure functions.
 */
import type { Form } from '../../../protocol/decoder/exact-forms.ts';

/** 8 bits with a zero point: the weights of any format, rounded to 255 steps in each block. */
export const REQUANTIZED: Form = { bits: 8, blockSize: 32, extra: 'zeroPoints' };

/** The forms of floats that are quantized at load. */
export const FLOAT_FORMS: Readonly<Record<'q8' | 'q4', Form>> = {
  q8: { bits: 8, blockSize: 32 },
  q4: { bits: 4, blockSize: 32 },
};

/** True if matrices of two forms can be one matrix. */
export const isSameForm = (one: Form, other: Form): boolean =>
  one.bits === other.bits && one.blockSize === other.blockSize && one.extra === other.extra;

/**
 * True if a form can have the weights of another form, bit for bit: both are integers with scales alone, and
 * it has no fewer bits and no larger blocks.
 */
export const hasAllWeights = (form: Form, other: Form): boolean =>
  form.extra === undefined && other.extra === undefined && form.bits >= other.bits && form.blockSize <= other.blockSize;

/** The smallest form that has the weights of all forms bit for bit; undefined if there is none. */
export function commonForm(forms: readonly Form[]): Form | undefined {
  const common: Form = {
    bits: forms.some(({ bits }) => bits === 8) ? 8 : 4,
    blockSize: forms.some(({ blockSize }) => blockSize === 16) ? 16 : 32,
  };
  return forms.every((form) => hasAllWeights(common, form)) ? common : undefined;
}

/** Bytes of a row of each part. */
export interface RowBytes {
  readonly values: number;
  /** Bytes of the scales, and of the minimums. */
  readonly scales: number;
  readonly zeroPoints: number;
}

/** Bytes of a row of each part of a converted matrix; `width` is its number of weights in a row. */
export const rowBytesOf = ({ bits, blockSize }: Form, width: number): RowBytes => ({
  values: (width * bits) / 8,
  scales: (width / blockSize) * Float32Array.BYTES_PER_ELEMENT,
  zeroPoints: width / blockSize,
});

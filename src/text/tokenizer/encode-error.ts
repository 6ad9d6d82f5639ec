/**
 * The ways in which an encoding can fail because of its text or its tokenizer. The caller of the worker
 * receives them as an invalid request, never as a defect of the worker. Pure.
 */

/**
 * - `too_long`: the text has more tokens than the caller can use
 * - `too_much_text`: a stage of the tokenizer makes too much text
 * - `too_slow`: the thread was ended at its deadline
 * - `too_much_memory`: the thread was ended at its memory limit
 * - `unencodable`: the vocabulary lacks a character and has no unknown token
 */
export type EncodeErrorKind = 'too_long' | 'too_much_text' | 'too_slow' | 'too_much_memory' | 'unencodable';

export class EncodeError extends Error {
  override readonly name = 'EncodeError';
  readonly kind: EncodeErrorKind;
  /** The text has at least this many tokens. Only for `too_long`. */
  readonly leastTokens: number;

  constructor(kind: EncodeErrorKind, message: string, leastTokens = 0) {
    super(message);
    this.kind = kind;
    this.leastTokens = leastTokens;
  }
}

/** UTF-16 units of the longest text that a stage of a tokenizer may make. As long as a template's longest. */
export const MAX_STAGE_UNITS = 2 ** 22;

/** @throws EncodeError `too_much_text` if a stage makes more than `most` UTF-16 units. */
export function checkUnits(units: number, most: number): void {
  if (units <= most) return;
  throw new EncodeError('too_much_text', `the tokenizer makes more than ${most} characters of the text`);
}

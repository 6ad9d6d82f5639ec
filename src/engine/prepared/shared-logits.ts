/**
 * The numeric check of saved weights: an engine that maps them must compute the logits of the session that
 * saved them.
 */
import type { UnsharedReason } from '../../protocol/decoder/sharing.ts';
import { relativeDifference } from '../load/numeric-check.ts';
import { OrtError } from '../ort/api.ts';
import { isOutOfMemory } from '../ort/error-causes.ts';

/**
 * A larger difference means wrong weights. The same weights give the same bits; another number of threads can
 * change the order of sums, which changes the logits by 1e-6.
 */
const MAX_DIFFERENCE = 1e-4;

/** Saved weights cannot be opened, or give other logits. */
export class WrongWeights extends Error {
  override readonly name = 'WrongWeights';
  readonly reason: UnsharedReason;

  constructor(reason: UnsharedReason) {
    super(reason.code);
    this.reason = reason;
  }
}

/**
 * Compares logits with those of the session that saved the weights, after the same prompt.
 * @throws WrongWeights if they differ by more than rounding
 */
export function requireLogits(logits: Float32Array, expected: Float32Array): void {
  // The usual case, and faster than the sum in code that V8 has not compiled yet.
  if (bytesOf(logits).equals(bytesOf(expected)) && logits.every(Number.isFinite) && logits.some((logit) => logit !== 0))
    return;
  const difference = relativeDifference(logits, expected);
  if (difference <= MAX_DIFFERENCE) return;
  throw new WrongWeights({ code: 'differs', ...(Number.isFinite(difference) && { difference }) });
}

const bytesOf = ({ buffer, byteOffset, byteLength }: Float32Array): Buffer =>
  Buffer.from(buffer, byteOffset, byteLength);

/**
 * The session of saved weights that `open` opens.
 * @throws WrongWeights instead of an error of the runtime about its files
 */
export function openShared<T>(open: () => T): T {
  try {
    return open();
  } catch (error) {
    if (!(error instanceof OrtError) || isOutOfMemory(error.message)) throw error;
    throw new WrongWeights({ code: 'failed', message: error.message });
  }
}

/** Compares the output of an engine for a random checkpoint with the expected ids and log-probabilities. */
import type { TokenReport } from '../../../src/protocol/messages.ts';
import type { Continuation } from './models.ts';

/**
 * Float32 moves a log-probability by less than 0.0005, and every mistake that the reference knows moves an id or
 * a log-probability by 0.01 (`mutations` in expected.json).
 */
const LOGPROB_TOLERANCE = 0.002;

/** The first difference, as text; undefined if the tokens are those of the reference. */
export function differenceFrom(expected: Continuation, tokens: readonly TokenReport[]): string | undefined {
  for (const [step, id] of expected.ids.entries()) {
    const token = tokens[step];
    const where = `prompt of ${expected.prompt.length} ids, step ${step}`;
    if (token?.id !== id) return `${where}: id ${token?.id} instead of ${id}`;
    const [found = Number.NaN, logprob = Number.NaN] = [token.logprob, expected.logprobs[step]];
    if (!(Math.abs(found - logprob) < LOGPROB_TOLERANCE))
      return `${where}: log-probability ${found} instead of ${logprob}`;
  }
  return tokens.length > expected.ids.length ? `${tokens.length} ids instead of ${expected.ids.length}` : undefined;
}

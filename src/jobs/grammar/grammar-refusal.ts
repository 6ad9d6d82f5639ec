/** The errors that a caller gets for a form of the output that cannot be compiled. Pure. */
import { WorkerError } from '../../contract/errors.ts';
import { COMPILE_MS, MAX_DEPTH, MAX_STATES } from '../../grammar/budget.ts';
import type { GrammarError } from '../../grammar/grammar-error.ts';
import { harmless } from '../../narration/sanitize.ts';
import { placeIn } from '../../text/grammar/place.ts';

const LIMITS = { max_states: MAX_STATES, max_depth: MAX_DEPTH, max_compile_ms: COMPILE_MS };

/**
 * The error of a form that cannot be compiled: `INVALID_REQUEST` with the place in the body, or
 * `SCHEMA_TOO_COMPLEX` with the place and the limits.
 */
export class GrammarRefusal extends WorkerError {
  /** @param field the field of the body that the place begins with */
  constructor({ problem, path, message }: GrammarError, field: string) {
    const place = harmless(placeIn(field, path));
    const sentence = `${place} ${message}`;
    if (problem === 'too_complex')
      super('SCHEMA_TOO_COMPLEX', `${sentence}.`, { details: { field: place, ...LIMITS } });
    else
      super('INVALID_REQUEST', undefined, { violations: [{ field: place, constraint: problem, message: sentence }] });
  }
}

/** The errors that a caller gets for a form of the output that cannot be compiled. Pure. */
import { WorkerError } from '../../contract/errors.ts';
import { COMPILE_MS, MAX_DEPTH, MAX_STATES } from '../../grammar/budget.ts';
import type { GrammarError } from '../../grammar/grammar-error.ts';
import { cut, harmless } from '../../narration/sanitize.ts';

const LIMITS = { max_states: MAX_STATES, max_depth: MAX_DEPTH, max_compile_ms: COMPILE_MS };
/** UTF-16 units of a place in an error: names of properties are texts of the caller. */
const MAX_PLACE = 256;

/**
 * The error of a form that cannot be compiled: `INVALID_REQUEST` with the place in the body, or
 * `SCHEMA_TOO_COMPLEX` with the place and the limits.
 */
export class GrammarRefusal extends WorkerError {
  /** @param field the field of the body that the place begins with */
  constructor({ problem, path, message }: GrammarError, field: string) {
    const place = placeOf(field, path);
    const sentence = `${place} ${message}`;
    if (problem === 'too_complex')
      super('SCHEMA_TOO_COMPLEX', `${sentence}.`, { details: { field: place, ...LIMITS } });
    else
      super('INVALID_REQUEST', undefined, { violations: [{ field: place, constraint: problem, message: sentence }] });
  }
}

/** A place in the body: `response_format.json_schema.schema.anyOf[0].not`. */
function placeOf(field: string, path: readonly (string | number)[]): string {
  let place = field;
  for (const step of path) {
    if (place.length > MAX_PLACE) break;
    const name = typeof step === 'number' ? '' : harmless(step.slice(0, MAX_PLACE));
    place += typeof step === 'number' ? `[${step}]` : place === '' ? name : `.${name}`;
  }
  return cut(place, MAX_PLACE);
}

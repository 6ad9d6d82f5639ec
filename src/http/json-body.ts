/**
 * The only parser of bodies: JSON, not nested deeper than any body of ours, without names that would poison a prototype.
 */
import type { FastifyInstance } from 'fastify';
import { WorkerError } from '../contract/errors.ts';

/** The deepest body of the contract has three levels; what unknown fields hold may have some more. */
const MOST_LEVELS = 32;

/** An empty body is no error of the parser's: whether one is needed is the route's to say. */
export function acceptJsonOnly(app: FastifyInstance): void {
  const parse = app.getDefaultJsonParser('error', 'error');
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('application/json', { parseAs: 'string' }, (request, body, done) => {
    const text = String(body);
    if (text === '') done(null, undefined);
    else if (isDeeperThan(MOST_LEVELS, text)) done(tooDeep(), undefined);
    else parse(request, text, done);
  });
}

function tooDeep(): WorkerError {
  const message = `body must not be nested deeper than ${MOST_LEVELS} levels`;
  return new WorkerError('INVALID_REQUEST', message, { violations: [{ field: 'body', constraint: 'depth', message }] });
}

/** Whether more than `most` brackets are open at once, without looking further than it must. Strings are skipped. */
function isDeeperThan(most: number, text: string): boolean {
  const structure = /"(?:[^"\\]|\\.)*"?|[[\]{}]/gs;
  let depth = 0;
  for (let found = structure.exec(text); found; found = structure.exec(text)) {
    const [mark] = found;
    if (mark === '[' || mark === '{') depth += 1;
    if (mark === ']' || mark === '}') depth -= 1;
    if (depth > most) return true;
  }
  return false;
}

/**
 * The only body parser: JSON with a limited depth, and without names that could pollute a prototype.
 */
import type { FastifyInstance } from 'fastify';
import { WorkerError } from '../contract/errors.ts';

/** The deepest body of the contract has three levels; unknown fields may contain more. */
export const MAX_LEVELS = 32;

/**
 * Replaces Fastify's body parsers with one for JSON. Accepts an empty body: the route decides if a body is
 * required.
 */
export function acceptJsonOnly(app: FastifyInstance): void {
  const parse = app.getDefaultJsonParser('error', 'error');
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('application/json', { parseAs: 'string' }, (request, body, done) => {
    const text = String(body);
    if (text === '') done(null, undefined);
    else if (isDeeperThan(MAX_LEVELS, text)) done(tooDeep(), undefined);
    else parse(request, text, done);
  });
}

function tooDeep(): WorkerError {
  const message = `body must not be nested deeper than ${MAX_LEVELS} levels`;
  return new WorkerError('INVALID_REQUEST', message, { violations: [{ field: 'body', constraint: 'depth', message }] });
}

/**
 * True if more than `maxDepth` brackets are open at the same time. Skips strings, and stops at the first
 * bracket beyond the limit.
 */
function isDeeperThan(maxDepth: number, text: string): boolean {
  const structure = /"(?:[^"\\]|\\.)*"?|[[\]{}]/gs;
  let depth = 0;
  for (let found = structure.exec(text); found; found = structure.exec(text)) {
    const [mark] = found;
    if (mark === '[' || mark === '{') depth += 1;
    if (mark === ']' || mark === '}') depth -= 1;
    if (depth > maxDepth) return true;
  }
  return false;
}

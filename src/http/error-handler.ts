/**
 * The one error handler: turns a thrown value into a WorkerError, sets the headers that belong to the error,
 * and lets the route family write the body.
 */
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify';
import { ERRORS, WorkerError } from '../contract/errors.ts';
import { narrate } from '../narration/narrate.ts';
import type { Refusals } from './connections/refusals.ts';

/** Writes an error in the shape of a route family. */
export type ErrorFormatter = (error: WorkerError, request: FastifyRequest, reply: FastifyReply) => FastifyReply;

/** Fastify's error handler for a route family. Narrates defects of the worker, and counts refusals. */
export function errorHandler(format: ErrorFormatter, refusals: Refusals) {
  return (thrown: FastifyError | WorkerError, request: FastifyRequest, reply: FastifyReply): FastifyReply => {
    const error = workerErrorOf(thrown);
    if (error.code === 'INTERNAL')
      narrate('worker.fault', { error_kind: 'http', reason: String(thrown.stack ?? thrown) });
    if (error.code === 'UNAUTHORIZED' || error.code === 'FORBIDDEN_ORIGIN') {
      refusals.request(error.code, request);
      void reply.header('Connection', 'close');
    }
    if (error.code === 'UNAUTHORIZED') void reply.header('WWW-Authenticate', 'Bearer');
    if (error.retryAfterMs !== undefined) void reply.header('Retry-After', secondsOf(error.retryAfterMs));
    return format(error, request, reply);
  };
}

/** Whole seconds, at least 1. */
const secondsOf = (ms: number): number => Math.max(1, Math.ceil(ms / 1000));

/** Keeps a WorkerError, maps an error of Fastify by its status, and any other value to `INTERNAL`. */
export function workerErrorOf(error: FastifyError | WorkerError): WorkerError {
  if (error instanceof WorkerError) return error;
  if (error.statusCode === 413) return new WorkerError('PAYLOAD_TOO_LARGE');
  if (error.statusCode === 415) return new WorkerError('UNSUPPORTED_MEDIA_TYPE');
  if (error.statusCode !== undefined && error.statusCode < 500) {
    const body = error.code?.startsWith('FST_ERR_CTP') === true || error instanceof SyntaxError;
    const violation = body
      ? { field: 'body', constraint: 'json', message: 'body must be well-formed JSON' }
      : { field: 'request', constraint: 'http', message: 'the request must be well-formed HTTP' };
    return new WorkerError('INVALID_REQUEST', ERRORS.INVALID_REQUEST.sentence, { violations: [violation] });
  }
  return new WorkerError('INTERNAL');
}

/**
 * The one shape of every error answered before a stream begins, and how foreign errors are turned into it.
 */
import type { FastifyError, FastifyReply } from 'fastify';
import { ERRORS, WorkerError } from '../../contract/errors.ts';

/** The body of an error answer. Holds only what the error table, a violation or typed details say. */
export function errorBody(error: WorkerError, correlationId: string): object {
  return {
    error: {
      code: error.code,
      message: error.message,
      retriable: error.retriable,
      correlation_id: correlationId,
      ...(error.details && { details: error.details }),
      ...(error.violations && { errors: error.violations }),
    },
  };
}

export function sendError(reply: FastifyReply, error: WorkerError): FastifyReply {
  return reply.code(error.status).type('application/json; charset=utf-8').send(errorBody(error, reply.request.id));
}

/** The worker's error for whatever was thrown: its own as they are, Fastify's by their status, anything else as `INTERNAL`. */
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

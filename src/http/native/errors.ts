/**
 * The native shape of an error before a stream begins: `ErrorAnswer` as JSON. For an invalid `POST /execute`,
 * two SSE events instead, if the caller accepts an event stream.
 */
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Config } from '../../config/config.ts';
import { type Violation, WorkerError } from '../../contract/errors.ts';
import { EventLog } from '../../jobs/event-log.ts';
import { contextOf } from '../../jobs/job.ts';
import { narrate, runIn } from '../../narration/narrate.ts';
import { factsOf } from '../correlation.ts';
import type { ErrorFormatter } from '../error-handler.ts';
import { SSE_HEADERS, sseEncoder } from '../sse.ts';

/** Maximum length of the message that joins the sentences of all violations. */
const MAX_MESSAGE_CHARS = 2000;

/** Body of an error answer. Contains only public fields of the error, never a stack trace. */
export function errorBody(error: WorkerError, correlationId: string): object {
  return {
    error: {
      code: error.code,
      message: error.message,
      retriable: error.retriable,
      retry: error.retry,
      correlation_id: correlationId,
      ...(error.details && { details: error.details }),
      ...(error.violations && { errors: error.violations }),
    },
  };
}

/** Sends an error as JSON, with the HTTP status of its code. */
export function sendError(error: WorkerError, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  return reply.code(error.status).type('application/json; charset=utf-8').send(errorBody(error, request.id));
}

/**
 * The formatter of `POST /execute`: narrates violations for the job. A caller that accepts an event stream
 * gets them as two events, `narration` and `error`, and can show these like the events of a job.
 */
export function executeErrors(mode: Config['narration']): ErrorFormatter {
  return (error, request, reply) => {
    if (!error.violations) return sendError(error, request, reply);
    const { violations } = error;
    const log = new EventLog(sseEncoder(request.id));
    const context = contextOf({ ...factsOf(request), ...jobIdOf(request.body) }, log, mode);
    runIn(context, () => narrateViolations(violations));
    const sentences = violations.map((violation) => violation.message).join('; ');
    const message = sentences.slice(0, MAX_MESSAGE_CHARS);
    const invalid = new WorkerError('INVALID_REQUEST', message, { violations });
    if (!/\btext\/event-stream\b/i.test(request.headers.accept ?? '')) return sendError(invalid, request, reply);
    const { retriable, retry } = invalid;
    log.emit({ type: 'error', code: 'INVALID_REQUEST', message, retriable, retry });
    return reply.code(400).headers(SSE_HEADERS).send(log.text);
  };
}

/** Narrates that a request is invalid. Must run inside the context of the request. */
export function narrateViolations(violations: readonly Violation[]): void {
  const fields = [...new Set(violations.map((violation) => violation.field))].join(', ');
  narrate('request.invalid', { error_kind: 'validation_failed', field_errors: violations.length, fields });
}

/** The job id of an unchecked body, for the narration of the error. */
function jobIdOf(body: unknown): { readonly jobId?: string } {
  if (typeof body !== 'object' || body === null || !('job_id' in body)) return {};
  const { job_id: jobId } = body;
  return typeof jobId === 'string' && jobId.length > 0 ? { jobId } : {};
}

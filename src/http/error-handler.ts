/**
 * The one error handler: turns a thrown value into a WorkerError, sets the headers that belong to the error,
 * and lets the route family write the body.
 */
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify';
import { ERRORS, type Violation, WorkerError } from '../contract/errors.ts';
import { FIXED_LIMITS } from '../contract/execute.ts';
import { narrate } from '../narration/narrate.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import type { Refusals } from './connections/refusals.ts';

/** Writes an error in the shape of a route family. */
export type ErrorFormatter = (error: WorkerError, request: FastifyRequest, reply: FastifyReply) => FastifyReply;

/** Fastify's error handler for a route family. Narrates defects of the worker, counts errors and refusals. */
export function errorHandler(format: ErrorFormatter, refusals: Refusals, metrics: Pick<Metrics, 'failed'>) {
  return (thrown: FastifyError | WorkerError, request: FastifyRequest, reply: FastifyReply): FastifyReply => {
    if (hasLeft(thrown, reply)) return reply.hijack();
    const error = workerErrorOf(thrown);
    metrics.failed(error.code);
    request.trace?.refused(error.code);
    if (error.code === 'INTERNAL')
      narrate('worker.fault', { error_kind: 'http', reason: String(thrown.stack ?? thrown) });
    if (error.code === 'UNAUTHORIZED' || error.code === 'FORBIDDEN_ORIGIN') {
      refusals.request(error.code, request);
      void reply.header('Connection', 'close');
    }
    if (error.code === 'UNAUTHORIZED') void reply.header('WWW-Authenticate', 'Bearer');
    if (error.retryAfterMs !== undefined) void reply.header('Retry-After', secondsOf(error.retryAfterMs));
    if (!canRetryHere(error) && hasDialect(request)) void reply.header(...NO_RETRY);
    return format(error, request, reply);
  };
}

/** True if the client has closed the connection before the first byte of its answer, which was a stream. */
const hasLeft = ({ code }: FastifyError | WorkerError, { raw }: FastifyReply): boolean =>
  code === 'ERR_STREAM_PREMATURE_CLOSE' && raw.destroyed;

/** Header of an error of a dialect if another try on this worker cannot help. */
export const NO_RETRY = ['x-should-retry', 'false'] as const;

/** True if the same worker can serve the same request later. */
export const canRetryHere = ({
  retry,
  retryAfterMs,
}: Pick<WorkerError, 'retry'> & { retryAfterMs?: number | undefined }): boolean =>
  retry === 'here' || (retry === 'elsewhere' && retryAfterMs !== undefined);

/**
 * True for a route of a dialect. The clients of OpenAI and of Anthropic read `x-should-retry`; without it
 * they send a request again after every status from 500 on.
 */
const hasDialect = ({ routeOptions }: FastifyRequest): boolean => (routeOptions.config?.requestIds ?? []).length > 0;

/** Whole seconds, at least 1. */
export const secondsOf = (ms: number): number => Math.max(1, Math.ceil(ms / 1000));

/** The rule that a request breaks, by the code of Fastify's error. */
const RULES: Readonly<Record<string, Violation>> = {
  FST_ERR_BAD_URL: {
    field: 'path',
    constraint: 'encoding',
    message: 'the path must be percent-encoded UTF-8: each % must be followed by two hexadecimal digits',
  },
  FST_ERR_MAX_PARAM_LENGTH: {
    field: 'path',
    constraint: 'max_length',
    message: `the path must have a job id of at most ${FIXED_LIMITS.jobIdChars} characters`,
  },
};
const JSON_RULE: Violation = { field: 'body', constraint: 'json', message: 'body must be well-formed JSON' };
const HTTP_RULE: Violation = { field: 'request', constraint: 'http', message: 'the request must be well-formed HTTP' };

/** Keeps a WorkerError, maps an error of Fastify by its status, and any other value to `INTERNAL`. */
export function workerErrorOf(error: FastifyError | WorkerError): WorkerError {
  if (error instanceof WorkerError) return error;
  const { code = '', statusCode = 500 } = error;
  if (statusCode === 413) return new WorkerError('PAYLOAD_TOO_LARGE');
  if (statusCode === 415) return new WorkerError('UNSUPPORTED_MEDIA_TYPE');
  if (statusCode >= 500) return new WorkerError('INTERNAL');
  const isBody = code.startsWith('FST_ERR_CTP') || error instanceof SyntaxError;
  const violation = RULES[code] ?? (isBody ? JSON_RULE : HTTP_RULE);
  return new WorkerError('INVALID_REQUEST', ERRORS.INVALID_REQUEST.sentence, { violations: [violation] });
}

/**
 * The ids of a request: the correlation id, from the caller or new, and the ids of its W3C trace. The log has
 * them unchanged, so an id of the caller that contains a secret of this process is not used.
 */
import type { IncomingHttpHeaders } from 'node:http';
import type { FastifyRequest } from 'fastify';
import { v4 as uuid } from 'uuid';
import type { RequestIds } from '../jobs/job.ts';
import { holdsSecret } from '../narration/sanitize.ts';

/** Maximum length of a correlation id. */
export const MAX_CORRELATION_CHARS = 64;
const VALID = new RegExp(`^[A-Za-z0-9._-]{1,${MAX_CORRELATION_CHARS}}$`);
/**
 * Any version except ff; trace id and parent id in lower-case hex, not all zeros.
 * https://www.w3.org/TR/trace-context/
 */
const TRACEPARENT = /^(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-[0-9a-f]{2}$/;

/**
 * The header `X-Correlation-Id`, or `X-Request-Id`, if it has 1 to 64 characters of `[A-Za-z0-9._-]`;
 * otherwise a UUID v4.
 */
export function correlationIdOf(headers: IncomingHttpHeaders): string {
  const given = headers['x-correlation-id'] ?? headers['x-request-id'];
  return typeof given === 'string' && VALID.test(given) && !holdsSecret(given) ? given : uuid();
}

/** Trace id and parent span id of the caller. */
export type Trace = Required<Pick<RequestIds, 'traceId' | 'spanId'>>;

/** The trace of the header `traceparent`; undefined if absent, or malformed (as the standard requires). */
export function traceOf(headers: IncomingHttpHeaders): Trace | undefined {
  const match = TRACEPARENT.exec(String(headers['traceparent'] ?? ''));
  const [traceId, spanId] = [match?.[1], match?.[2]];
  if (traceId === undefined || spanId === undefined || holdsSecret(traceId) || holdsSecret(spanId)) return undefined;
  return { traceId, spanId };
}

/** The ids that every narration of a request carries. */
export function idsOf(request: FastifyRequest): RequestIds {
  return { correlationId: request.id, ...traceOf(request.headers) };
}

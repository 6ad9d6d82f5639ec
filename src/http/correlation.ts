/**
 * The ids of a request: the correlation id, from the caller or new, and the ids of its W3C trace. The log has
 * them unchanged, so an id of the caller that contains a secret of this process is not used.
 */
import type { IncomingHttpHeaders } from 'node:http';
import type { FastifyRequest } from 'fastify';
import { v4 as uuid } from 'uuid';
import type { RequestFacts } from '../jobs/job.ts';
import { holdsSecret } from '../narration/sanitize.ts';
import type { RequestTrace } from '../telemetry/traces/request-trace.ts';

/** Maximum length of a correlation id. */
export const MAX_CORRELATION_CHARS = 64;
const VALID = new RegExp(`^[A-Za-z0-9._-]{1,${MAX_CORRELATION_CHARS}}$`);
/**
 * Any version except ff; trace id and parent id in lower-case hex, not all zeros.
 * https://www.w3.org/TR/trace-context/
 */
const TRACEPARENT = /^(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})$/;

/**
 * The header `X-Correlation-Id`, or `X-Request-Id`, if it has 1 to 64 characters of `[A-Za-z0-9._-]`;
 * otherwise a UUID v4.
 */
export function correlationIdOf(headers: IncomingHttpHeaders): string {
  const given = headers['x-correlation-id'] ?? headers['x-request-id'];
  return typeof given === 'string' && VALID.test(given) && !holdsSecret(given) ? given : uuid();
}

declare module 'fastify' {
  interface FastifyRequest {
    /** The span of the request; undefined without traces, and for a route without spans. */
    trace: RequestTrace | undefined;
  }
}

/** Trace id, parent span id and flags of the caller. */
export interface Trace {
  readonly traceId: string;
  readonly spanId: string;
  /** Bit 0: the caller's span is sampled. */
  readonly flags: number;
}

/** The trace of the header `traceparent`; undefined if absent, or malformed (as the standard requires). */
export function traceOf(headers: IncomingHttpHeaders): Trace | undefined {
  const match = TRACEPARENT.exec(String(headers['traceparent'] ?? ''));
  const [traceId, spanId, flags = ''] = [match?.[1], match?.[2], match?.[3]];
  if (traceId === undefined || spanId === undefined || holdsSecret(traceId) || holdsSecret(spanId)) return undefined;
  return { traceId, spanId, flags: Number.parseInt(flags, 16) };
}

/** The span of a request, and the ids that each of its narrations carries: with a span, those of the span. */
export function factsOf(request: FastifyRequest): RequestFacts {
  const { trace } = request;
  const { traceId, spanId } = trace ?? traceOf(request.headers) ?? {};
  return {
    correlationId: request.id,
    ...(traceId !== undefined && spanId !== undefined && { traceId, spanId }),
    ...(trace && { trace }),
  };
}

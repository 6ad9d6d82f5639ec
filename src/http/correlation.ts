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
 * Any version except ff; trace id and parent id in lower-case hex, not all zeros. A version after 00 may have
 * more parts, which are not read (https://www.w3.org/TR/trace-context/#versioning-of-traceparent).
 */
const TRACEPARENT =
  /^(?!ff|00.{54})[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(?:-[\x21-\x7e]{0,200})?$/;
/** `key=value`, or empty (https://www.w3.org/TR/trace-context/#list-members). */
const TRACE_STATE_MEMBER = /^(?:[a-z0-9][a-z0-9_*/@-]{0,255}=[\x20-\x2b\x2d-\x3c\x3e-\x7e]{1,256})?$/;
const MAX_TRACE_STATE = { chars: 512, members: 32 } as const;

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

/**
 * The header `tracestate`, which belongs to the parent, unchanged. Undefined if it is absent, malformed or
 * longer than the 512 characters that the standard demands, or has a secret of this process.
 */
export function traceStateOf(headers: IncomingHttpHeaders): string | undefined {
  const state = [headers['tracestate'] ?? []].flat().join(',');
  if (state === '' || state.length > MAX_TRACE_STATE.chars || holdsSecret(state)) return undefined;
  const members = state.split(',').map((member) => member.replace(/^[ \t]+|[ \t]+$/g, ''));
  const isRight = members.length <= MAX_TRACE_STATE.members && members.every((one) => TRACE_STATE_MEMBER.test(one));
  return isRight ? state : undefined;
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

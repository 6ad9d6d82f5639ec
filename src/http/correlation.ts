/**
 * Which request is this? The caller's correlation id if it is a fit one, else a new one; the caller's place in a W3C trace.
 */
import type { IncomingHttpHeaders } from 'node:http';
import { v4 as uuid } from 'uuid';

const FIT = /^[A-Za-z0-9._-]{1,64}$/;
/** Any version but ff: trace id and parent id in lower-case hex, neither all zeros. https://www.w3.org/TR/trace-context/ */
const TRACEPARENT = /^(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-[0-9a-f]{2}$/;

/** `X-Correlation-Id` as it is when it has 1 to 64 of `[A-Za-z0-9._-]`, else a UUID v4. */
export function correlationIdOf(headers: IncomingHttpHeaders): string {
  const given = headers['x-correlation-id'];
  return typeof given === 'string' && FIT.test(given) ? given : uuid();
}

export interface Trace {
  readonly traceId: string;
  readonly spanId: string;
}

/** Trace and span of a well-formed `traceparent`; undefined otherwise, as the standard asks. */
export function traceOf(headers: IncomingHttpHeaders): Trace | undefined {
  const match = TRACEPARENT.exec(String(headers['traceparent'] ?? ''));
  const [traceId, spanId] = [match?.[1], match?.[2]];
  return traceId === undefined || spanId === undefined ? undefined : { traceId, spanId };
}

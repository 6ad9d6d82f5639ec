/**
 * The rules of OTLP/HTTP for an answer: taken, try again, or given up
 * (https://opentelemetry.io/docs/specs/otlp/#otlphttp-response). Pure.
 */
import type { Answer } from './post.ts';

export type Verdict =
  /** `rejected`: spans that the receiver did not take. */
  | { readonly verdict: 'taken'; readonly rejected: number; readonly reason: string }
  /** `waitMs`: the wait that the receiver asks for. */
  | { readonly verdict: 'retry'; readonly waitMs: number | undefined; readonly reason: string }
  | { readonly verdict: 'failed'; readonly reason: string };

const RETRIED: readonly number[] = [429, 502, 503, 504];
const FIRST_WAIT_MS = 1000;
const LONGEST_WAIT_MS = 16_000;
/** Maximum UTF-16 units of a message of the receiver. */
const MAX_MESSAGE = 200;

/** Judges an answer. @param now milliseconds since 1970 */
export function verdictOf({ status, retryAfter, body }: Answer, now = Date.now()): Verdict {
  if (status >= 200 && status < 300) return partialSuccess(body);
  const reason = `HTTP status ${status}`;
  if (!RETRIED.includes(status)) return { verdict: 'failed', reason };
  return { verdict: 'retry', waitMs: retryAfterMs(retryAfter, now), reason };
}

/** Milliseconds to wait before attempt `attempt + 1`: doubled each time, less a random part. */
export function backoffMs(attempt: number, random = Math.random()): number {
  const longest = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** (attempt - 1));
  return longest * (1 - random / 2);
}

/** `Retry-After`: seconds, or a date (RFC 9110, section 10.2.3). Undefined if absent or malformed. */
export function retryAfterMs(text: string | undefined, now: number): number | undefined {
  if (text === undefined) return undefined;
  if (/^\d{1,9}$/.test(text.trim())) return Number(text) * 1000;
  const date = Date.parse(text);
  return Number.isNaN(date) ? undefined : Math.max(0, date - now);
}

/** `partialSuccess` of the answer. Any other body means that all spans were accepted. */
function partialSuccess(body: string): Verdict {
  const { rejectedSpans = 0, errorMessage } = fieldsOf(fieldsOf(parsed(body))['partialSuccess']);
  const rejected = Number(rejectedSpans);
  return {
    verdict: 'taken',
    rejected: Number.isSafeInteger(rejected) && rejected > 0 ? rejected : 0,
    reason: typeof errorMessage === 'string' && errorMessage !== '' ? errorMessage.slice(0, MAX_MESSAGE) : 'no reason',
  };
}

function parsed(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    return undefined;
  }
}

const fieldsOf = (value: unknown): Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};

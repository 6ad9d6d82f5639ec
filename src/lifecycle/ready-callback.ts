/**
 * Reports to the pool-manager that the worker is ready, in up to five attempts, each narrated. Sends HTTP
 * requests to one URL only.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { v4 as uuid } from 'uuid';
import { narrate, runIn } from '../narration/narrate.ts';
import { backoffDelay } from '../protocol/backoff.ts';
import type { DeviceName } from '../protocol/devices.ts';

export const ATTEMPTS = 5;
const FIRST_DELAY_MS = 1000;
const MAX_DELAY_MS = 60_000;
export const ANSWER_MS = 5000;

/** The body of the report. */
export interface ReadyNotice {
  readonly worker_id: string;
  readonly model_ref: string;
  readonly vram_bytes: number;
  /** Absent if the system does not report it. */
  readonly memory_bytes?: number;
  readonly uri: string;
  readonly device: DeviceName;
  readonly capabilities: readonly string[];
  readonly protocol: 'sse';
  readonly version: string;
}

/** Times of the attempts in milliseconds. */
export interface CallbackTimes {
  /** Delay between the first two attempts. */
  readonly firstDelayMs?: number;
  /** Maximum time until the response. */
  readonly answerMs?: number;
}

/**
 * POSTs `notice` to `url` until a response is 2xx: at most 5 attempts of 5 s each. The delay between attempts
 * is 1 s and doubles each time, with jitter. Never throws.
 * @returns true after a 2xx response; false after the last attempt, or if `signal` aborted.
 */
export function reportReady(
  url: string,
  notice: ReadyNotice,
  signal: AbortSignal,
  { firstDelayMs = FIRST_DELAY_MS, answerMs = ANSWER_MS }: CallbackTimes = {},
): Promise<boolean> {
  const correlationId = uuid();
  return runIn({ correlationId }, async () => {
    for (let attempt = 1; attempt <= ATTEMPTS && !signal.aborted; attempt += 1) {
      narrate('callback.attempt', { url, attempt, attempts: ATTEMPTS });
      const began = performance.now();
      const answer = await post(url, notice, correlationId, { signal, answerMs });
      if (signal.aborted) return false;
      if ('status' in answer && answer.status >= 200 && answer.status < 300) {
        narrate('callback.ready', { url, attempt, http_status: answer.status, duration_ms: performance.now() - began });
        return true;
      }
      const last = attempt === ATTEMPTS;
      const delay = backoffDelay(attempt, { firstMs: firstDelayMs, longestMs: MAX_DELAY_MS });
      narrate('callback.failed', {
        url,
        attempt,
        attempts: ATTEMPTS,
        error_kind: 'callback_failed',
        reason: 'status' in answer ? `pool-manager answered ${answer.status}` : answer.failure,
        ...('status' in answer && { http_status: answer.status }),
        ...(!last && { retry_after_ms: Math.round(delay) }),
      });
      if (!last) await sleep(delay, undefined, { signal }).catch(() => undefined);
    }
    return false;
  });
}

type Answer = { readonly status: number } | { readonly failure: string };

async function post(
  url: string,
  notice: ReadyNotice,
  correlationId: string,
  { signal, answerMs }: { signal: AbortSignal; answerMs: number },
): Promise<Answer> {
  try {
    const { target, authorization } = splitCredentials(url);
    const response = await fetch(target, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', 'X-Correlation-Id': correlationId, ...authorization },
      body: JSON.stringify(notice),
      redirect: 'manual',
      signal: AbortSignal.any([signal, AbortSignal.timeout(answerMs)]),
    });
    await response.body?.cancel();
    return { status: response.status };
  } catch (error) {
    return { failure: failureOf(error, answerMs) };
  }
}

/** `fetch` refuses a URL with user and password: both are sent in the header `Authorization` instead. */
function splitCredentials(url: string): { target: URL; authorization: Record<string, string> } {
  const target = new URL(url);
  const { username, password } = target;
  if (username === '' && password === '') return { target, authorization: {} };
  target.username = '';
  target.password = '';
  const pair = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
  return { target, authorization: { Authorization: `Basic ${Buffer.from(pair).toString('base64')}` } };
}

/** Sentences for the error codes of a connection. */
const CONNECTION_ERRORS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connection refused',
  ECONNRESET: 'the connection was closed before the answer',
  UND_ERR_SOCKET: 'the connection was closed before the answer',
  ENOTFOUND: 'the host name is not known',
};

/** The cause of a failed request, for the operator: the message of `fetch` is only `fetch failed`. */
function failureOf(error: unknown, answerMs: number): string {
  if (!(error instanceof Error)) return String(error);
  if (error.name === 'TimeoutError') return `no answer within ${answerMs / 1000} s`;
  const cause = error.cause as { code?: string; message?: string } | undefined;
  if (cause?.code?.startsWith('HPE_')) return 'the answer is not HTTP';
  return CONNECTION_ERRORS[cause?.code ?? ''] ?? cause?.code ?? cause?.message ?? error.message;
}

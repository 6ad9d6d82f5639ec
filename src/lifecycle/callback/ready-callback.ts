/**
 * Reports to the pool-manager that the worker is ready, in up to five attempts, each narrated. Sends HTTP
 * requests to one URL only.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { v4 as uuid } from 'uuid';
import type { HttpProxy } from '../../config/network/proxy-settings.ts';
import { narrate, runIn } from '../../narration/narrate.ts';
import { backoffDelay } from '../../protocol/backoff.ts';
import type { DeviceName } from '../../protocol/devices.ts';
import { postReport } from './callback-request.ts';

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

/** The way of the report, and the times of the attempts in milliseconds. */
export interface CallbackOptions {
  /** Delay between the first two attempts. */
  readonly firstDelayMs?: number;
  /** Maximum time until the response. */
  readonly answerMs?: number;
  readonly proxy?: HttpProxy | undefined;
  /** Replaces `uri` by the URL for the local address of the connection; undefined keeps `uri`. */
  readonly uriAt?: ((localAddress: string) => string | undefined) | undefined;
}

/**
 * POSTs `notice` to `url` until a response is 2xx: at most 5 attempts of 5 s each. The delay between attempts
 * is 1 s and doubles each time, with jitter; a longer `Retry-After` counts, up to a minute. A certificate
 * that is not accepted ends the attempts. Never throws.
 * @returns true after a 2xx response; false after the last attempt, or if `signal` aborted.
 */
export function reportReady(
  url: string,
  notice: ReadyNotice,
  signal: AbortSignal,
  { firstDelayMs = FIRST_DELAY_MS, answerMs = ANSWER_MS, proxy, uriAt }: CallbackOptions = {},
): Promise<boolean> {
  const correlationId = uuid();
  const bodyFor = bodyMaker(url, notice, uriAt);
  return runIn({ correlationId }, async () => {
    for (let attempt = 1; attempt <= ATTEMPTS && !signal.aborted; attempt += 1) {
      narrate('callback.attempt', { url, attempt, attempts: ATTEMPTS });
      const began = performance.now();
      const answer = await postReport({ url, correlationId, bodyFor, proxy, answerMs, signal });
      if (signal.aborted) return false;
      if ('status' in answer && answer.status >= 200 && answer.status < 300) {
        narrate('callback.ready', { url, attempt, http_status: answer.status, duration_ms: performance.now() - began });
        return true;
      }
      const last = attempt === ATTEMPTS || ('isFinal' in answer && answer.isFinal);
      const asked = Math.min('status' in answer ? (answer.waitMs ?? 0) : 0, MAX_DELAY_MS);
      const delay = Math.max(asked, backoffDelay(attempt, { firstMs: firstDelayMs, longestMs: MAX_DELAY_MS }));
      narrate('callback.failed', {
        url,
        attempt,
        attempts: ATTEMPTS,
        error_kind: 'callback_failed',
        reason: 'status' in answer ? `pool-manager answered ${answer.status}` : answer.failure,
        ...('status' in answer && { http_status: answer.status }),
        ...(!last && { retry_after_ms: Math.round(delay) }),
      });
      if (last) return false;
      await sleep(delay, undefined, { signal }).catch(() => undefined);
    }
    return false;
  });
}

/** Makes the bodies of the attempts, and narrates the address in them if the connection decides it. */
function bodyMaker(
  url: string,
  notice: ReadyNotice,
  uriAt: CallbackOptions['uriAt'],
): (localAddress: string) => string {
  let narrated: string | undefined;
  return (localAddress) => {
    const uri = uriAt?.(localAddress) ?? notice.uri;
    if (uriAt !== undefined && uri !== narrated) narrate('callback.address', { url, uri });
    narrated = uri;
    return JSON.stringify({ ...notice, uri });
  };
}

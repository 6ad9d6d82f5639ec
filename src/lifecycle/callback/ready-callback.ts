/**
 * One announcement: reports to the pool-manager that the worker is ready, in as many attempts as it takes,
 * each narrated. Sends HTTP requests to one URL only.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { v4 as uuid } from 'uuid';
import type { HttpProxy } from '../../config/network/proxy-settings.ts';
import type { ReadyNotice } from '../../contract/callback.ts';
import { narrate, runIn } from '../../narration/narrate.ts';
import { backoffDelay } from '../../protocol/backoff.ts';
import { type Connection, postReport } from './callback-request.ts';
import { isAccepted, type Problem, problemOf } from './callback-status.ts';

/** Times of an announcement, in milliseconds. */
export interface CallbackTimes {
  /** Maximum delay before the first attempt, random: workers that start together do not call together. */
  readonly spreadMs: number;
  /** Delay between the first two attempts, before jitter. */
  readonly firstDelayMs: number;
  /** Maximum delay between two attempts, with jitter. */
  readonly longestDelayMs: number;
  /** Maximum time until the response. */
  readonly answerMs: number;
}
export const CALLBACK_TIMES: CallbackTimes = {
  spreadMs: 250,
  firstDelayMs: 1000,
  longestDelayMs: 60_000,
  answerMs: 5000,
};
/** Largest factor of the jitter in `backoffDelay`. */
const MOST_JITTER = 1.25;

/** One announcement and its way. */
export interface Announcement {
  readonly url: string;
  readonly notice: ReadyNotice;
  /** Bearer token for the pool-manager. */
  readonly token?: string | undefined;
  readonly proxy?: HttpProxy | undefined;
  /** The URL of the worker in the report, once a connection is open; absent: the one of the notice. */
  readonly urlAt?: ((connection: Connection) => string) | undefined;
  /** Time after which a failed attempt is the last one, in milliseconds; 0: never. */
  readonly giveUpMs: number;
  /** True if the worker ends unless the pool-manager accepts this announcement. */
  readonly isVital: boolean;
  /** Ends the announcement at once. */
  readonly stop: AbortSignal;
  /** Ends the announcement before its next attempt: another one follows. */
  readonly next?: AbortSignal | undefined;
  /** Replaces times of `CALLBACK_TIMES`. */
  readonly times?: Partial<CallbackTimes> | undefined;
}

/** `ended`: by one of the two signals. `failed`: no other attempt is made. */
export type Outcome = 'accepted' | 'failed' | 'ended';

/**
 * POSTs the notice until a response is 2xx. The delay between attempts is 1 s and doubles each time up to
 * 60 s, with jitter; a longer `Retry-After` counts, up to 60 s. The attempts end with a certificate that is
 * not accepted, with status 410, and after `giveUpMs`: the last delay is shortened, so that the last attempt
 * begins at the end of this time. Never throws.
 */
export function sendAnnouncement(announcement: Announcement): Promise<Outcome> {
  const correlationId = uuid();
  return runIn({ correlationId }, () => new Attempts(announcement, correlationId).run());
}

class Attempts {
  readonly #announcement: Announcement;
  readonly #correlationId: string;
  readonly #times: CallbackTimes;
  /** Aborts a delay. */
  readonly #ended: AbortSignal;
  /** Value of the monotonic clock at the end of the time. */
  readonly #until: number;
  /** True if the next attempt begins at the end of the time. */
  #isLast = false;

  constructor(announcement: Announcement, correlationId: string) {
    const { stop, next, giveUpMs, times } = announcement;
    this.#announcement = announcement;
    this.#correlationId = correlationId;
    this.#times = { ...CALLBACK_TIMES, ...times };
    this.#ended = next ? AbortSignal.any([stop, next]) : stop;
    this.#until = giveUpMs === 0 ? Number.POSITIVE_INFINITY : performance.now() + giveUpMs;
  }

  async run(): Promise<Outcome> {
    const { url, notice, stop } = this.#announcement;
    const { announcement, reason } = notice;
    await this.#pause(Math.random() * this.#times.spreadMs);
    for (let attempt = 1; !this.#ended.aborted; attempt += 1) {
      narrate('callback.attempt', { url, announcement, attempt, reason });
      const began = performance.now();
      const answer = await this.#post();
      if (stop.aborted) return 'ended';
      if (isAccepted(answer)) {
        const facts = { http_status: answer.status, duration_ms: performance.now() - began };
        narrate('callback.ready', { url, announcement, attempt, ...facts });
        return 'accepted';
      }
      const problem = problemOf(answer);
      const delay = this.#delayAfter(attempt, problem);
      this.#narrateFailure(attempt, problem, delay);
      if (delay === undefined) return 'failed';
      await this.#pause(delay);
    }
    return 'ended';
  }

  #post(): ReturnType<typeof postReport> {
    const { url, notice, token, proxy, urlAt, stop } = this.#announcement;
    return postReport({
      url,
      correlationId: this.#correlationId,
      idempotencyKey: `${notice.instance_id}-${notice.announcement}`,
      token,
      bodyFor: (connection) => {
        const own = urlAt?.(connection) ?? notice.url;
        return JSON.stringify({ ...notice, url: own, uri: own });
      },
      proxy,
      answerMs: this.#times.answerMs,
      signal: stop,
    });
  }

  /** Milliseconds until the next attempt; undefined if there is none. */
  #delayAfter(attempt: number, { isFinal, waitMs }: Problem): number | undefined {
    const { firstDelayMs, longestDelayMs } = this.#times;
    const left = this.#until - performance.now();
    // A newer announcement follows at once, whatever the answer to this one.
    if (this.#announcement.next?.aborted) return 0;
    if (isFinal || this.#isLast || left <= 0) return undefined;
    const backoff = backoffDelay(attempt, { firstMs: firstDelayMs, longestMs: longestDelayMs / MOST_JITTER });
    const delay = Math.min(Math.max(waitMs, backoff), longestDelayMs);
    this.#isLast = delay >= left;
    return Math.max(0, Math.min(delay, left));
  }

  #narrateFailure(attempt: number, { reason, status, isFinal }: Problem, delay: number | undefined): void {
    const { url, notice, isVital, giveUpMs } = this.#announcement;
    const facts = {
      url,
      announcement: notice.announcement,
      attempt,
      error_kind: 'callback_failed',
      reason,
      ...(status !== undefined && { http_status: status }),
    };
    if (delay !== undefined) narrate('callback.failed', { ...facts, retry_after_ms: Math.round(delay) });
    else
      narrate(isVital ? 'callback.failed' : 'callback.abandoned', {
        ...facts,
        ...(!isFinal && { timeout_ms: giveUpMs }),
      });
  }

  async #pause(ms: number): Promise<void> {
    await sleep(ms, undefined, { signal: this.#ended }).catch(() => undefined);
  }
}

/**
 * The subscribers of one job, and the effects of their reading speed. While all of them lag, narration and
 * metrics are shed; if they stall, the generation pauses. A stalled subscriber is disconnected. When the last
 * one leaves, the job stops or waits. Knows no wire format.
 */
import type { Writable } from 'node:stream';
import type { Backpressure } from '../bridge/sequence-inbox.ts';
import { WorkerError } from '../contract/errors.ts';
import { narrate, type RequestContext, runIn } from '../narration/narrate.ts';
import { ThrottledCount } from '../narration/throttle.ts';
import type { EventLog } from './event-log.ts';
import type { StopReason } from './stop-outcome.ts';
import { Subscriber } from './subscriber.ts';

/** Maximum subscribers of a job. Each event is written to all of them, so this bounds the time per event. */
export const MAX_SUBSCRIBERS = 16;
/** Time after which a reader without a place is asked to try again. */
const RETRY_MS = 1000;
/**
 * Narration and metrics are shed while every subscriber has more unread bytes than this: about 800 tokens.
 */
export const SHED_BYTES = 64 * 1024;
/**
 * A subscriber with more unread bytes than the first value is stalled, until it has fewer than the second.
 * The distance keeps pauses rare. The second value is more than all buffers between the log and a healthy
 * socket.
 */
export const STALLED_BYTES = 128 * 1024;
export const CAUGHT_UP_BYTES = 64 * 1024;
/**
 * A log over its limit is trimmed to this share of the limit, so that the next event does not trim it again.
 */
const TRIM_TO = 0.75;

/** Settings of the caller and the operator for the subscribers of one job. Times in milliseconds. */
export interface ReadPolicy {
  /** Effect on the job when the last subscriber leaves before the end. */
  readonly onDisconnect: 'cancel' | 'continue';
  /** Time after which a job that continues without subscribers is stopped. */
  readonly detachMs: number;
  /** Time after which a stalled subscriber that takes no data is disconnected. */
  readonly slowMs: number;
  /** Time without an event after which a subscriber gets keep-alive text. */
  readonly keepAliveMs: number;
  /** Maximum memory of the log of a running job, in bytes. */
  readonly logBytes: number;
}

/** The parts of a job that its subscribers use. */
interface SubscribedJob {
  readonly context: RequestContext;
  readonly log: EventLog;
  readonly stopped: object | undefined;
  stop(why: StopReason): void;
}

export class Subscribers implements Backpressure {
  readonly #job: SubscribedJob;
  readonly #policy: ReadPolicy;
  readonly #subscribers = new Set<Subscriber>();
  /** Stalled subscribers, each with the timer that disconnects it. */
  readonly #stalled = new Map<Subscriber, NodeJS.Timeout>();
  /** Stops the job. Runs while a job with `on_disconnect: continue` has no subscriber. */
  #detached: NodeJS.Timeout | undefined;
  #pausedSince: number | undefined;
  #onPause: (paused: boolean) => void = () => undefined;
  /** True while a new event is passed to all subscribers: one evaluation for all of them follows. */
  #serving = false;
  /** True if an evaluation is scheduled for the end of this turn of the event loop. */
  #scheduled = false;
  /** A subscriber can join and leave again hundreds of times a second. */
  readonly #joins = new ThrottledCount((times) => this.#reportJoins(times));
  readonly #departures = new ThrottledCount((times) => this.#reportDepartures(times));
  /** Events replayed to subscribers since the last report of joins. */
  #replayed = 0;

  constructor(job: SubscribedJob, policy: ReadPolicy) {
    this.#job = job;
    this.#policy = policy;
    job.log.subscribe({
      isLagging: () => this.#leastUnread() > SHED_BYTES,
      onChange: () => this.#serve(),
    });
  }

  /** True if the generation must pause. */
  get paused(): boolean {
    return this.#pausedSince !== undefined;
  }

  get size(): number {
    return this.#subscribers.size;
  }

  /** Sets the callback for each pause and each resume. */
  onChange(changed: (paused: boolean) => void): void {
    this.#onPause = changed;
  }

  /**
   * Adds a subscriber that reads the events from id `from` on. The caller pipes the subscriber into `answer`;
   * the subscriber is destroyed when `answer` closes.
   * @throws WorkerError `TOO_MANY_READERS` if the job has 16 subscribers
   */
  add(from: number, answer: Writable): Subscriber {
    if (this.#subscribers.size >= MAX_SUBSCRIBERS) throw tooMany();
    const subscriber = new Subscriber(this.#job.log, from, answer, {
      onProgress: () => this.#onProgress(subscriber),
      onClosed: () => this.#remove(subscriber),
      keepAliveMs: this.#policy.keepAliveMs,
    });
    clearTimeout(this.#detached);
    this.#subscribers.add(subscriber);
    answer.on('drain', () => this.#onProgress(subscriber)).once('close', () => subscriber.destroy());
    if (answer.destroyed) subscriber.destroy();
    this.#evaluate();
    return subscriber;
  }

  /** Adds a subscriber to a stream that has begun (see `add`), and reports that it joined. */
  join(from: number, answer: Writable): Subscriber {
    const subscriber = this.add(from, answer);
    this.#replayed += this.#job.log.next - from;
    this.#joins.add();
    return subscriber;
  }

  #reportJoins(times: number): void {
    const facts = { times, events_replayed: this.#replayed, readers: this.size };
    this.#replayed = 0;
    runIn(this.#job.context, () => narrate('reader.returned', facts));
  }

  /** Reports joins and departures that wait. Their timers would keep the job and its log in memory. */
  flushReports(): void {
    this.#joins.flush();
    this.#departures.flush();
  }

  #reportDepartures(times: number): void {
    const facts = { times, timeout_ms: this.#policy.detachMs };
    runIn(this.#job.context, () => narrate('reader.detached', facts));
  }

  /** Passes a new event to all subscribers, then evaluates once: the cost is linear in their number. */
  #serve(): void {
    this.#serving = true;
    for (const subscriber of this.#subscribers) subscriber.serve();
    this.#serving = false;
    if (this.#job.log.over) clearTimeout(this.#detached);
    this.#evaluate();
  }

  /** Restarts the stall timer: the subscriber has taken data. */
  #onProgress(subscriber: Subscriber): void {
    this.#stalled.get(subscriber)?.refresh();
    this.#scheduleEvaluation();
  }

  #remove(subscriber: Subscriber): void {
    this.#subscribers.delete(subscriber);
    clearTimeout(this.#stalled.get(subscriber));
    this.#stalled.delete(subscriber);
    const { log, stopped } = this.#job;
    if (this.#subscribers.size === 0 && !log.over && !stopped) {
      if (this.#policy.onDisconnect === 'cancel') this.#job.stop('reader_left');
      else {
        this.#detached = setTimeout(() => this.#job.stop('unclaimed'), this.#policy.detachMs);
        this.#departures.add();
      }
    }
    this.#scheduleEvaluation();
  }

  /** Sockets drain in bursts: all drains of one turn of the event loop share one evaluation. */
  #scheduleEvaluation(): void {
    if (this.#serving || this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      this.#evaluate();
    });
  }

  /** Updates the stalled subscribers, trims the log, and pauses or resumes the generation. */
  #evaluate(): void {
    const { over } = this.#job.log;
    for (const subscriber of this.#subscribers) this.#updateStalled(subscriber, over);
    this.#trimLog();
    const allStalled = this.#subscribers.size > 0 && this.#stalled.size === this.#subscribers.size;
    const full = this.#subscribers.size === 0 && this.#job.log.bytes > this.#policy.logBytes;
    this.#setPaused(!over && (allStalled || full));
  }

  /**
   * Starts or clears the stall timer of a subscriber. After the end of the log, every subscriber with unread
   * bytes counts as stalled, which bounds the lifetime of its connection.
   */
  #updateStalled(subscriber: Subscriber, over: boolean): void {
    const { unread } = subscriber;
    const timer = this.#stalled.get(subscriber);
    if (!timer && unread > (over ? 0 : STALLED_BYTES)) {
      this.#stalled.set(
        subscriber,
        setTimeout(() => this.#onStallTimeout(subscriber), this.#policy.slowMs),
      );
    } else if (timer && unread < (over ? 1 : CAUGHT_UP_BYTES)) {
      clearTimeout(timer);
      this.#stalled.delete(subscriber);
    }
  }

  /**
   * Disconnects a stalled subscriber. If it is the last one of a job with `on_disconnect: cancel`, the job
   * ends with SLOW_CONSUMER instead, and the subscriber gets one more timeout to read the rest.
   */
  #onStallTimeout(subscriber: Subscriber): void {
    this.#stalled.delete(subscriber);
    const { context, log } = this.#job;
    if (!log.over && this.#subscribers.size === 1 && this.#policy.onDisconnect === 'cancel') {
      this.#job.stop('slow_reader');
      return;
    }
    const facts = { unread_bytes: subscriber.unread, timeout_ms: this.#policy.slowMs };
    runIn(context, () => narrate('reader.dropped', facts));
    subscriber.destroy();
  }

  /**
   * Drops events that all up-to-date subscribers have received. A subscriber that still needs them is
   * disconnected; it can reconnect and replay the rest.
   */
  #trimLog(): void {
    const { log } = this.#job;
    if (log.bytes <= this.#policy.logBytes || this.#subscribers.size === 0) return;
    log.trim(this.#policy.logBytes * TRIM_TO, Math.max(...[...this.#subscribers].map(({ next }) => next)));
    for (const subscriber of this.#subscribers) if (subscriber.next < log.first) subscriber.destroy();
  }

  #setPaused(paused: boolean): void {
    if (paused === this.paused) return;
    const since = this.#pausedSince;
    this.#pausedSince = paused ? performance.now() : undefined;
    this.#onPause(paused);
    const unread_bytes = this.#subscribers.size > 0 ? this.#leastUnread() : this.#job.log.bytes;
    runIn(this.#job.context, () => {
      if (since === undefined) narrate('generation.paused', { unread_bytes });
      else narrate('generation.resumed', { duration_ms: performance.now() - since });
    });
  }

  /** Unread bytes of the subscriber that is nearest to the end; 0 without subscribers. */
  #leastUnread(): number {
    if (this.#subscribers.size === 0) return 0;
    let least = Number.POSITIVE_INFINITY;
    for (const { unread } of this.#subscribers) least = Math.min(least, unread);
    return least;
  }
}

function tooMany(): WorkerError {
  const message = `This job has ${MAX_SUBSCRIBERS} readers, the maximum. Disconnect one of them, or retry when one has left.`;
  return new WorkerError('TOO_MANY_READERS', message, { retryAfterMs: RETRY_MS });
}

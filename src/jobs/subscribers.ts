/**
 * Who reads a job's log, and what follows from how they read: its generation pauses while all of them lag, narration and metrics are shed,
 * one who takes nothing for too long is let go, and when the last has left the job stops or waits for somebody to come back.
 */
import type { ServerResponse } from 'node:http';
import type { Backpressure } from '../bridge/sequence-inbox.ts';
import { narrate, type RequestContext, runIn } from '../narration/narrate.ts';
import type { EventLog } from './event-log.ts';
import type { StopReason } from './stop-outcome.ts';
import { Subscriber } from './subscriber.ts';

/** Unread bytes of a reader beyond which narration and metrics are shed, if every reader has as many: some 800 tokens. */
const SHED_BYTES = 64 * 1024;
/**
 * Unread bytes at which a reader counts as stalled, and at which it no longer does: far enough apart that a pause is seldom. The lower one is
 * more than what lies between log and socket when all is well.
 */
const STALLED_BYTES = 128 * 1024;
const CAUGHT_UP_BYTES = 64 * 1024;
/** A log that is too long is cut to this share of what it may hold, so that it is not cut again at once. */
const CUT_TO = 0.75;

/** What the caller and the operator have decided about readers. Times in milliseconds. */
export interface ReadPolicy {
  /** What happens when the last reader leaves before the end. */
  readonly onDisconnect: 'cancel' | 'continue';
  /** How long a job that goes on without a reader waits for one. */
  readonly detachMs: number;
  /** How long a reader that is stalled may take nothing. */
  readonly slowMs: number;
  /** Most bytes of the log of a running job. */
  readonly logBytes: number;
}

/** The job whose readers these are. */
interface Subject {
  readonly context: RequestContext;
  readonly log: EventLog;
  readonly stopped: object | undefined;
  stop(why: StopReason): void;
}

export class Subscribers implements Backpressure {
  readonly #job: Subject;
  readonly #policy: ReadPolicy;
  readonly #subscribers = new Set<Subscriber>();
  /** Readers that take too little, each with the end of the worker's patience. */
  readonly #stalled = new Map<Subscriber, NodeJS.Timeout>();
  /** Runs while nobody reads a job that goes on all the same. */
  #absence: NodeJS.Timeout | undefined;
  #pausedSince: number | undefined;
  #listener: (held: boolean) => void = () => undefined;

  constructor(job: Subject, terms: ReadPolicy) {
    this.#job = job;
    this.#policy = terms;
    job.log.lagging = () => this.#leastUnread() > SHED_BYTES;
    job.log.changed = () => this.#serve();
  }

  /** Whether the generation is to pause. */
  get paused(): boolean {
    return this.#pausedSince !== undefined;
  }

  get size(): number {
    return this.#subscribers.size;
  }

  onChange(changed: (held: boolean) => void): void {
    this.#listener = changed;
  }

  /** A reader of the events from `from` on, to be piped into `answer`, whose end is its own. */
  add(from: number, answer: ServerResponse): Subscriber {
    const reader = new Subscriber(this.#job.log, from, answer, {
      onTaken: () => this.#onRead(reader),
      onGone: () => this.#remove(reader),
    });
    clearTimeout(this.#absence);
    this.#subscribers.add(reader);
    answer.on('drain', () => this.#onRead(reader)).once('close', () => reader.destroy());
    if (answer.destroyed) reader.destroy();
    this.#evaluate();
    return reader;
  }

  /** The log has grown, or is over. */
  #serve(): void {
    for (const reader of this.#subscribers) reader.serve();
    if (this.#job.log.over) clearTimeout(this.#absence);
    this.#evaluate();
  }

  #onRead(reader: Subscriber): void {
    this.#stalled.get(reader)?.refresh();
    this.#evaluate();
  }

  #remove(reader: Subscriber): void {
    this.#subscribers.delete(reader);
    clearTimeout(this.#stalled.get(reader));
    this.#stalled.delete(reader);
    const { log, stopped, context } = this.#job;
    if (this.#subscribers.size === 0 && !log.over && !stopped) {
      if (this.#policy.onDisconnect === 'cancel') this.#job.stop('reader_left');
      else {
        const timeout_ms = this.#policy.detachMs;
        this.#absence = setTimeout(() => this.#job.stop('unclaimed'), timeout_ms);
        runIn(context, () => narrate('reader.detached', { timeout_ms }));
      }
    }
    this.#evaluate();
  }

  /** Looks at every reader, at the length of the log, and decides whether the generation goes on. */
  #evaluate(): void {
    const { over } = this.#job.log;
    for (const reader of this.#subscribers) this.#updateStalled(reader, over);
    this.#trimLog();
    const all = this.#subscribers.size > 0 && this.#stalled.size === this.#subscribers.size;
    const full = this.#subscribers.size === 0 && this.#job.log.bytes > this.#policy.logBytes;
    this.#setPaused(!over && (all || full));
  }

  /** When a log is over, whatever is unread waits for its reader, and so does the connection. */
  #updateStalled(reader: Subscriber, over: boolean): void {
    const { unread } = reader;
    const patience = this.#stalled.get(reader);
    if (!patience && unread > (over ? 0 : STALLED_BYTES)) {
      this.#stalled.set(
        reader,
        setTimeout(() => this.#onStallTimeout(reader), this.#policy.slowMs),
      );
    } else if (patience && unread < (over ? 1 : CAUGHT_UP_BYTES)) {
      clearTimeout(patience);
      this.#stalled.delete(reader);
    }
  }

  /** The last reader of a job that is not to go on without one ends it, and gets as long again to take what is left. */
  #onStallTimeout(reader: Subscriber): void {
    this.#stalled.delete(reader);
    const { context, log } = this.#job;
    if (!log.over && this.#subscribers.size === 1 && this.#policy.onDisconnect === 'cancel') {
      this.#job.stop('slow_reader');
      return;
    }
    runIn(context, () => narrate('reader.dropped', { unread_bytes: reader.unread, timeout_ms: this.#policy.slowMs }));
    reader.destroy();
  }

  /** What every reader that keeps up has had goes first; one that is still there is let go. It can come back for what is kept. */
  #trimLog(): void {
    const { log } = this.#job;
    if (log.bytes <= this.#policy.logBytes || this.#subscribers.size === 0) return;
    log.trim(this.#policy.logBytes * CUT_TO, Math.max(...[...this.#subscribers].map(({ next }) => next)));
    for (const reader of this.#subscribers) if (reader.next < log.first) reader.destroy();
  }

  #setPaused(held: boolean): void {
    if (held === this.paused) return;
    const since = this.#pausedSince;
    this.#pausedSince = held ? performance.now() : undefined;
    this.#listener(held);
    const unread_bytes = this.#subscribers.size > 0 ? this.#leastUnread() : this.#job.log.bytes;
    runIn(this.#job.context, () => {
      if (since === undefined) narrate('generation.paused', { unread_bytes });
      else narrate('generation.resumed', { duration_ms: performance.now() - since });
    });
  }

  /** Unread bytes of the reader that is nearest to the end; 0 when nobody reads. */
  #leastUnread(): number {
    return this.#subscribers.size === 0 ? 0 : Math.min(...[...this.#subscribers].map(({ unread }) => unread));
  }
}

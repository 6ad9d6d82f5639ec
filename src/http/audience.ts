/**
 * Who reads a job's log, and what follows from how they read: its generation pauses while all of them lag, narration and metrics are shed,
 * one who takes nothing for too long is let go, and when the last has left the job stops or waits for somebody to come back.
 */
import type { ServerResponse } from 'node:http';
import type { Flow } from '../bridge/mailbox.ts';
import { narrate, type Story, tell } from '../narration/narrate.ts';
import type { Stop } from './jobs.ts';
import { Reader } from './reader.ts';
import type { EventLog } from './stream.ts';

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
export interface ReadingTerms {
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
  readonly story: Story;
  readonly stream: EventLog;
  readonly stopped: object | undefined;
  stop(why: Stop): void;
}

export class Audience implements Flow {
  readonly #job: Subject;
  readonly #terms: ReadingTerms;
  readonly #readers = new Set<Reader>();
  /** Readers that take too little, each with the end of the worker's patience. */
  readonly #stalled = new Map<Reader, NodeJS.Timeout>();
  /** Runs while nobody reads a job that goes on all the same. */
  #absence: NodeJS.Timeout | undefined;
  #heldSince: number | undefined;
  #watcher: (held: boolean) => void = () => undefined;

  constructor(job: Subject, terms: ReadingTerms) {
    this.#job = job;
    this.#terms = terms;
    job.stream.lagging = () => this.#least() > SHED_BYTES;
    job.stream.changed = () => this.#serve();
  }

  /** Whether the generation is to pause. */
  get held(): boolean {
    return this.#heldSince !== undefined;
  }

  get size(): number {
    return this.#readers.size;
  }

  watch(changed: (held: boolean) => void): void {
    this.#watcher = changed;
  }

  /** A reader of the events from `from` on, to be piped into `answer`, whose end is its own. */
  join(from: number, answer: ServerResponse): Reader {
    const reader = new Reader(this.#job.stream, from, answer, {
      onTaken: () => this.#taken(reader),
      onGone: () => this.#gone(reader),
    });
    clearTimeout(this.#absence);
    this.#readers.add(reader);
    answer.on('drain', () => this.#taken(reader)).once('close', () => reader.destroy());
    if (answer.destroyed) reader.destroy();
    this.#weigh();
    return reader;
  }

  /** The log has grown, or is over. */
  #serve(): void {
    for (const reader of this.#readers) reader.serve();
    if (this.#job.stream.over) clearTimeout(this.#absence);
    this.#weigh();
  }

  #taken(reader: Reader): void {
    this.#stalled.get(reader)?.refresh();
    this.#weigh();
  }

  #gone(reader: Reader): void {
    this.#readers.delete(reader);
    clearTimeout(this.#stalled.get(reader));
    this.#stalled.delete(reader);
    const { stream, stopped, story } = this.#job;
    if (this.#readers.size === 0 && !stream.over && !stopped) {
      if (this.#terms.onDisconnect === 'cancel') this.#job.stop('reader_left');
      else {
        const timeout_ms = this.#terms.detachMs;
        this.#absence = setTimeout(() => this.#job.stop('unclaimed'), timeout_ms);
        tell(story, () => narrate('reader.detached', { timeout_ms }));
      }
    }
    this.#weigh();
  }

  /** Looks at every reader, at the length of the log, and decides whether the generation goes on. */
  #weigh(): void {
    const { over } = this.#job.stream;
    for (const reader of this.#readers) this.#judge(reader, over);
    this.#shorten();
    const all = this.#readers.size > 0 && this.#stalled.size === this.#readers.size;
    const full = this.#readers.size === 0 && this.#job.stream.bytes > this.#terms.logBytes;
    this.#hold(!over && (all || full));
  }

  /** When a log is over, whatever is unread waits for its reader, and so does the connection. */
  #judge(reader: Reader, over: boolean): void {
    const { unread } = reader;
    const patience = this.#stalled.get(reader);
    if (!patience && unread > (over ? 0 : STALLED_BYTES)) {
      this.#stalled.set(
        reader,
        setTimeout(() => this.#losePatience(reader), this.#terms.slowMs),
      );
    } else if (patience && unread < (over ? 1 : CAUGHT_UP_BYTES)) {
      clearTimeout(patience);
      this.#stalled.delete(reader);
    }
  }

  /** The last reader of a job that is not to go on without one ends it, and gets as long again to take what is left. */
  #losePatience(reader: Reader): void {
    this.#stalled.delete(reader);
    const { story, stream } = this.#job;
    if (!stream.over && this.#readers.size === 1 && this.#terms.onDisconnect === 'cancel') {
      this.#job.stop('slow_reader');
      return;
    }
    tell(story, () => narrate('reader.dropped', { unread_bytes: reader.unread, timeout_ms: this.#terms.slowMs }));
    reader.destroy();
  }

  /** What every reader that keeps up has had goes first; one that is still there is let go. It can come back for what is kept. */
  #shorten(): void {
    const { stream } = this.#job;
    if (stream.bytes <= this.#terms.logBytes || this.#readers.size === 0) return;
    stream.trim(this.#terms.logBytes * CUT_TO, Math.max(...[...this.#readers].map(({ next }) => next)));
    for (const reader of this.#readers) if (reader.next < stream.first) reader.destroy();
  }

  #hold(held: boolean): void {
    if (held === this.held) return;
    const since = this.#heldSince;
    this.#heldSince = held ? performance.now() : undefined;
    this.#watcher(held);
    const unread_bytes = this.#readers.size > 0 ? this.#least() : this.#job.stream.bytes;
    tell(this.#job.story, () => {
      if (since === undefined) narrate('generation.paused', { unread_bytes });
      else narrate('generation.resumed', { duration_ms: performance.now() - since });
    });
  }

  /** Unread bytes of the reader that is nearest to the end; 0 when nobody reads. */
  #least(): number {
    return this.#readers.size === 0 ? 0 : Math.min(...[...this.#readers].map(({ unread }) => unread));
  }
}

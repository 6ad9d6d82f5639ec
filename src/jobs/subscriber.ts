/**
 * One reader of a job's log: a cursor that moves as its socket takes what it is given. It waits for new events, keeps proxies awake, and
 * knows how far behind its socket is. Decides nothing: its audience does.
 */
import { Readable, type Writable } from 'node:stream';
import type { EventLog } from './event-log.ts';

/** Every so often a comment line, so that no proxy thinks the connection dead. */
const KEEP_ALIVE_MS = 15_000;
/** What is handed to the socket at once, and what may wait between the log and the socket: memory of a reader that does not read. */
const CHUNK_BYTES = 16 * 1024;

/** What a reader tells its audience. */
export interface SubscriberEvents {
  /** It is asked for more, as its socket took something. */
  readonly onTaken: (reader: Subscriber) => void;
  /** It has had the last event, or its connection is gone. Told once. */
  readonly onGone: (reader: Subscriber) => void;
}

export class Subscriber extends Readable {
  readonly #log: EventLog;
  readonly #socket: Pick<Writable, 'writableLength'>;
  readonly #events: SubscriberEvents;
  readonly #keepAliveMs: number;
  #next: number;
  #hungry = false;
  #quiet: NodeJS.Timeout | undefined;

  /** @param socket the answer that it is piped into */
  constructor(
    log: EventLog,
    from: number,
    socket: Pick<Writable, 'writableLength'>,
    events: SubscriberEvents,
    keepAliveMs: number = KEEP_ALIVE_MS,
  ) {
    super({ highWaterMark: CHUNK_BYTES });
    this.#log = log;
    this.#next = from;
    this.#socket = socket;
    this.#events = events;
    this.#keepAliveMs = keepAliveMs;
  }

  /** Id of the event that it is given next. */
  get next(): number {
    return this.#next;
  }

  /** Bytes that its socket has not taken: of the log, and on their way to the socket. */
  get unread(): number {
    return this.#log.beyond(this.#next) + this.readableLength + this.#socket.writableLength;
  }

  /** The log has changed. */
  serve(): void {
    if (this.#hungry) this._read();
  }

  override _read(): void {
    const { text, next } = this.#log.take(this.#next, CHUNK_BYTES);
    this.#hungry = text === '';
    if (text !== '') {
      this.#next = next;
      this.push(text);
    } else if (this.#log.over) this.push(null);
    else this.#awaitNext();
    this.#events.onTaken(this);
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    clearTimeout(this.#quiet);
    this.#events.onGone(this);
    done(error);
  }

  /** One timer for the whole stream: tokens come by the thousand. */
  #awaitNext(): void {
    this.#quiet ??= setTimeout(() => this.#keepAwake(), this.#keepAliveMs);
    this.#quiet.refresh();
  }

  #keepAwake(): void {
    if (!this.#hungry) return;
    this.#hungry = false;
    this.push(': keep-alive\n\n');
  }
}

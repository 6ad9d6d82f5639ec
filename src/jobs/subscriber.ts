/**
 * One subscriber of a job's log: a cursor that advances as its socket takes data. Waits for new events, sends
 * keep-alive text, and measures how far its socket is behind. Decides nothing: `Subscribers` does.
 */
import { Readable, type Writable } from 'node:stream';
import type { EventLog } from './event-log.ts';

/** A quiet connection gets keep-alive text this often, so that no proxy closes it. */
const KEEP_ALIVE_MS = 15_000;
/**
 * Size of a write to the socket, and of the buffer between log and socket: memory of a subscriber that does
 * not read.
 */
const CHUNK_BYTES = 16 * 1024;

export interface SubscriberOptions {
  /** The stream asked for more data, because the socket took some. */
  readonly onTaken: (subscriber: Subscriber) => void;
  /** The subscriber received the last event, or its connection is closed. Called once. */
  readonly onGone: (subscriber: Subscriber) => void;
  /** Silence after which the keep-alive text is sent, in milliseconds. */
  readonly keepAliveMs?: number;
}

export class Subscriber extends Readable {
  readonly #log: EventLog;
  readonly #socket: Pick<Writable, 'writableLength'>;
  readonly #options: SubscriberOptions;
  #next: number;
  /** True if the stream asked for data and the log had none. */
  #hungry = false;
  #quiet: NodeJS.Timeout | undefined;

  /** @param socket the answer that this stream is piped into */
  constructor(log: EventLog, from: number, socket: Pick<Writable, 'writableLength'>, options: SubscriberOptions) {
    super({ highWaterMark: CHUNK_BYTES });
    this.#log = log;
    this.#next = from;
    this.#socket = socket;
    this.#options = options;
  }

  /** Id of the next event for this subscriber. */
  get next(): number {
    return this.#next;
  }

  /** Bytes that the socket has not taken: in the log, in this stream, and in the answer. */
  get unread(): number {
    return this.#log.beyond(this.#next) + this.readableLength + this.#socket.writableLength;
  }

  /** Called when the log has changed. */
  serve(): void {
    if (this.#hungry) this.#fill();
  }

  override _read(): void {
    this.#fill();
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    clearTimeout(this.#quiet);
    this.#options.onGone(this);
    done(error);
  }

  #fill(): void {
    const { text, next } = this.#log.take(this.#next, CHUNK_BYTES);
    this.#hungry = text === '';
    if (text !== '') {
      this.#next = next;
      this.push(text);
    } else if (this.#log.over) this.push(null);
    else this.#awaitNext();
    this.#options.onTaken(this);
  }

  /** One timer for the whole stream: a stream has thousands of tokens. */
  #awaitNext(): void {
    if (this.#log.keepAlive === undefined) return;
    this.#quiet ??= setTimeout(() => this.#keepAlive(), this.#options.keepAliveMs ?? KEEP_ALIVE_MS);
    this.#quiet.refresh();
  }

  #keepAlive(): void {
    const text = this.#log.keepAlive;
    if (!this.#hungry || text === undefined) return;
    this.#hungry = false;
    this.push(text);
  }
}

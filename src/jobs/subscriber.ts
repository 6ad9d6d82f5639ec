/**
 * One subscriber of a job's log: a cursor that advances as its socket takes data. Waits for new events, sends
 * keep-alive text, and measures unread bytes. Pauses and disconnects are decided in `Subscribers`.
 */
import { Readable, type Writable } from 'node:stream';
import type { EventLog } from './event-log.ts';

/**
 * Bytes of a write to the socket, and of the buffer between log and socket: the memory of a subscriber that
 * does not read. Also the bytes of a replay in one turn of the event loop: a fast socket takes the whole log
 * at once, and 1 MiB of short events took 58 ms.
 */
export const CHUNK_BYTES = 16 * 1024;

export interface SubscriberOptions {
  /** Called when the stream requests more data, because the socket took some. */
  readonly onProgress: () => void;
  /** Called once, when the subscriber has received the last event or its connection has closed. */
  readonly onClosed: () => void;
  /**
   * Milliseconds without data after which keep-alive text is sent, so that no proxy closes the connection.
   */
  readonly keepAliveMs: number;
}

export class Subscriber extends Readable {
  readonly #log: EventLog;
  readonly #socket: Pick<Writable, 'writableLength'>;
  readonly #options: SubscriberOptions;
  #next: number;
  /** True if the stream has requested data and the log has none. */
  #waiting = false;
  /** True until the next turn of the event loop, after a chunk that did not reach the end of the log. */
  #resting = false;
  /** True if the stream has requested data meanwhile. */
  #postponed = false;
  #keepAliveTimer: NodeJS.Timeout | undefined;

  /**
   * @param from id of the first event to send
   * @param socket the answer that this stream is piped into
   */
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
    return this.#log.bytesFrom(this.#next) + this.readableLength + this.#socket.writableLength;
  }

  /** Called when the log has changed. */
  serve(): void {
    if (this.#waiting) this.#fill();
  }

  override _read(): void {
    this.#fill();
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    clearTimeout(this.#keepAliveTimer);
    this.#options.onClosed();
    done(error);
  }

  #fill(): void {
    if (this.#resting) {
      this.#postponed = true;
      return;
    }
    const { text, next } = this.#log.take(this.#next, CHUNK_BYTES);
    this.#waiting = text === '';
    if (text !== '') {
      this.#next = next;
      if (next < this.#log.next) this.#rest();
      this.push(text);
    } else if (this.#log.over) this.push(null);
    else this.#awaitNext();
    this.#options.onProgress();
  }

  /** Sends the next chunk of a long log in the next turn, after the turns of other requests. */
  #rest(): void {
    this.#resting = true;
    this.#postponed = false;
    setImmediate(() => {
      this.#resting = false;
      if (this.#postponed && !this.destroyed) this.#fill();
    });
  }

  /** Restarts the keep-alive timer. One timer serves the whole stream, which has thousands of tokens. */
  #awaitNext(): void {
    if (!this.#log.keepsAlive) return;
    this.#keepAliveTimer ??= setTimeout(() => this.#keepAlive(), this.#options.keepAliveMs);
    this.#keepAliveTimer.refresh();
  }

  #keepAlive(): void {
    if (!this.#waiting) return;
    const text = this.#log.keepAlive;
    if (text === undefined) return;
    this.#waiting = false;
    this.push(text);
  }
}

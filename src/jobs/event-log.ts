/**
 * The event log of one job: encoded events with ids, one terminal event, shedding, trimming. Knows no wire
 * format, no inference and no sockets. All subscribers read this log, so a replay has the same bytes as the
 * live stream.
 */
import type { EventBody } from '../contract/events.ts';
import type { JobEvent } from './job-events.ts';

/** Bytes of memory of a frame besides its text: object headers and an entry of the list. */
const FRAME_BYTES = 64;

/** A wire format. */
export interface Encoder {
  /**
   * Text of an event, with all separators of the format. Undefined if the format does not send this event:
   * the event then uses no id, and the next event gets `id`. A format without a stream returns one text for
   * the terminal event.
   */
  encode(event: JobEvent, id: number): string | undefined;
  /**
   * Text that keeps a quiet connection open, or makes it at the moment of sending. It has no id and is not
   * logged. Absent if the format has none.
   */
  readonly keepAlive?: string | (() => string) | undefined;
  /** Media type of the format; absent: server-sent events. */
  readonly contentType?: string;
}

/** The subscribers of a job, as its log uses them. */
export interface LogListener {
  /**
   * True if all subscribers are so far behind that narration and metrics are shed. Called before each of
   * these events.
   */
  readonly isLagging: () => boolean;
  /** Called after each event, and when the log is closed. */
  readonly onChange: () => void;
}

interface Frame {
  readonly text: string;
  /** Bytes of the log up to the end of this frame, counted from the first frame of the job. */
  readonly end: number;
  /** Bytes of memory. */
  readonly cost: number;
}

export class EventLog {
  readonly #encoder: Encoder;
  #listener: LogListener | undefined;
  #frames: Frame[] = [];
  /** Id of the oldest frame in memory. */
  #first = 0;
  /** Bytes of all frames ever written. */
  #written = 0;
  /** Bytes of all frames that were trimmed. */
  #trimmed = 0;
  /** Bytes of memory of all frames in memory. */
  #cost = 0;
  /** Shed events since the last narration, and in total. */
  #shed = 0;
  #totalShed = 0;
  /** Narrations from before `started`, which is always the first event; undefined afterwards. */
  #early: EventBody<'narration'>[] | undefined;
  #begun = false;
  /** True after the terminal event, or after `close`: no event follows. */
  #over = false;
  #resolveOpened: () => void = () => undefined;
  /** Resolves at the first event, or when the log is closed without one. */
  readonly opened = new Promise<void>((resolve) => {
    this.#resolveOpened = resolve;
  });

  /** With `awaitsStart`, the log begins with `started`; earlier narrations are written right after it. */
  constructor(encoder: Encoder, { awaitsStart = false } = {}) {
    this.#encoder = encoder;
    if (awaitsStart) this.#early = [];
  }

  /** True if no event will follow. */
  get over(): boolean {
    return this.#over;
  }

  /** True if the first event was emitted, even if the format does not send it. */
  get begun(): boolean {
    return this.#begun;
  }

  /** Id of the oldest event in memory. */
  get first(): number {
    return this.#first;
  }

  /** Id of the next event. */
  get next(): number {
    return this.#first + this.#frames.length;
  }

  /** Bytes of memory that the log uses. */
  get bytes(): number {
    return this.#cost;
  }

  /** Number of narrations and metrics shed so far. */
  get shed(): number {
    return this.#totalShed;
  }

  /** True while narrations and metrics are shed. */
  get lagging(): boolean {
    return this.#listener?.isLagging() === true;
  }

  /** Text of all events in memory. */
  get text(): string {
    return this.take(this.#first, Number.POSITIVE_INFINITY).text;
  }

  /** True if the wire format has a keep-alive text. */
  get keepsAlive(): boolean {
    return this.#encoder.keepAlive !== undefined;
  }

  /** Keep-alive text of the wire format at this moment. */
  get keepAlive(): string | undefined {
    const { keepAlive } = this.#encoder;
    return typeof keepAlive === 'function' ? keepAlive() : keepAlive;
  }

  /** Media type of the wire format; undefined for server-sent events. */
  get contentType(): string | undefined {
    return this.#encoder.contentType;
  }

  /** Sets the listener. A log has one: the subscribers of its job. */
  subscribe(listener: LogListener): void {
    this.#listener = listener;
  }

  /**
   * Appends an event. Drops every event after the terminal one, and narration and metrics while all
   * subscribers lag.
   */
  emit(event: JobEvent): void {
    if (this.#over) return;
    if (event.type === 'narration' && this.#early) {
      this.#early.push(event);
      return;
    }
    if ((event.type === 'narration' || event.type === 'metrics') && this.lagging) {
      this.#shed += 1;
      this.#totalShed += 1;
      return;
    }
    this.#append(this.#withShed(event));
    this.#begun = true;
    this.#over = event.type === 'end' || event.type === 'error';
    this.#resolveOpened();
    if (event.type === 'started') this.#emitEarly();
    this.#listener?.onChange();
  }

  /** Ends the log of a job that was refused before its first event. */
  close(): void {
    this.#over = true;
    this.#resolveOpened();
    this.#listener?.onChange();
  }

  /**
   * Text of the frames from id `from` on: at most `maxBytes` bytes, but at least one frame; empty if there is
   * none. `next` is the id after the last of these frames.
   */
  take(from: number, maxBytes: number): { readonly text: string; readonly next: number } {
    const start = from - this.#first;
    const limit = this.#written - this.bytesFrom(from) + maxBytes;
    let end = start;
    while (this.#frames[end] && (end === start || (this.#frames[end]?.end ?? 0) <= limit)) end += 1;
    const taken = this.#frames.slice(start, end);
    return { text: taken.map(({ text }) => text).join(''), next: this.#first + end };
  }

  /** Bytes of text of the frames from id `from` on. */
  bytesFrom(from: number): number {
    const before = this.#frames[from - this.#first - 1];
    return this.#written - (before?.end ?? this.#trimmed);
  }

  /**
   * Drops the oldest frames until the log uses at most `bytes` of memory. Keeps the frames from id `before`
   * on.
   */
  trim(bytes: number, before: number): void {
    let count = 0;
    while (this.#cost > bytes && this.#first + count < before) {
      this.#cost -= this.#frames[count]?.cost ?? 0;
      count += 1;
    }
    const dropped = this.#frames.splice(0, count);
    this.#first += dropped.length;
    this.#trimmed = dropped.at(-1)?.end ?? this.#trimmed;
  }

  #append(event: JobEvent): void {
    const text = this.#encoder.encode(event, this.next);
    if (text === undefined) return;
    const size = Buffer.byteLength(text);
    // V8 stores Latin-1 text with one byte per character and all other text with two.
    const cost = FRAME_BYTES + (size === text.length ? size : 2 * text.length);
    this.#written += size;
    this.#cost += cost;
    this.#frames.push({ text, end: this.#written, cost });
  }

  #emitEarly(): void {
    const early = this.#early ?? [];
    this.#early = undefined;
    for (const narration of early) this.emit(narration);
  }

  /** Adds the number of shed events to the next narration. */
  #withShed(event: JobEvent): JobEvent {
    if (event.type !== 'narration' || this.#shed === 0) return event;
    const shed = this.#shed;
    this.#shed = 0;
    return { ...event, shed };
  }
}

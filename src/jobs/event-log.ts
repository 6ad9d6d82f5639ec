/**
 * The event log of one job: its frames with ids, one terminal event, and what is shed. Knows nothing of inference, nor of sockets.
 * Every reader, the first and any later one, reads this log: what is replayed is what was live.
 */
import type { EventData, EventType } from '../contract/events.ts';

/** What a frame costs in memory beside its text: headers of objects, and its place in the list. */
const FRAME_BYTES = 64;

/** Events that carry the correlation id. */
const CORRELATED: ReadonlySet<EventType> = new Set<EventType>(['started', 'narration', 'end', 'error']);

export const SSE_HEADERS = {
  'Content-Type': 'text/event-stream; charset=utf-8',
  'Cache-Control': 'no-cache, no-transform',
  'X-Accel-Buffering': 'no',
} as const;

interface Frame {
  readonly text: string;
  /** Bytes of the log up to the end of this frame, from its very first. */
  readonly end: number;
  /** Bytes of memory. */
  readonly cost: number;
}

export class EventLog {
  readonly #correlationId: string;
  #frames: Frame[] = [];
  /** Id of the oldest frame that is kept. */
  #first = 0;
  /** Bytes of all frames that there ever were. */
  #written = 0;
  #trimmed = 0;
  #cost = 0;
  #shed = 0;
  #shedInAll = 0;
  /** Narrations told before `started`, which is always first; undefined once it is out, or where a log has none. */
  #early: EventData<'narration'>[] | undefined;
  /** A terminal event is in the log, or the job was refused: nothing follows. */
  #over = false;
  #begin: () => void = () => undefined;
  /** Resolves when the first event is in the log, or when there will be none. */
  readonly opened = new Promise<void>((resolve) => {
    this.#begin = resolve;
  });
  /** Whether every reader lags so far behind that narration and metrics are shed. */
  lagging: () => boolean = () => false;
  /** Called after each event, and when the log is closed. */
  changed: () => void = () => undefined;

  /** `awaitsStart`: the log of a job, which begins with `started`; what is narrated before it is told right after it. */
  constructor(correlationId: string, { awaitsStart = false } = {}) {
    this.#correlationId = correlationId;
    if (awaitsStart) this.#early = [];
  }

  /** Whether nothing will be written any more. */
  get over(): boolean {
    return this.#over;
  }

  /** Whether the first event is in the log, or was. */
  get begun(): boolean {
    return this.#written > 0;
  }

  /** Id of the oldest event that is kept. */
  get first(): number {
    return this.#first;
  }

  /** Id of the event that comes next. */
  get next(): number {
    return this.#first + this.#frames.length;
  }

  /** Bytes that the log holds in memory. */
  get bytes(): number {
    return this.#cost;
  }

  /** Narrations and metrics shed so far. */
  get shed(): number {
    return this.#shedInAll;
  }

  /** All that is kept, as it goes over the wire. */
  get text(): string {
    return this.take(this.#first, Number.POSITIVE_INFINITY).text;
  }

  /** Appends one event. After the terminal event, and while all readers lag (narration, metrics), it is not written. */
  emit<T extends EventType>(type: T, data: EventData<T>): void {
    if (this.#over) return;
    if (type === 'narration' && this.#early) {
      this.#early.push(data as EventData<'narration'>);
      return;
    }
    if ((type === 'narration' || type === 'metrics') && this.lagging()) {
      this.#shed += 1;
      this.#shedInAll += 1;
      return;
    }
    const told = type === 'narration' && this.#shed > 0 ? { shed: this.#takeShed() } : undefined;
    const correlation = CORRELATED.has(type) ? { correlation_id: this.#correlationId } : undefined;
    const json = oneLine(JSON.stringify({ type, ...data, ...told, ...correlation }));
    const text = `id: ${this.next}\nevent: ${type}\ndata: ${json}\n\n`;
    const size = Buffer.byteLength(text);
    // A string of nothing but Latin-1 takes a byte a character in memory, any other takes two.
    const cost = FRAME_BYTES + (size === text.length ? size : 2 * text.length);
    this.#written += size;
    this.#cost += cost;
    this.#frames.push({ text, end: this.#written, cost });
    this.#over = type === 'end' || type === 'error';
    this.#begin();
    if (type === 'started') this.#tellEarly();
    this.changed();
  }

  /** Ends the log of a job that was refused before its first event. */
  close(): void {
    this.#over = true;
    this.#begin();
    this.changed();
  }

  /** The frames from event `from` on that together have at most `most` bytes, but at least one; no text when there are none. */
  take(from: number, most: number): { readonly text: string; readonly next: number } {
    const start = from - this.#first;
    const limit = this.#written - this.beyond(from) + most;
    let end = start;
    while (this.#frames[end] && (end === start || (this.#frames[end]?.end ?? 0) <= limit)) end += 1;
    const taken = this.#frames.slice(start, end);
    return { text: taken.map(({ text }) => text).join(''), next: this.#first + end };
  }

  /** Bytes of the frames from event `from` on. */
  beyond(from: number): number {
    const before = this.#frames[from - this.#first - 1];
    return this.#written - (before?.end ?? this.#trimmed);
  }

  /** Lets go of the oldest frames, for good, until the log holds at most `bytes`; those from event `before` on stay. */
  trim(bytes: number, before: number): void {
    let count = 0;
    while (this.#cost > bytes && this.#first + count < before) {
      this.#cost -= this.#frames[count]?.cost ?? 0;
      count += 1;
    }
    const gone = this.#frames.splice(0, count);
    this.#first += gone.length;
    this.#trimmed = gone.at(-1)?.end ?? this.#trimmed;
  }

  #tellEarly(): void {
    const early = this.#early ?? [];
    this.#early = undefined;
    for (const narration of early) this.emit('narration', narration);
  }

  #takeShed(): number {
    const shed = this.#shed;
    this.#shed = 0;
    return shed;
  }
}

/** SSE ends lines at CR and LF only, but some readers split at every line end that Unicode knows (Python's `splitlines`). */
function oneLine(json: string): string {
  return json.replace(/[\u0085\u2028\u2029]/g, (end) => `\\u${end.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

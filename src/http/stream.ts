/**
 * The event log of one job and its SSE frames: ids, one terminal event, keep-alive, back-pressure. Knows nothing of inference.
 * Tokens and the terminal event are never dropped; narration and metrics are held back from a reader that lags.
 */
import type { EventData, EventType } from './events.ts';

/** Every so often a comment line, so that no proxy thinks the connection dead. */
const KEEP_ALIVE_MS = 15_000;
/** Unread bytes beyond which narration and metrics are shed. Tokens are bounded by max_tokens. */
const LAGGING_BYTES = 256 * 1024;

/** Events that carry the correlation id. */
const CORRELATED: ReadonlySet<EventType> = new Set<EventType>(['started', 'narration', 'end', 'error']);

export const SSE_HEADERS = {
  'Content-Type': 'text/event-stream; charset=utf-8',
  'Cache-Control': 'no-cache, no-transform',
  'X-Accel-Buffering': 'no',
} as const;

export class EventStream {
  readonly #correlationId: string;
  readonly #keepAliveMs: number;
  #nextId = 0;
  /** Frames that no reader has taken yet. */
  #frames: string[] = [];
  #unreadChars = 0;
  #shed = 0;
  #shedInAll = 0;
  /** Narrations told before `started`, which is always first; undefined once it is out, or where a stream has none. */
  #early: EventData<'narration'>[] | undefined;
  /** A terminal event is in the log: nothing follows it. */
  #over = false;
  #wake: (() => void) | undefined;

  /** `awaitsStart`: the stream of a job, which begins with `started`; what is narrated before it is told right after it. */
  constructor(correlationId: string, { awaitsStart = false, keepAliveMs = KEEP_ALIVE_MS } = {}) {
    this.#correlationId = correlationId;
    this.#keepAliveMs = keepAliveMs;
    if (awaitsStart) this.#early = [];
  }

  /** Whether the terminal event has been written. */
  get over(): boolean {
    return this.#over;
  }

  /** Narrations and metrics shed so far. */
  get shed(): number {
    return this.#shedInAll;
  }

  /** Appends one event. After the terminal event, and while a reader lags (narration, metrics), it is not written. */
  emit<T extends EventType>(type: T, data: EventData<T>): void {
    if (this.#over) return;
    if (type === 'narration' && this.#early) {
      this.#early.push(data as EventData<'narration'>);
      return;
    }
    if ((type === 'narration' || type === 'metrics') && this.#unreadChars > LAGGING_BYTES) {
      this.#shed += 1;
      this.#shedInAll += 1;
      return;
    }
    const told = type === 'narration' && this.#shed > 0 ? { shed: this.#takeShed() } : undefined;
    const correlation = CORRELATED.has(type) ? { correlation_id: this.#correlationId } : undefined;
    const json = oneLine(JSON.stringify({ type, ...data, ...told, ...correlation }));
    const frame = `id: ${this.#nextId}\nevent: ${type}\ndata: ${json}\n\n`;
    this.#nextId += 1;
    this.#frames.push(frame);
    this.#unreadChars += frame.length;
    this.#over = type === 'end' || type === 'error';
    this.#wake?.();
    if (type === 'started') this.#tellEarly();
  }

  /** Yields what is unread, all frames since the last pull together, until the terminal event is out. One reader. */
  async *frames(): AsyncGenerator<string, void, void> {
    for (;;) {
      const chunk = this.#take();
      if (chunk !== '') yield chunk;
      else if (this.#over) return;
      else if (!(await this.#eventWithin(this.#keepAliveMs))) yield ': keep-alive\n\n';
    }
  }

  #tellEarly(): void {
    const early = this.#early ?? [];
    this.#early = undefined;
    for (const narration of early) this.emit('narration', narration);
  }

  #take(): string {
    const chunk = this.#frames.join('');
    this.#frames = [];
    this.#unreadChars = 0;
    return chunk;
  }

  #takeShed(): number {
    const shed = this.#shed;
    this.#shed = 0;
    return shed;
  }

  /** Resolves true at the next event, false when `ms` pass without one. */
  #eventWithin(ms: number): Promise<boolean> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => this.#settle(resolve, false), ms);
      this.#wake = () => {
        clearTimeout(timer);
        this.#settle(resolve, true);
      };
    });
  }

  #settle(resolve: (event: boolean) => void, event: boolean): void {
    this.#wake = undefined;
    resolve(event);
  }
}

/** SSE ends lines at CR and LF only, but some readers split at every line end that Unicode knows (Python's `splitlines`). */
function oneLine(json: string): string {
  return json.replace(/[\u0085\u2028\u2029]/g, (end) => `\\u${end.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

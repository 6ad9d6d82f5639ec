/** A client of one stream that can wait for an event, act then, and leave: for tests of races and cancels. */
import { eventsOf, type StreamEvent, type TestWorker, textOf } from './worker.ts';

export class Listener {
  readonly response: Response;
  readonly events: StreamEvent[] = [];
  /**
   * Resolves with all events when the stream closes, or with the events so far when this client leaves or the
   * connection breaks.
   */
  readonly ended: Promise<readonly StreamEvent[]>;
  readonly #leaving: AbortController;
  readonly #waiting = new Set<() => void>();
  #closed = false;

  private constructor(response: Response, leaving: AbortController) {
    this.response = response;
    this.#leaving = leaving;
    // fetch ignores an abort at the moment in which the body ends, so the promise of a client that leaves
    // does not depend on fetch.
    const left = new Promise<readonly StreamEvent[]>((resolve) => {
      leaving.signal.addEventListener('abort', () => resolve(this.events), { once: true });
    });
    this.ended = Promise.race([this.#read(), left]);
    this.ended.catch(() => undefined); // only a caller that awaits `ended` handles a broken stream
  }

  /** Posts a job and begins to read its stream. */
  static async open(worker: TestWorker, body: object, headers: Record<string, string> = {}): Promise<Listener> {
    const leaving = new AbortController();
    return new Listener(await worker.post('/execute', body, headers, leaving.signal), leaving);
  }

  /** Posts a body to any server that answers with a stream, such as the example orchestrator. */
  static async post(url: string, body: object, headers: Record<string, string> = {}): Promise<Listener> {
    const leaving = new AbortController();
    const init = { method: 'POST', headers, body: JSON.stringify(body), signal: leaving.signal };
    return new Listener(await fetch(url, init), leaving);
  }

  /** Reads the stream of an existing job, after the event `after`. */
  static async attach(worker: TestWorker, jobId: string, after?: number | string): Promise<Listener> {
    const leaving = new AbortController();
    const query = after === undefined ? '' : `?after=${after}`;
    const url = `${worker.url}/jobs/${encodeURIComponent(jobId)}/events${query}`;
    return new Listener(await fetch(url, { signal: leaving.signal }), leaving);
  }

  /** The first event that satisfies `fits`, now or later. @throws Error if the stream closes without it. */
  async until(fits: (event: StreamEvent) => boolean): Promise<StreamEvent> {
    for (;;) {
      const found = this.events.find(fits);
      if (found) return found;
      if (this.#closed) throw new Error(`The stream closed without it: ${JSON.stringify(this.events.at(-1)?.data)}`);
      await new Promise<void>((resolve) => {
        const wake = (): void => {
          this.#waiting.delete(wake);
          resolve();
        };
        this.#waiting.add(wake);
      });
    }
  }

  untilToken(index = 0): Promise<StreamEvent> {
    return this.until(({ data }) => data.type === 'token' && Number(data['i']) >= index);
  }

  untilNarrated(event: string): Promise<StreamEvent> {
    return this.until(({ data }) => data.type === 'narration' && data['event'] === event);
  }

  /** Breaks the connection, as a browser does when its tab is closed. */
  leave(): void {
    this.#leaving.abort();
  }

  get text(): string {
    return textOf(this.events);
  }

  /** Names of the narrations so far, in order. */
  get told(): string[] {
    return narrated(this.events);
  }

  async #read(): Promise<readonly StreamEvent[]> {
    try {
      for await (const event of eventsOf(this.response)) {
        this.events.push(event);
        this.#notify();
      }
    } catch (error) {
      if (!this.#leaving.signal.aborted) throw error;
    } finally {
      this.#closed = true;
      this.#notify();
    }
    return this.events;
  }

  #notify(): void {
    for (const wake of [...this.#waiting]) wake();
  }
}

/** Names of the narrations among `events`, in order. */
export function narrated(events: readonly StreamEvent[]): string[] {
  return events.filter(({ data }) => data.type === 'narration').map(({ data }) => String(data['event']));
}

/** The events that end a stream: there must be exactly one, and it must be the last. */
export function endings(events: readonly StreamEvent[]): StreamEvent[] {
  return events.filter(({ data }) => data.type === 'end' || data.type === 'error');
}

/** The data of the last event. */
export function lastOf(events: readonly StreamEvent[]): StreamEvent['data'] {
  const last = events.at(-1);
  if (!last) throw new Error('The stream had no events.');
  return last.data;
}

/** A job of 480 tokens, almost the context of the embedded model: about a second. */
export function longJob(id: string, more: object = {}): object {
  return { job_id: id, prompt: 'The sea', min_tokens: 480, max_tokens: 480, temperature: 1, seed: 1, ...more };
}

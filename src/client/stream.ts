/**
 * The events of one job over as many connections as needed: a broken connection is made again, and the events
 * go on after the last one that arrived. Sends at most one `POST`.
 */
import { parseEventId } from '../contract/event-ids.ts';
import type { StreamEvent } from '../contract/events.ts';
import { type Connection, refusalOf } from './connection.ts';
import { ConnectionError, RefusedError } from './errors.ts';
import { pause } from './pause.ts';
import { bytesOf, readEvents, type SseEvent } from './sse.ts';

/** Milliseconds of the first pause before a new connection; each further pause is twice as long. */
const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 5000;

/** When a stream gives up. All times in milliseconds. */
export interface StreamLimits {
  /** Time without a new event during which a broken connection is made again. 0: never. */
  readonly resumeForMs: number;
  /** Time without a byte after which a connection counts as broken. The worker sends one every 15 s. */
  readonly silenceMs: number;
}

export const STREAM_LIMITS: StreamLimits = { resumeForMs: 30_000, silenceMs: 60_000 };

export interface StreamStart {
  readonly connection: Connection;
  readonly jobId: string;
  /** Sends the `POST` that begins the job. Absent: the job runs already. */
  readonly begin?: ((signal: AbortSignal) => Promise<Response>) | undefined;
  /** Id of the last event that the caller has. */
  readonly after?: string | undefined;
  readonly signal: AbortSignal;
  readonly limits: StreamLimits;
}

export class JobStream {
  readonly #start: StreamStart;
  #last: string | undefined;

  constructor(start: StreamStart) {
    this.#start = start;
    this.#last = start.after;
  }

  /**
   * The events, up to `end` or `error`.
   * @throws RefusedError if the worker does not accept or no longer knows the job; ConnectionError if the
   * stream broke and could not be resumed; SyntaxError for data that is not JSON; the reason of the signal
   */
  async *events(): AsyncGenerator<SseEvent, void, void> {
    let response: Response | undefined = await this.#open();
    while (response) {
      const end = yield* this.#read(response);
      if (end === 'complete') return;
      response = await this.#resume(end.cause);
    }
  }

  /** The first connection. A `POST` without an answer may have begun the job: it is looked for once. */
  async #open(): Promise<Response | undefined> {
    const { begin, signal } = this.#start;
    if (!begin) return this.#attach();
    try {
      return await streamOf(await begin(signal));
    } catch (error) {
      if (!(error instanceof ConnectionError)) throw error;
      // Any failure now means that there is no job to read: the first error tells the reason.
      return this.#attach().catch(() => Promise.reject(error));
    }
  }

  /** Yields new events. Returns how the connection ended. */
  async *#read(response: Response): AsyncGenerator<SseEvent, 'complete' | { readonly cause: unknown }, void> {
    const { signal, limits } = this.#start;
    try {
      for await (const event of readEvents<StreamEvent>(bytesOf(response, limits.silenceMs))) {
        if (this.#isOld(event)) continue;
        this.#last = event.id ?? this.#last;
        yield event;
        if (event.data.type === 'end' || event.data.type === 'error') return 'complete';
      }
      return { cause: undefined };
    } catch (cause) {
      signal.throwIfAborted();
      if (cause instanceof SyntaxError) throw cause;
      return { cause };
    }
  }

  /** @returns undefined if all events have arrived */
  async #resume(cause: unknown): Promise<Response | undefined> {
    const { limits, signal } = this.#start;
    const deadline = Date.now() + limits.resumeForMs;
    let pauseMs = FIRST_PAUSE_MS;
    for (;;) {
      // Half of the pause is random: the readers of a lost worker do not return at the same moment.
      const ms = pauseMs * (0.5 + Math.random() / 2);
      if (Date.now() + ms > deadline) throw this.#lost(cause);
      await pause(ms, signal);
      pauseMs = Math.min(2 * pauseMs, LONGEST_PAUSE_MS);
      try {
        return await this.#attach();
      } catch (error) {
        const mayHelp = error instanceof ConnectionError || (error instanceof RefusedError && error.retry === 'here');
        if (!mayHelp) throw error;
        if (error instanceof RefusedError) pauseMs = Math.max(pauseMs, error.retryAfterMs ?? 0);
      }
    }
  }

  /** @returns undefined if all events have arrived */
  async #attach(): Promise<Response | undefined> {
    const { connection, jobId, signal } = this.#start;
    const response = await connection.send({
      method: 'GET',
      path: `/jobs/${encodeURIComponent(jobId)}/events`,
      headers: this.#last === undefined ? {} : { 'Last-Event-ID': this.#last },
      signal,
    });
    return response.status === 204 ? undefined : streamOf(response);
  }

  /** True for an event that has arrived before. */
  #isOld({ id }: SseEvent): boolean {
    const [given, last] = [id, this.#last].map((one) => (one === undefined ? undefined : parseEventId(one)));
    return given !== undefined && last !== undefined && given.number <= last.number;
  }

  #lost(cause: unknown): ConnectionError {
    const { resumeForMs } = this.#start.limits;
    const tried = resumeForMs === 0 ? '' : ` and could not be made again within ${resumeForMs} ms`;
    return new ConnectionError(`The connection to the stream broke${tried}.`, this.#last, cause);
  }
}

/** @throws RefusedError for an answer that is not a stream */
async function streamOf(response: Response): Promise<Response> {
  const isStream = response.headers.get('content-type')?.startsWith('text/event-stream') === true;
  if (!response.ok || !isStream) throw await refusalOf(response);
  return response;
}

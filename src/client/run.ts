/** One job as its caller sees it: its events, and the results that they add up to. */
import type { StreamEvent } from '../contract/events.ts';
import type { Continuation, OutputPiece } from './continuation.ts';
import { ConnectionError, JobError } from './errors.ts';
import type { Progress } from './progress.ts';
import type { SseEvent } from './sse.ts';

type EventOf<T extends StreamEvent['type']> = Extract<StreamEvent, { type: T }>;
export type StartedEvent = EventOf<'started'>;
export type NarrationEvent = EventOf<'narration'>;
export type TokenEvent = EventOf<'token'>;
export type MetricsEvent = EventOf<'metrics'>;
export type EndEvent = EventOf<'end'>;
export type ErrorEvent = EventOf<'error'>;

/** A call of a tool that the model has written. */
export interface ToolCall {
  readonly id: string;
  readonly name: string;
  /** JSON, as the model wrote it. */
  readonly arguments: string;
}

/** The parts of a run that its job provides. */
export interface RunSource {
  readonly jobId: string;
  /** Begins when it is first read. */
  readonly events: AsyncGenerator<SseEvent, void, void>;
  /** Called when the last reader leaves before the end: closes the connection, cancels an own job. */
  readonly leave: () => Promise<void>;
  readonly cancel: () => Promise<void>;
  readonly progress: Progress;
}

/**
 * A job, which begins when the first reader asks for an event. Each loop and each helper reads all events
 * from the first one, at its own speed and at the same time as others; the events stay in memory. When the
 * last loop is left before the end, the job is cancelled.
 */
export class Run implements AsyncIterable<StreamEvent> {
  readonly jobId: string;
  readonly #source: RunSource;
  readonly #events: StreamEvent[] = [];
  #lastEventId: string | undefined;
  #correlationId: string | undefined;
  /** The read of the next event, which all readers share. */
  #reading: Promise<boolean> | undefined;
  #readers = 0;
  /** Set after the last event. */
  #ended: { readonly error?: unknown } | undefined;

  constructor(source: RunSource) {
    this.jobId = source.jobId;
    this.#source = source;
  }

  /** Id of the last event that arrived. `attach` with it reads on, in another process too. */
  get lastEventId(): string | undefined {
    return this.#lastEventId;
  }

  /**
   * The data with which `execute` goes on with this output on another worker, if this one is lost: as the
   * option `continuation`. Undefined before the first event. Without `ids: true` in the request, the next
   * worker begins again, and the client skips the text that it has.
   */
  get continuation(): Continuation | undefined {
    return this.#source.progress.continuation;
  }

  /** The id under which the worker logs the job; undefined before the first event. */
  get correlationId(): string | undefined {
    return this.#correlationId;
  }

  /**
   * All events: `started`, then `narration`, `token` and `metrics` as they happen, then `end` or `error`.
   * @throws RefusedError, ConnectionError, the reason of the signal
   */
  async *[Symbol.asyncIterator](): AsyncGenerator<StreamEvent, void, void> {
    this.#readers += 1;
    let complete = false;
    try {
      for (let at = 0; ; ) {
        const event = this.#events[at];
        if (event) {
          at += 1;
          yield event;
        } else if (!(await this.#more())) {
          complete = true;
          return;
        }
      }
    } finally {
      this.#readers -= 1;
      if (!complete && this.#readers === 0) await this.#leave();
    }
  }

  /**
   * The whole answer, with the text of a continued output: without reasoning and tool calls, if the request
   * asked for `parts`.
   * @throws JobError if the job ended with an error; and the errors of the iteration
   */
  async text(): Promise<string> {
    return (await this.#collect()).text;
  }

  /**
   * The answer as a value, for a request with `schema`.
   * @throws SyntaxError if the answer is not JSON, for example because `max_tokens` cut it; as `text`
   */
  async json<Value = unknown>(): Promise<Value> {
    return JSON.parse(await this.text()) as Value;
  }

  /**
   * The pieces of the answer as they arrive: all of them joined are the result of `text`, or the rest of it
   * for a continued output.
   * @throws as `text`
   */
  async *answer(): AsyncGenerator<string, void, void> {
    let text = this.#source.progress.before.map(({ t, part }) => (part === undefined ? t : '')).join('');
    for await (const event of this) {
      if (event.type === 'error') throw new JobError(event, text, this.continuation);
      if (event.type !== 'token' || event.part !== undefined) continue;
      text += event.t;
      yield event.t;
    }
  }

  /** The narration of the job as it happens. */
  async *narration(): AsyncGenerator<NarrationEvent, void, void> {
    for await (const event of this) if (event.type === 'narration') yield event;
  }

  /**
   * The reasoning of the model; empty without `parts`.
   * @throws as `text`
   */
  async reasoning(): Promise<string> {
    return (await this.#collect()).reasoning;
  }

  /**
   * The tool calls of the answer, in order.
   * @throws as `text`
   */
  async toolCalls(): Promise<readonly ToolCall[]> {
    return (await this.#collect()).calls;
  }

  /**
   * The figures of the complete job.
   * @throws as `text`
   */
  async end(): Promise<EndEvent> {
    return (await this.#collect()).end;
  }

  /**
   * Asks the worker to stop the job. The stream then ends with the error `CANCELLED`. A job that the worker
   * has not accepted yet does not begin: then the readers get an `AbortError`.
   * @throws RefusedError, ConnectionError
   */
  cancel(): Promise<void> {
    return this.#source.cancel();
  }

  async #collect() {
    let [text, reasoning] = ['', ''];
    const calls = new Map<number, { id: string; name: string; arguments: string }>();
    const add = ({ part, t, call: index = 0, call_id: id = '' }: OutputPiece): void => {
      if (part === undefined) text += t;
      if (part === 'reasoning') reasoning += t;
      if (part === 'tool_name') calls.set(index, { id, name: t, arguments: '' });
      const call = part === 'tool_arguments' ? calls.get(index) : undefined;
      if (call) call.arguments += t;
    };
    this.#source.progress.before.forEach(add);
    for await (const event of this) {
      if (event.type === 'error') throw new JobError(event, text, this.continuation);
      if (event.type === 'end') return { text, reasoning, calls: [...calls.values()], end: event };
      if (event.type === 'token') add(event);
    }
    throw new Error('The stream has no event `end`: `after` is the id of the last event of the job.');
  }

  /** Reads one more event. False at the end. Throws the error that ended the stream, each time. */
  #more(): Promise<boolean> {
    this.#reading ??= this.#read().finally(() => {
      this.#reading = undefined;
    });
    return this.#reading;
  }

  async #read(): Promise<boolean> {
    if (this.#ended) {
      if ('error' in this.#ended) throw this.#ended.error;
      return false;
    }
    try {
      const { done, value } = await this.#source.events.next();
      if (done) this.#ended = {};
      else this.#take(value);
      return !done;
    } catch (error) {
      if (error instanceof ConnectionError) error.continuation = this.continuation;
      this.#ended = { error };
      throw error;
    }
  }

  #take({ id, data }: SseEvent): void {
    this.#lastEventId = id ?? this.#lastEventId;
    if ('correlation_id' in data) this.#correlationId = data.correlation_id;
    this.#events.push(data);
    if (data.type !== 'end' && data.type !== 'error') return;
    this.#ended = {};
    // Nobody reads further: this closes the connection. Its errors no longer matter.
    this.#source.events.return().catch(() => undefined);
  }

  /** A reader of a stream that has ended leaves nothing. */
  async #leave(): Promise<void> {
    if (this.#ended) return;
    this.#ended = { error: new Error('The run was left before its end.') };
    await this.#source.leave();
  }
}

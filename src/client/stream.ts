/**
 * The events of one job over as many connections as needed: a broken connection is replaced, and the events
 * go on after the last one that arrived.
 */
import { parseEventId } from '../contract/event-ids.ts';
import type { StreamEvent } from '../contract/events.ts';
import { type Connection, neverReached, reasonOf, refusalOf } from './connection.ts';
import { ConnectionError, RefusedError } from './errors.ts';
import { linkedTo, pause } from './pause.ts';
import { bytesOf, readEvents, type SseEvent } from './sse.ts';
import type { Submission } from './submission.ts';

/** Milliseconds of the first pause before a new connection; each further pause is twice as long. */
const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 5000;
/** Milliseconds for which a job is looked for after a `POST` without an answer: it may arrive late. */
const FIND_FOR_MS = 3000;

/** When a stream gives up. All times in milliseconds. */
export interface StreamLimits {
  /** Time without a new event during which a broken connection is replaced. 0: never. */
  readonly resumeForMs: number;
  /** Time without a byte after which a connection counts as broken. The worker sends one every 15 s. */
  readonly silenceMs: number;
}

export const STREAM_LIMITS: StreamLimits = { resumeForMs: 30_000, silenceMs: 60_000 };

export interface StreamStart {
  readonly connection: Connection;
  readonly jobId: string;
  /** Begins the job. Absent: the job runs already. */
  readonly submission: Submission | undefined;
  /** Id of the last event that the caller has. */
  readonly after: string | undefined;
  readonly signal: AbortSignal;
  readonly limits: StreamLimits;
}

/** The end of one connection. */
type ReadEnd = 'complete' | { readonly cause: unknown };

export class JobStream {
  readonly #start: StreamStart;
  #last: string | undefined;
  /** End of the time for new connections, and the next pause; undefined while events arrive. */
  #outage: { readonly until: number; pauseMs: number } | undefined;
  /** Ends the link between the signal of the run and the last connection. */
  #unlink: () => void = () => undefined;
  /** The correlation id of a job that was looked for by its job id. */
  #wanted: string | undefined;

  constructor(start: StreamStart) {
    this.#start = start;
    this.#last = start.after;
  }

  /**
   * The events, up to `end` or `error`.
   * @throws RefusedError if the worker does not accept the job, or does not know it at the start;
   * ConnectionError if the stream broke and could not be resumed; SyntaxError for data that is not JSON; the
   * reason of the signal
   */
  async *events(): AsyncGenerator<SseEvent, void, void> {
    let response: Response | undefined = await this.#open();
    while (response) {
      const opened = Date.now();
      const end = yield* this.#read(response);
      if (end === 'complete') return;
      // A long wait for a slot has no events, and is no outage.
      if (Date.now() - opened >= LONGEST_PAUSE_MS) this.#outage = undefined;
      response = await this.#resume(end.cause);
    }
  }

  async #open(): Promise<Response | undefined> {
    const { submission, signal, limits } = this.#start;
    if (!submission) return this.#attach();
    try {
      return await streamOf(await submission.accepted(signal));
    } catch (error) {
      if (submission.isRepeated(error)) return this.#attach();
      if (!(error instanceof ConnectionError) || neverReached(error) || limits.resumeForMs === 0) throw error;
      this.#wanted = submission.correlationId;
      return this.#find(error);
    }
  }

  /**
   * Looks for the job of a `POST` without an answer.
   * @throws ConnectionError, the given one, if the worker does not have the job
   */
  async #find(lost: ConnectionError): Promise<Response | undefined> {
    const { signal, limits } = this.#start;
    const until = Date.now() + Math.min(FIND_FOR_MS, limits.resumeForMs);
    for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs *= 2) {
      try {
        return await this.#attach();
      } catch (error) {
        signal.throwIfAborted();
        const mayCome = mayPass(error) || (error instanceof RefusedError && error.status === 404);
        if (!mayCome || Date.now() + pauseMs > until) throw lost;
      }
      await pause(pauseMs, signal);
    }
  }

  /** Yields new events. */
  async *#read(response: Response): AsyncGenerator<SseEvent, ReadEnd, void> {
    const { signal, limits } = this.#start;
    try {
      for await (const event of readEvents<StreamEvent>(bytesOf(response, limits.silenceMs))) {
        if (this.#isOld(event)) continue;
        this.#requireOwn(event.data);
        this.#last = event.id ?? this.#last;
        this.#outage = undefined;
        yield event;
        if (event.data.type === 'end' || event.data.type === 'error') return 'complete';
      }
      return { cause: undefined };
    } catch (cause) {
      signal.throwIfAborted();
      if (cause instanceof SyntaxError || cause instanceof ConnectionError) throw cause;
      return { cause };
    }
  }

  /** @returns undefined if all events have arrived */
  async #resume(cause: unknown): Promise<Response | undefined> {
    const { limits, signal } = this.#start;
    this.#outage ??= { until: Date.now() + limits.resumeForMs, pauseMs: FIRST_PAUSE_MS };
    const outage = this.#outage;
    for (let reason = cause; ; ) {
      const leftMs = outage.until - Date.now();
      if (leftMs <= 0) throw this.#lost(reason);
      // Half of the pause is random: the readers of a lost worker do not return at the same moment.
      await pause(Math.min(leftMs, outage.pauseMs * (0.5 + Math.random() / 2)), signal);
      outage.pauseMs = Math.min(2 * outage.pauseMs, LONGEST_PAUSE_MS);
      try {
        return await this.#attach();
      } catch (error) {
        // The job began, so its stream is lost: with a load balancer, 404 comes from another worker.
        if (isFinal(error)) throw this.#lost(error);
        if (!mayPass(error)) throw error;
        if (error instanceof RefusedError) outage.pauseMs = Math.max(outage.pauseMs, error.retryAfterMs ?? 0);
        reason = error;
      }
    }
  }

  /** @returns undefined if all events have arrived */
  async #attach(): Promise<Response | undefined> {
    const { connection, jobId, limits } = this.#start;
    this.#unlink();
    const { controller, unlink } = linkedTo(this.#start.signal);
    this.#unlink = unlink;
    const response = await connection.send({
      method: 'GET',
      path: `/jobs/${encodeURIComponent(jobId)}/events`,
      headers: this.#last === undefined ? {} : { 'Last-Event-ID': this.#last },
      signal: controller.signal,
      answerWithinMs: limits.silenceMs,
    });
    return response.status === 204 ? undefined : streamOf(response);
  }

  /** True for an event that has arrived before. */
  #isOld({ id }: SseEvent): boolean {
    const [given, last] = [id, this.#last].map((one) => (one === undefined ? undefined : parseEventId(one)));
    return given !== undefined && last !== undefined && given.number <= last.number;
  }

  /** A job that was looked for by its id may be an earlier one with the same id. */
  #requireOwn(event: StreamEvent): void {
    if (this.#wanted === undefined || event.type !== 'started' || event.correlation_id === this.#wanted) return;
    const message = `The job did not reach the worker, which has another job with the id ${this.#start.jobId}.`;
    throw new ConnectionError(message, undefined, undefined);
  }

  #lost(cause: unknown): ConnectionError {
    const { jobId, limits } = this.#start;
    const reason = cause === undefined ? '' : ` (${reasonOf(cause)})`;
    const within = isFinal(cause) ? '' : ` within ${limits.resumeForMs} ms`;
    const tried = limits.resumeForMs === 0 ? '' : ` and could not be restored${within}`;
    return new ConnectionError(`The connection to job ${jobId} broke${tried}${reason}.`, this.#last, cause);
  }
}

/** True for an error that may pass on the same worker. */
const mayPass = (error: unknown): boolean =>
  error instanceof ConnectionError || (error instanceof RefusedError && error.retry === 'here');

/** True for a refusal that no further try at the same address changes. */
const isFinal = (error: unknown): boolean => error instanceof RefusedError && error.retry !== 'here';

/** @throws RefusedError for an error of the worker; ConnectionError for an answer that is not a stream */
async function streamOf(response: Response): Promise<Response> {
  const type = response.headers.get('content-type') ?? 'none';
  if (!response.ok) throw await refusalOf(response);
  if (type.startsWith('text/event-stream')) return response;
  await response.body?.cancel();
  throw new ConnectionError(`The answer is not a stream of a worker: its type is ${type}.`, undefined, undefined);
}

/**
 * The typed client of a worker, the public module `rbees-workerd/client`. Uses web APIs only, so it runs in
 * Node.js, browsers, Deno and Bun.
 */
import type { CancelResult, Health, JobsAnswer } from '../contract/answers.ts';
import type { ExecuteRequest } from '../contract/execute.ts';
import type { JobState } from '../contract/job-states.ts';
import { type Call, Connection, refusalOf, type WorkerAddress } from './connection.ts';
import type { Continuation } from './continuation.ts';
import { ConnectionError, DivergedError, JobError, RefusedError } from './errors.ts';
import { Progress } from './progress.ts';
import { Run } from './run.ts';
import { messagesIn, readEvents, readMessages, type SseEvent } from './sse.ts';
import { JobStream, STREAM_LIMITS, type StreamLimits } from './stream.ts';
import { Submission } from './submission.ts';

// One import line gives a user of the package everything.
export type { CancelResult, Health, JobRow, JobsAnswer } from '../contract/answers.ts';
export type { ErrorCode, Retry, StreamErrorCode } from '../contract/errors.ts';
export type { StreamEvent } from '../contract/events.ts';
export type { JobState } from '../contract/job-states.ts';
export type { WorkerAddress } from './connection.ts';
export type { Continuation, OutputPiece } from './continuation.ts';
export type {
  EndEvent,
  ErrorEvent,
  MetricsEvent,
  NarrationEvent,
  StartedEvent,
  TokenEvent,
  ToolCall,
} from './run.ts';
export type { SseEvent, SseMessage, SseSource } from './sse.ts';
export { ConnectionError, DivergedError, JobError, messagesIn, RefusedError, Run, readEvents, readMessages };

/** Longest wait for the answer to the cancel of a run. */
const CANCEL_WITHIN_MS = 5000;

/** The body of `POST /execute`. Without `job_id`, the client makes an id. */
export type JobRequest = Omit<ExecuteRequest, 'job_id'> & { readonly job_id?: string };
export type ChatMessage = NonNullable<ExecuteRequest['messages']>[number];

/** When a run gives up: see `StreamLimits`. Default: 30 s for new connections, 60 s of silence. */
type RunLimits = { readonly [Limit in keyof StreamLimits]?: StreamLimits[Limit] | undefined };

export interface RunOptions extends RunLimits {
  /** Ends the run with its reason, and cancels the job. */
  readonly signal?: AbortSignal | undefined;
  /**
   * The id under which the worker logs the job: 1 to 64 characters of `[A-Za-z0-9._-]`. The worker replaces
   * any other. Absent: a random one.
   */
  readonly correlationId?: string | undefined;
  /** More headers of the request that begins the job, such as `traceparent`. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** Time after which the answer is useless. */
  readonly deadline?: Date | undefined;
  /**
   * Milliseconds for which a busy worker is asked again, each time after its `Retry-After`. A refused request
   * has begun nothing, so it is safe to send again. Default: 0, the first refusal is thrown.
   */
  readonly acceptWithinMs?: number | undefined;
  /**
   * True: no other job has the given `job_id`. A browser can send a request twice by itself; the refusal
   * `DUPLICATE_JOB` then names the job of this run, which is read. Default: true for an id of the client.
   */
  readonly isNewId?: boolean | undefined;
  /**
   * `continuation` of an earlier run of the same request, whose worker was lost: the run goes on with its
   * output. The events are the new ones; `text` and its like give the whole output.
   */
  readonly continuation?: Continuation | undefined;
}

export interface AttachOptions extends RunLimits {
  /** Id of the last event that the caller has. Absent: all events. */
  readonly after?: string | undefined;
  /** Ends the run with its reason. The job goes on. */
  readonly signal?: AbortSignal | undefined;
}

interface RunStart extends AttachOptions {
  readonly jobId: string;
  /** Begins the job. Absent: the job runs already. */
  readonly submission?: Submission;
  readonly continuation?: Continuation | undefined;
  /** True: a run that is left or aborted cancels its job. */
  readonly cancels: boolean;
}

export class WorkerClient {
  readonly #connection: Connection;

  constructor(address: WorkerAddress) {
    this.#connection = new Connection(address);
  }

  /**
   * A job. The client replaces a broken connection, and the events go on. Leaving the loop, or the abort of
   * the signal, cancels the job, unless `on_disconnect` is `continue`.
   */
  execute(request: JobRequest, options: RunOptions = {}): Run {
    const { job_id: jobId = newId('job'), on_disconnect: onDisconnect } = request;
    const { correlationId = newId('req'), headers, deadline, acceptWithinMs = 0, isNewId, ...rest } = options;
    const { continuation } = options;
    const body = {
      ...request,
      job_id: jobId,
      // A job that stops with its connection could not be resumed.
      on_disconnect: onDisconnect ?? 'continue',
      // Without ids, the output could not go on after a second loss.
      ...(continuation && { seed: request.seed ?? continuation.seed, ids: true, resume: continuation.resume }),
    };
    const submission = new Submission({
      connection: this.#connection,
      body,
      isNewId: isNewId ?? request.job_id === undefined,
      correlationId,
      headers,
      deadline,
      acceptWithinMs,
      answerWithinMs: options.silenceMs ?? STREAM_LIMITS.silenceMs,
    });
    return this.#run({ ...rest, jobId, submission, cancels: onDisconnect !== 'continue' });
  }

  /** A job that continues a conversation. Its tokens name their part: answer, reasoning or tool call. */
  chat(
    messages: readonly ChatMessage[],
    request: Omit<JobRequest, 'messages' | 'prompt' | 'raw'> = {},
    options: RunOptions = {},
  ): Run {
    return this.execute({ parts: true, ...request, messages: [...messages] }, options);
  }

  /** A job that runs already, or has ended a short time ago. Leaving the loop does not cancel the job. */
  attach(jobId: string, options: AttachOptions = {}): Run {
    return this.#run({ ...options, jobId, cancels: false });
  }

  /**
   * The state of the worker, also while it does not serve.
   * @throws RefusedError for a missing token; ConnectionError; the reason of the signal
   */
  async health(signal?: AbortSignal): Promise<Health> {
    const response = await this.#connection.send({ method: 'GET', path: '/health', signal });
    // A worker that does not serve answers 503 with the same body.
    const copy = response.status === 503 ? response.clone() : undefined;
    const body = (await copy?.json().catch(() => undefined)) as Partial<Health> | undefined;
    if (body?.worker_id !== undefined) return body as Health;
    if (!response.ok) throw await refusalOf(response);
    return (await response.json()) as Health;
  }

  /** @param query `limit` and `state` of `GET /jobs` */
  jobs(query: { readonly limit?: number; readonly state?: JobState } = {}, signal?: AbortSignal): Promise<JobsAnswer> {
    const parameters = new URLSearchParams();
    for (const [name, value] of Object.entries(query)) parameters.set(name, String(value));
    return this.#connection.json({ method: 'GET', path: `/jobs?${parameters}`, signal });
  }

  /**
   * Asks the worker to stop a job.
   * @throws RefusedError `NOT_FOUND` if the worker does not know the job
   */
  cancel(jobId: string, signal?: AbortSignal): Promise<CancelResult> {
    return this.#connection.json({ ...cancelOf(jobId), signal });
  }

  /**
   * The metrics, in the text format of Prometheus.
   * @throws as `health`
   */
  async metrics(signal?: AbortSignal): Promise<string> {
    const response = await this.#connection.send({ method: 'GET', path: '/metrics', signal });
    if (!response.ok) throw await refusalOf(response);
    return response.text();
  }

  #run({ jobId, submission, cancels, after, continuation, signal: outer, ...limits }: RunStart): Run {
    const { resumeForMs = STREAM_LIMITS.resumeForMs, silenceMs = STREAM_LIMITS.silenceMs } = limits;
    const controller = new AbortController();
    const cancel = async (): Promise<void> => {
      // A loop that is left must not wait for a connection that is silent.
      const answerWithinMs = Math.min(silenceMs, CANCEL_WITHIN_MS);
      await this.#connection.json({ ...cancelOf(jobId), answerWithinMs }).catch(ignoreEnded);
    };
    const mayRun = async (): Promise<boolean> => (submission ? submission.mayRun() : true);
    const abort = (): void => {
      controller.abort(outer?.reason);
      // The connection may be lost for good, so no caller waits for the answer.
      void mayRun()
        .then((may) => (may && cancels ? cancel() : undefined))
        .catch(() => undefined)
        .finally(() => submission?.close());
    };
    const stream = new JobStream({
      connection: this.#connection,
      jobId,
      submission,
      after,
      signal: controller.signal,
      limits: { resumeForMs, silenceMs },
    });
    const progress = new Progress(continuation);
    const events = listening(newEvents(stream.events(), progress, abort), outer, abort);
    return new Run({
      jobId,
      events,
      cancel: async () => {
        if (await mayRun()) await cancel();
        else controller.abort(new DOMException('The run was cancelled before it began.', 'AbortError'));
      },
      leave: async () => {
        await events.return();
        if (cancels) await cancel().catch(() => undefined);
      },
      progress,
    });
  }
}

/** Passes events on. While they are read, `abort` is called when the signal of the caller fires. */
async function* listening<T>(
  events: AsyncGenerator<T, void, void>,
  signal: AbortSignal | undefined,
  abort: () => void,
): AsyncGenerator<T, void, void> {
  signal?.throwIfAborted();
  signal?.addEventListener('abort', abort, { once: true });
  try {
    yield* events;
  } finally {
    signal?.removeEventListener('abort', abort);
  }
}

/**
 * The events that the reader lacks.
 * @param abort ends the job of a worker that generates another text than the earlier one
 */
async function* newEvents(events: AsyncGenerator<SseEvent, void, void>, progress: Progress, abort: () => void) {
  try {
    for await (const event of events) {
      const data = progress.take(event.data);
      if (data) yield { ...event, data };
    }
  } catch (error) {
    if (error instanceof DivergedError) abort();
    throw error;
  }
}

const cancelOf = (jobId: string): Call => ({
  method: 'POST',
  path: '/cancel',
  body: { job_id: jobId },
  keepalive: true,
});

/** A job that the worker no longer knows is over. */
function ignoreEnded(error: unknown): void {
  if (!(error instanceof RefusedError && error.status === 404)) throw error;
}

/** `crypto.randomUUID` is missing in pages that were not loaded over HTTPS or from this machine. */
function newId(prefix: string): string {
  const bytes = crypto.getRandomValues(new Uint8Array(12));
  return `${prefix}-${Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')}`;
}

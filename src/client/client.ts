/**
 * The typed client of a worker, the public module `rbees-workerd/client`. Uses web APIs only, so it runs in
 * Node.js, browsers, Deno and Bun.
 */
import type { CancelResult, Health, JobsAnswer } from '../contract/answers.ts';
import type { ExecuteRequest } from '../contract/execute.ts';
import type { JobState } from '../contract/job-states.ts';
import { Connection, refusalOf, type WorkerAddress } from './connection.ts';
import { RefusedError } from './errors.ts';
import { pause } from './pause.ts';
import { Run } from './run.ts';
import { JobStream, STREAM_LIMITS, type StreamLimits } from './stream.ts';

/** The body of `POST /execute`. Without `job_id`, the client makes an id. */
export type JobRequest = Omit<ExecuteRequest, 'job_id'> & { readonly job_id?: string };
export type ChatMessage = NonNullable<ExecuteRequest['messages']>[number];

export interface RunOptions extends Partial<StreamLimits> {
  /** Ends the run with its reason, and cancels the job. */
  readonly signal?: AbortSignal | undefined;
  /** The id under which the worker logs the job: 1 to 64 characters of `[A-Za-z0-9._-]`. */
  readonly correlationId?: string | undefined;
  /** Time at which the answer is of no more use. */
  readonly deadline?: Date | undefined;
  /**
   * Milliseconds for which a busy worker is asked again, each time after its `Retry-After`. A refused request
   * has begun nothing, so it is safe to send again. Default: 0, the first refusal is thrown.
   */
  readonly acceptWithinMs?: number | undefined;
}

export interface AttachOptions extends Partial<StreamLimits> {
  /** Id of the last event that the caller has. Absent: all events. */
  readonly after?: string | undefined;
  /** Ends the run with its reason. The job goes on. */
  readonly signal?: AbortSignal | undefined;
}

export class WorkerClient {
  readonly #connection: Connection;

  constructor(address: WorkerAddress) {
    this.#connection = new Connection(address);
  }

  /**
   * A job. A broken connection is made again, and the events go on. Leaving the loop, or the abort of the
   * signal, cancels the job, unless `on_disconnect` is `continue`.
   */
  execute(request: JobRequest, options: RunOptions = {}): Run {
    const { job_id: jobId = newJobId(), on_disconnect: onDisconnect } = request;
    // A job that stops with its connection could not be resumed.
    const body = { ...request, job_id: jobId, on_disconnect: onDisconnect ?? 'continue' };
    const begin = (signal: AbortSignal): Promise<Response> => this.#begin(body, options, signal);
    return this.#run({ jobId, begin, ...options }, onDisconnect !== 'continue');
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
    return this.#run({ jobId, ...options }, false);
  }

  /**
   * The state of the worker, also of one that does not serve at the moment.
   * @throws RefusedError for a missing token; ConnectionError; the reason of the signal
   */
  async health(signal?: AbortSignal): Promise<Health> {
    const response = await this.#connection.send({ method: 'GET', path: '/health', signal });
    // A worker that does not serve answers 503 with the same body.
    const body = response.status === 503 ? ((await response.clone().json()) as Partial<Health>) : undefined;
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
    return this.#connection.json({
      method: 'POST',
      path: '/cancel',
      body: { job_id: jobId },
      signal,
      keepalive: true,
    });
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

  #run(
    start: AttachOptions & { readonly jobId: string; readonly begin?: (signal: AbortSignal) => Promise<Response> },
    cancels: boolean,
  ): Run {
    const { jobId, begin, after, signal: outer } = start;
    const controller = new AbortController();
    const cancel = async (): Promise<void> => {
      await this.cancel(jobId).catch(ignoreEnded);
    };
    const abort = (): void => {
      controller.abort(outer?.reason);
      // The connection may be gone for good: nobody waits for the answer.
      if (cancels) void cancel().catch(() => undefined);
    };
    const { resumeForMs = STREAM_LIMITS.resumeForMs, silenceMs = STREAM_LIMITS.silenceMs } = start;
    const stream = new JobStream({
      connection: this.#connection,
      jobId,
      begin,
      after,
      signal: controller.signal,
      limits: { resumeForMs, silenceMs },
    });
    return new Run({
      jobId,
      events: listening(stream.events(), outer, abort),
      cancel,
      leave: async () => {
        controller.abort(new Error('The run was left before its end.'));
        if (cancels) await cancel().catch(() => undefined);
      },
    });
  }

  /** Sends the job, again after a refusal that passes, as long as the caller waits. */
  async #begin(body: object, options: RunOptions, signal: AbortSignal): Promise<Response> {
    const { correlationId, deadline, acceptWithinMs = 0 } = options;
    const headers = {
      ...(correlationId !== undefined && { 'X-Correlation-Id': correlationId }),
      ...(deadline && { 'X-Deadline': deadline.toISOString() }),
    };
    const until = Date.now() + acceptWithinMs;
    for (;;) {
      const response = await this.#connection.send({ method: 'POST', path: '/execute', headers, body, signal });
      if (response.ok) return response;
      const refusal = await refusalOf(response);
      const { retry, retryAfterMs } = refusal;
      if (retry !== 'here' || retryAfterMs === undefined || Date.now() + retryAfterMs > until) throw refusal;
      await pause(retryAfterMs, signal);
    }
  }
}

/** Passes events on. While they are read, `abort` is called when the signal of the caller fires. */
async function* listening<T>(events: AsyncGenerator<T>, signal: AbortSignal | undefined, abort: () => void) {
  signal?.throwIfAborted();
  signal?.addEventListener('abort', abort, { once: true });
  try {
    yield* events;
  } finally {
    signal?.removeEventListener('abort', abort);
  }
}

/** A job that the worker no longer knows is over. */
function ignoreEnded(error: unknown): void {
  if (!(error instanceof RefusedError && error.status === 404)) throw error;
}

/** `crypto.randomUUID` is missing in pages that were not loaded over HTTPS or from this machine. */
function newJobId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(12));
  return `job-${Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')}`;
}

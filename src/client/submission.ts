/**
 * The `POST` that begins a job. A caller that aborts does not wait for its answer; the answer is read all the
 * same, because only the answer shows if a job runs that must be cancelled.
 */
import { type Connection, neverReached, refusalOf } from './connection.ts';
import { ConnectionError, RefusedError } from './errors.ts';
import { pause, unlessAborted } from './pause.ts';

export interface JobPost {
  readonly connection: Connection;
  /** The body of `POST /execute`. */
  readonly body: object & { readonly resume?: object | undefined };
  /** True: no other job has this job id. */
  readonly isNewId: boolean;
  readonly correlationId: string;
  readonly headers: Readonly<Record<string, string>> | undefined;
  readonly deadline: Date | undefined;
  /** Milliseconds for which the job is sent again after refusals that pass. */
  readonly acceptWithinMs: number;
  /** Milliseconds until the head of one answer. */
  readonly answerWithinMs: number;
}

export class Submission {
  readonly correlationId: string;
  readonly #post: JobPost;
  #body: JobPost['body'];
  /** Ends the connection of the last answer. */
  #closing = new AbortController();
  /** Resolves when the request that is on its way has an answer. */
  #pending: Promise<void> | undefined;
  #mayRun = false;

  constructor(post: JobPost) {
    this.#post = post;
    this.#body = post.body;
    this.correlationId = post.correlationId;
  }

  /**
   * Sends the job. A refused request has begun nothing: it is sent again after its `Retry-After`, as long as
   * the caller waits.
   * @returns the answer, whose body is a stream
   * @throws RefusedError; ConnectionError if the worker may or may not have the job; the reason of the signal
   */
  async accepted(signal: AbortSignal): Promise<Response> {
    const until = Date.now() + this.#post.acceptWithinMs;
    for (;;) {
      signal.throwIfAborted();
      try {
        const response = await unlessAborted(this.#send(), signal);
        signal.addEventListener('abort', () => this.close(), { once: true });
        return response;
      } catch (error) {
        if (this.isRepeated(error)) throw error;
        if (this.#beginsAgain(error)) continue;
        const waitMs = error instanceof RefusedError && error.retry === 'here' ? error.retryAfterMs : undefined;
        if (waitMs === undefined || Date.now() + waitMs > until) throw error;
        await pause(waitMs, signal);
      }
    }
  }

  /**
   * True if an error tells that the worker has the job already. A browser sends a request again by itself if
   * a connection that it used before breaks without an answer.
   */
  isRepeated(error: unknown): boolean {
    return this.#post.isNewId && error instanceof RefusedError && error.code === 'DUPLICATE_JOB';
  }

  /** True if the worker may have the job. Waits for the answer of a request that is on its way. */
  async mayRun(): Promise<boolean> {
    await this.#pending;
    return this.#mayRun;
  }

  /** Ends the connection of the answer. */
  close(): void {
    this.#closing.abort();
  }

  /** A worker that cannot continue the output generates it from its first token. */
  #beginsAgain(error: unknown): boolean {
    const { resume, ...body } = this.#body;
    if (resume === undefined || !(error instanceof RefusedError)) return false;
    // A body of too many values has too many ids.
    if (!error.violations.some(({ field, constraint }) => field.startsWith('resume') || constraint === 'values'))
      return false;
    this.#body = body;
    return true;
  }

  #send(): Promise<Response> {
    const answer = this.#ask();
    this.#pending = answer.then(
      () => this.#settle(true),
      (error: unknown) =>
        this.#settle((error instanceof ConnectionError && !neverReached(error)) || this.isRepeated(error)),
    );
    return answer;
  }

  async #ask(): Promise<Response> {
    const { connection, correlationId, deadline, answerWithinMs } = this.#post;
    const headers = {
      'X-Correlation-Id': correlationId,
      ...(deadline && { 'X-Deadline': deadline.toISOString() }),
      ...this.#post.headers,
    };
    this.#closing = new AbortController();
    const { signal } = this.#closing;
    const response = await connection.send({
      method: 'POST',
      path: '/execute',
      headers,
      body: this.#body,
      answerWithinMs,
      signal,
    });
    if (response.ok) return response;
    throw await refusalOf(response);
  }

  #settle(mayRun: boolean): void {
    this.#pending = undefined;
    this.#mayRun = mayRun;
  }
}

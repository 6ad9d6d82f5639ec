/**
 * The event loop's side of a thread that processes one job at a time: queue, deadlines, cancellation,
 * replacement of the thread.
 */
import { Worker } from 'node:worker_threads';
import { leaveRemovedFolder } from '../../config/host/folder.ts';
import { WorkerError } from '../../contract/errors.ts';
import type { CommonAnswer, ThreadRole } from './thread-role.ts';

/**
 * A job is overtaken by at most this many shorter ones. With 80 jobs in flight, a long one waits for some of
 * the others and never for all.
 */
export const MAX_OVERTAKEN = 8;

/** Time until a retry if the system has no resources for a thread. */
const RETRY_MS = 1000;

interface PendingJob<Job, Result> {
  readonly job: Job;
  readonly units: number;
  readonly resolve: (result: Result) => void;
  readonly reject: (reason: unknown) => void;
  /** Shorter jobs that came later and went first. */
  overtaken: number;
}

/** One thread: it starts, becomes ready, and processes one job at a time. */
interface Thread {
  readonly worker: Worker;
  isReady: boolean;
  timer: NodeJS.Timeout | undefined;
}

/** The thread and its queue. Never keeps the process alive. */
export class JobThread<Job, Answer extends { readonly type: string }, Result> {
  readonly #role: ThreadRole<Job, Answer, Result>;
  #thread: Thread | undefined;
  /** The job that the thread has, or gets when it is ready. */
  #running: PendingJob<Job, Result> | undefined;
  readonly #queue: PendingJob<Job, Result>[] = [];
  /** Settles the promise of `start`. */
  #starting: { readonly resolve: () => void; readonly reject: (reason: unknown) => void } | undefined;
  /** Ends the thread when it has had no job for a time. */
  #idleTimer: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(role: ThreadRole<Job, Answer, Result>) {
    this.#role = role;
  }

  /**
   * Starts the thread and waits until it is ready.
   * @throws Error of a thread that cannot be used
   */
  async start(): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#starting = { resolve, reject };
      this.#thread ??= this.#startThread();
    });
  }

  /**
   * The result of one job. Short jobs go first.
   * @throws the signal's reason; the error of the job; Error if the thread is lost or closed
   */
  async run(job: Job, signal: AbortSignal | undefined): Promise<Result> {
    if (this.#closed) throw this.#closedError();
    const settled = new AbortController();
    try {
      return await new Promise((resolve, reject) => {
        const pending = { job, units: this.#role.unitsOf(job), resolve, reject, overtaken: 0 };
        const cancel = (): void => this.#cancel(pending, signal?.reason);
        signal?.addEventListener('abort', cancel, { once: true, signal: settled.signal });
        this.#queue.push(pending);
        this.#next();
      });
    } finally {
      settled.abort();
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    const reason = this.#closedError();
    for (const { reject } of this.#queue.splice(0)) reject(reason);
    const thread = this.#thread;
    this.#drop(reason);
    await thread?.worker.terminate();
  }

  /** Rejects the job. A job that the thread already has is finished there, and its result is dropped. */
  #cancel(pending: PendingJob<Job, Result>, reason: unknown): void {
    const index = this.#queue.indexOf(pending);
    if (index >= 0) this.#queue.splice(index, 1);
    // A thread that is not ready yet has no job: the next one takes the place.
    if (pending === this.#running && this.#thread?.isReady === false) this.#running = undefined;
    pending.reject(reason);
    this.#next();
  }

  #next(): void {
    if (this.#running !== undefined) return;
    this.#watchIdleness();
    if (this.#queue.length === 0) return;
    this.#running = this.#take();
    if (this.#running === undefined) return;
    try {
      this.#thread ??= this.#startThread();
    } catch (error) {
      const cause = isShortage(error as Error) ? this.#shortageError() : (error as Error);
      this.#drop(cause);
      this.#role.onReplaced?.(cause.message);
      this.#next();
      return;
    }
    if (this.#thread.isReady) this.#send(this.#thread, this.#running);
  }

  /** Starts the time without a job, or ends it. */
  #watchIdleness(): void {
    clearTimeout(this.#idleTimer);
    const { idleMs } = this.#role.limits;
    const thread = this.#thread;
    if (idleMs === undefined || !thread || this.#queue.length > 0) return;
    this.#idleTimer = setTimeout(() => {
      if (this.#thread === thread && this.#running === undefined) this.#end(thread);
    }, idleMs);
    this.#idleTimer.unref();
  }

  /** Ends a thread without a job. The next job starts another one. */
  #end(thread: Thread): void {
    clearTimeout(thread.timer);
    this.#thread = undefined;
    void thread.worker.terminate();
  }

  /** The shortest job, or the oldest one if enough jobs have overtaken it. */
  #take(): PendingJob<Job, Result> | undefined {
    const oldest = this.#queue[0];
    if (oldest === undefined) return undefined;
    const shortest = this.#queue.reduce((best, one) => (one.units < best.units ? one : best));
    const chosen = oldest.overtaken < MAX_OVERTAKEN ? shortest : oldest;
    const index = this.#queue.indexOf(chosen);
    for (const earlier of this.#queue.slice(0, index)) earlier.overtaken += 1;
    this.#queue.splice(index, 1);
    return chosen;
  }

  #startThread(): Thread {
    leaveRemovedFolder();
    // The thread must not inherit the options of the process (--input-type, or --import in tests).
    const worker = new Worker(this.#role.entry, {
      workerData: this.#role.data,
      execArgv: [],
      resourceLimits: { maxOldGenerationSizeMb: this.#role.limits.heapMb },
    });
    const thread: Thread = { worker, isReady: false, timer: undefined };
    worker.on('error', (cause) => this.#onLoss(thread, cause));
    worker.on('exit', (code) => this.#onLoss(thread, new Error(`It exited with code ${code}.`)));
    worker.on('message', (answer: Answer | CommonAnswer) => {
      if (this.#thread === thread) this.#onAnswer(thread, answer);
    });
    this.#setDeadline(
      thread,
      this.#role.limits.startMs,
      () => new Error(`The ${this.#role.name} takes too long to open.`),
    );
    worker.unref();
    return thread;
  }

  #send(thread: Thread, { job, units }: PendingJob<Job, Result>): void {
    thread.worker.postMessage(job);
    const ms = this.#role.msOf(units);
    this.#setDeadline(thread, ms, () => this.#role.tooSlow(ms));
  }

  /** Ends the thread after this time, unless another deadline is set before. */
  #setDeadline(thread: Thread, ms: number, reason: () => Error): void {
    clearTimeout(thread.timer);
    // An answer that waits for the event loop arrives before `setImmediate`: a busy loop is not a slow
    // thread.
    const expire = (): unknown => setImmediate(() => thread.timer === timer && this.#replace(thread, reason()));
    const timer = setTimeout(expire, ms);
    timer.unref();
    thread.timer = timer;
  }

  #onAnswer(thread: Thread, answer: Answer | CommonAnswer): void {
    clearTimeout(thread.timer);
    thread.timer = undefined;
    if (isOf(answer, 'ready')) {
      thread.isReady = true;
      this.#starting?.resolve();
      this.#starting = undefined;
      if (this.#running) this.#send(thread, this.#running);
      return;
    }
    if (isOf(answer, 'unusable') || isOf(answer, 'failed')) {
      const cause = new Error(answer.message);
      // Node.js keeps the failure of an import for the life of the thread.
      if (answer.type === 'unusable' || isShortage(cause)) {
        this.#replace(thread, isShortage(cause) ? this.#shortageError() : cause);
        return;
      }
    }
    const finished = this.#running;
    this.#running = undefined;
    this.#settle(finished, answer as Answer);
    this.#next();
  }

  /** Settles a job with an answer that is about it. */
  #settle(job: PendingJob<Job, Result> | undefined, answer: Answer): void {
    try {
      job?.resolve(this.#role.resultOf(answer));
    } catch (error) {
      job?.reject(error);
    }
  }

  #onLoss(thread: Thread, cause: Error): void {
    const { name, limits, tooMuchMemory } = this.#role;
    if (isShortage(cause)) this.#replace(thread, this.#shortageError());
    else if ('code' in cause && cause.code === 'ERR_WORKER_OUT_OF_MEMORY')
      this.#replace(thread, tooMuchMemory(limits.heapMb));
    else this.#replace(thread, new Error(`The ${name} thread was lost.`, { cause }));
  }

  /** Ends the thread and rejects its job. The next job starts another thread. */
  #replace(thread: Thread, reason: Error): void {
    if (this.#thread !== thread) return;
    this.#drop(reason);
    void thread.worker.terminate();
    this.#role.onReplaced?.(reason.message);
    this.#next();
  }

  #closedError(): Error {
    return new Error(`The ${this.#role.name} is closed.`);
  }

  #shortageError(): WorkerError {
    const message = `The worker has no free file descriptor or memory to start its thread for ${this.#role.purpose}; try again later.`;
    return new WorkerError('WORKER_UNHEALTHY', message, { retryAfterMs: RETRY_MS });
  }

  #drop(reason: Error): void {
    clearTimeout(this.#thread?.timer);
    clearTimeout(this.#idleTimer);
    this.#thread = undefined;
    this.#running?.reject(reason);
    this.#running = undefined;
    this.#starting?.reject(reason);
    this.#starting = undefined;
  }
}

/**
 * True if the system has no file descriptor or memory for a thread, or for a file that the thread reads: a
 * later start can succeed.
 */
const isShortage = (cause: Error): boolean =>
  ('code' in cause && cause.code === 'ERR_WORKER_INIT_FAILED') || /\b(?:EMFILE|ENFILE|ENOMEM)\b/.test(cause.message);

/** True for an answer of this type, which every thread has. */
const isOf = <T extends CommonAnswer['type']>(
  answer: { readonly type: string },
  type: T,
): answer is Extract<CommonAnswer, { readonly type: T }> => answer.type === type;

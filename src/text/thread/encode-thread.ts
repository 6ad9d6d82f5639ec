/**
 * The event loop's side of the thread that renders and encodes prompts: queue, deadlines, cancellation,
 * replacement of the thread. Starts the thread (tokenizer-thread.ts).
 */
import { Worker } from 'node:worker_threads';
import { leaveRemovedFolder } from '../../config/host/folder.ts';
import { WorkerError } from '../../contract/errors.ts';
import { conversationUnits } from '../template/conversation.ts';
import { EncodeError } from '../tokenizer/encode-error.ts';
import type { EncodeInput, EncodeJob, ThreadAnswer, ThreadData } from './thread-messages.ts';

/** Limits of the thread. Times are in milliseconds. */
export interface ThreadLimits {
  /** Time from the start of the thread until it has opened the tokenizer. */
  readonly startMs: number;
  /** Time of a job. */
  readonly jobMs: number;
  /** Time of a job for each of its UTF-16 units, in addition. */
  readonly unitMs: number;
  /** MiB of the heap. */
  readonly heapMb: number;
}

/**
 * A million added tokens open in 7 s. The slowest text of 15 families of tokenizers takes 0.03 ms a
 * character; a template may take a second.
 */
export const THREAD_LIMITS: ThreadLimits = { startMs: 60_000, jobMs: 2_000, unitMs: 0.25, heapMb: 1_024 };

/**
 * A job is overtaken by at most this many shorter ones. With 80 jobs in flight, a long one waits for some of
 * the others and never for all.
 */
export const MAX_OVERTAKEN = 8;

/** Time until a retry if the system has no resources for a thread. */
const RETRY_MS = 1000;

export interface EncodeThreadOptions {
  readonly entry: URL;
  readonly data: ThreadData;
  readonly limits?: ThreadLimits;
  /** Called when the thread was ended before its time or could not start. The next job starts another one. */
  readonly onReplaced?: ((reason: string) => void) | undefined;
}

interface PendingJob {
  readonly job: EncodeJob;
  readonly units: number;
  readonly resolve: (ids: number[]) => void;
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
export class EncodeThread {
  readonly #options: EncodeThreadOptions;
  readonly #limits: ThreadLimits;
  #thread: Thread | undefined;
  /** The job that the thread has, or gets when it is ready. */
  #running: PendingJob | undefined;
  readonly #queue: PendingJob[] = [];
  /** Settles the promise of `start`. */
  #starting: { readonly resolve: () => void; readonly reject: (reason: unknown) => void } | undefined;
  #closed = false;

  constructor(options: EncodeThreadOptions) {
    this.#options = options;
    this.#limits = options.limits ?? THREAD_LIMITS;
  }

  /**
   * Starts the thread and waits until it has opened the tokenizer.
   * @throws Error of the tokenizer or template that cannot be used
   */
  async start(): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#starting = { resolve, reject };
      this.#thread ??= this.#startThread();
    });
  }

  /**
   * Ids of one job. Short jobs go first.
   * @throws the signal's reason; WorkerError INVALID_REQUEST if the template refuses the messages;
   *   EncodeError; Error if the thread is lost or closed
   */
  async encode(job: EncodeJob, signal: AbortSignal | undefined): Promise<number[]> {
    if (this.#closed) throw new Error('The tokenizer is closed.');
    const settled = new AbortController();
    try {
      return await new Promise((resolve, reject) => {
        const pending = { job, units: unitsOf(job.input), resolve, reject, overtaken: 0 };
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
    const reason = new Error('The tokenizer is closed.');
    for (const { reject } of this.#queue.splice(0)) reject(reason);
    const thread = this.#thread;
    this.#drop(reason);
    await thread?.worker.terminate();
  }

  /** Rejects the job. A job that the thread already has is finished there, and its result is dropped. */
  #cancel(pending: PendingJob, reason: unknown): void {
    const index = this.#queue.indexOf(pending);
    if (index >= 0) this.#queue.splice(index, 1);
    // A thread that is not ready yet has no job: the next one takes the place.
    if (pending === this.#running && this.#thread?.isReady === false) this.#running = undefined;
    pending.reject(reason);
    this.#next();
  }

  #next(): void {
    if (this.#running !== undefined || this.#queue.length === 0) return;
    this.#running = this.#take();
    if (this.#running === undefined) return;
    try {
      this.#thread ??= this.#startThread();
    } catch (error) {
      const cause = isShortage(error as Error) ? noThreadError() : (error as Error);
      this.#drop(cause);
      this.#options.onReplaced?.(cause.message);
      this.#next();
      return;
    }
    if (this.#thread.isReady) this.#send(this.#thread, this.#running);
  }

  /** The shortest job, or the oldest one if enough jobs have overtaken it. */
  #take(): PendingJob | undefined {
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
    const worker = new Worker(this.#options.entry, {
      workerData: this.#options.data,
      execArgv: [],
      resourceLimits: { maxOldGenerationSizeMb: this.#limits.heapMb },
    });
    const thread: Thread = { worker, isReady: false, timer: undefined };
    worker.on('error', (cause) => this.#onLoss(thread, cause));
    worker.on('exit', (code) => this.#onLoss(thread, new Error(`It exited with code ${code}.`)));
    worker.on('message', (answer: ThreadAnswer) => {
      if (this.#thread === thread) this.#onAnswer(thread, answer);
    });
    this.#setDeadline(thread, this.#limits.startMs, () => new Error('The tokenizer takes too long to open.'));
    worker.unref();
    return thread;
  }

  #send(thread: Thread, { job, units }: PendingJob): void {
    thread.worker.postMessage(job);
    const ms = Math.ceil(this.#limits.jobMs + units * this.#limits.unitMs);
    const message = `tokenizer and template need more than ${ms} ms for the text`;
    this.#setDeadline(thread, ms, () => new EncodeError('too_slow', message));
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

  #onAnswer(thread: Thread, answer: ThreadAnswer): void {
    clearTimeout(thread.timer);
    thread.timer = undefined;
    if (answer.type === 'ready') {
      thread.isReady = true;
      this.#starting?.resolve();
      this.#starting = undefined;
      if (this.#running) this.#send(thread, this.#running);
      return;
    }
    if (answer.type === 'unusable' || answer.type === 'failed') {
      const cause = new Error(answer.message);
      // Node.js keeps the failure of an import for the life of the thread.
      if (answer.type === 'unusable' || isShortage(cause)) {
        this.#replace(thread, isShortage(cause) ? noThreadError() : cause);
        return;
      }
    }
    const finished = this.#running;
    this.#running = undefined;
    if (answer.type === 'ids') finished?.resolve(answer.ids);
    else finished?.reject(errorOf(answer));
    this.#next();
  }

  #onLoss(thread: Thread, cause: Error): void {
    const isMemory = 'code' in cause && cause.code === 'ERR_WORKER_OUT_OF_MEMORY';
    if (isShortage(cause)) {
      this.#replace(thread, noThreadError());
      return;
    }
    const reason = isMemory
      ? new EncodeError(
          'too_much_memory',
          `tokenizer and template need more than ${this.#limits.heapMb} MiB for the text`,
        )
      : new Error('The tokenizer thread was lost.', { cause });
    this.#replace(thread, reason);
  }

  /** Ends the thread and rejects its job. The next job starts another thread. */
  #replace(thread: Thread, reason: Error): void {
    if (this.#thread !== thread) return;
    this.#drop(reason);
    void thread.worker.terminate();
    this.#options.onReplaced?.(reason.message);
    this.#next();
  }

  #drop(reason: Error): void {
    clearTimeout(this.#thread?.timer);
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

function noThreadError(): WorkerError {
  const message =
    'The worker has no free file descriptor or memory to start its thread for long prompts; try again later.';
  return new WorkerError('WORKER_UNHEALTHY', message, { retryAfterMs: RETRY_MS });
}

/** The error of a job, as it was thrown on the thread. */
function errorOf(answer: Exclude<ThreadAnswer, { readonly type: 'ids' | 'ready' | 'unusable' }>): Error {
  switch (answer.type) {
    case 'refused':
      return new WorkerError('INVALID_REQUEST', undefined, { violations: answer.violations });
    case 'not_encoded':
      return new EncodeError(answer.kind, answer.message, answer.leastTokens);
    case 'failed':
      return new Error(`The text could not be encoded: ${answer.message}`);
  }
}

/** UTF-16 units of an input: the measure of its work. */
export function unitsOf(input: EncodeInput): number {
  return typeof input === 'string' ? input.length : conversationUnits(input);
}

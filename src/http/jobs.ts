/**
 * The jobs in flight: who is running, who may come in, who was asked to stop. The one owner of this list.
 */
import { WorkerError } from '../errors.ts';
import type { Story } from '../narration/narrate.ts';
import type { EventStream } from './stream.ts';

/** Why a job is stopped before the engine would have ended it. */
export type Stop = 'stop_sequence' | 'cancelled' | 'reader_left' | 'timeout' | 'draining';

/** Finished ids that `/cancel` still knows. */
const REMEMBERED = 10_000;

export class Job {
  readonly story: Story;
  readonly stream: EventStream;
  readonly acceptedAt = performance.now();
  readonly #controller = new AbortController();
  #stop: { readonly why: Stop; readonly at: number } | undefined;

  constructor(story: Story, stream: EventStream) {
    this.story = story;
    this.stream = stream;
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Why and when the job was stopped; the first reason counts. */
  get stopped(): { readonly why: Stop; readonly at: number } | undefined {
    return this.#stop;
  }

  stop(why: Stop): void {
    if (this.#stop) return;
    this.#stop = { why, at: performance.now() };
    this.#controller.abort();
  }
}

export class Jobs {
  readonly #running = new Map<string, Job>();
  readonly #finished = new Set<string>();
  #idle: (() => void)[] = [];

  get size(): number {
    return this.#running.size;
  }

  [Symbol.iterator](): IterableIterator<Job> {
    return this.#running.values();
  }

  /** @throws WorkerError `DUPLICATE_JOB` if a job of this id is in flight. */
  refuseDuplicate(jobId: string): void {
    if (this.#running.has(jobId)) {
      throw new WorkerError(
        'DUPLICATE_JOB',
        'A job with this job_id is in flight; wait for its end or choose another id.',
      );
    }
  }

  add(jobId: string, job: Job): void {
    this.refuseDuplicate(jobId);
    this.#finished.delete(jobId);
    this.#running.set(jobId, job);
  }

  /** Takes a job that is over off the list, or one that was refused before its stream began. */
  remove(jobId: string): void {
    if (!this.#running.delete(jobId)) return;
    this.#finished.add(jobId);
    const [oldest] = this.#finished;
    if (this.#finished.size > REMEMBERED && oldest !== undefined) this.#finished.delete(oldest);
    if (this.#running.size > 0) return;
    for (const done of this.#idle.splice(0)) done();
  }

  /** Asks a job to stop. Undefined if no job of this id was ever here (of the last 10 000). */
  cancel(jobId: string): 'cancelling' | 'finished' | undefined {
    const job = this.#running.get(jobId);
    job?.stop('cancelled');
    if (job) return 'cancelling';
    return this.#finished.has(jobId) ? 'finished' : undefined;
  }

  /** Resolves when no job is in flight. */
  idle(): Promise<void> {
    if (this.#running.size === 0) return Promise.resolve();
    return new Promise((resolve) => this.#idle.push(resolve));
  }
}

/**
 * The jobs in flight and those that are over but can still be read: who is running, who may come in, who was asked to stop. The one owner
 * of this list, and of the memory of all event logs together.
 */
import { WorkerError } from '../contract/errors.ts';
import type { Job } from './job.ts';

/** Ids of jobs whose log is gone, that are told apart from ids that were never here. */
const REMEMBERED = 10_000;
/** The least that the log of a running job may hold, however many slots share the memory. */
const LEAST_LOG_BYTES = 256 * 1024;

/** How long, in milliseconds, and in how much memory the logs of jobs are kept. */
export interface ReplayLimits {
  readonly ttlMs: number;
  /** Of all logs together: half for the running jobs, half for those that are over. */
  readonly bytes: number;
}

export class JobRegistry {
  readonly #limits: ReplayLimits;
  readonly #running = new Map<string, Job>();
  /** Over, oldest end first. */
  readonly #kept = new Map<string, { readonly job: Job; readonly until: number }>();
  #keptBytes = 0;
  #expiry: NodeJS.Timeout | undefined;
  readonly #finished = new Set<string>();
  #idle: (() => void)[] = [];

  constructor(keeping: ReplayLimits) {
    this.#limits = keeping;
  }

  get size(): number {
    return this.#running.size;
  }

  [Symbol.iterator](): IterableIterator<Job> {
    return this.#running.values();
  }

  /** Bytes of all event logs. */
  get logBytes(): number {
    return [...this.#running.values()].reduce((sum, { log }) => sum + log.bytes, this.#keptBytes);
  }

  /** Most bytes of the log of one running job, where `slots` of them grow at the same time. */
  share(slots: number): number {
    return Math.max(LEAST_LOG_BYTES, this.#limits.bytes / 2 / slots);
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

  /** A job that was here before under this id is forgotten. */
  add(jobId: string, job: Job): void {
    this.refuseDuplicate(jobId);
    this.#drop(jobId);
    this.#finished.delete(jobId);
    this.#running.set(jobId, job);
  }

  /** Takes a job that is over off the list of those in flight, or one that was refused before its stream began. */
  remove(jobId: string): void {
    const job = this.#running.get(jobId);
    if (!job) return;
    this.#running.delete(jobId);
    if (job.log.begun) this.#keep(jobId, job);
    else this.#remember(jobId);
    if (this.#running.size > 0) return;
    for (const done of this.#idle.splice(0)) done();
  }

  /** A job that runs or whose log is still kept; `gone` if there was one (of the last 10 000). */
  find(jobId: string): Job | 'gone' | undefined {
    const job = this.#running.get(jobId) ?? this.#kept.get(jobId)?.job;
    return job ?? (this.#finished.has(jobId) ? 'gone' : undefined);
  }

  /** Asks a job to stop. Undefined if no job of this id was ever here (of the last 10 000). */
  cancel(jobId: string): 'cancelling' | 'finished' | undefined {
    const job = this.#running.get(jobId);
    job?.stop('cancelled');
    if (job) return 'cancelling';
    return this.find(jobId) ? 'finished' : undefined;
  }

  /** Resolves when no job is in flight. */
  idle(): Promise<void> {
    if (this.#running.size === 0) return Promise.resolve();
    return new Promise((resolve) => this.#idle.push(resolve));
  }

  /** The oldest logs make room for a new one. */
  #keep(jobId: string, job: Job): void {
    this.#kept.set(jobId, { job, until: performance.now() + this.#limits.ttlMs });
    this.#keptBytes += job.log.bytes;
    for (const oldest of this.#kept.keys()) {
      if (this.#keptBytes <= this.#limits.bytes / 2) break;
      this.#drop(oldest);
    }
    this.#expire();
  }

  /** Lets go of what has been kept long enough, and comes back for the next. */
  #expire(): void {
    clearTimeout(this.#expiry);
    for (const [jobId, { until }] of this.#kept) {
      const left = until - performance.now();
      if (left > 0) {
        this.#expiry = setTimeout(() => this.#expire(), left).unref();
        return;
      }
      this.#drop(jobId);
    }
  }

  /** Readers that are at it keep their log until they have read it. */
  #drop(jobId: string): void {
    const kept = this.#kept.get(jobId);
    if (!kept) return;
    this.#kept.delete(jobId);
    this.#keptBytes -= kept.job.log.bytes;
    this.#remember(jobId);
  }

  #remember(jobId: string): void {
    this.#finished.add(jobId);
    const [oldest] = this.#finished;
    if (this.#finished.size > REMEMBERED && oldest !== undefined) this.#finished.delete(oldest);
  }
}

/**
 * The running jobs, and the finished jobs whose logs can still be read. The only module that lists all jobs
 * and limits the memory of all event logs together.
 */
import { WorkerError } from '../contract/errors.ts';
import { type Demand, DemandCount } from './capacity/demand.ts';
import type { Job } from './job.ts';

/** Maximum number of remembered ids of jobs without a log (answered 410; an unknown id is answered 404). */
export const MAX_REMEMBERED = 10_000;
/**
 * Maximum number of finished jobs with a log, for any `--replay-memory`. Bounds the time of `GET /jobs`,
 * which copies the list: 100 000 entries take about 6 ms.
 */
export const MAX_KEPT = 100_000;
/** Minimum limit for the log of a running job in bytes, for any number of slots. */
export const MIN_LOG_BYTES = 256 * 1024;

/** Limits of the event logs: time for those of finished jobs, memory for all. */
export interface ReplayLimits {
  /** Time from the end of a job until its log is dropped, in milliseconds. */
  readonly ttlMs: number;
  /** Maximum bytes of all logs together: half for running jobs, half for finished jobs. */
  readonly bytes: number;
  /** Maximum number of finished jobs with a log. */
  readonly jobs?: number;
}

/** A finished job without a log. */
interface Finished {
  readonly runId: string;
  /** True if clients can have events of this run, or of an earlier run with the same job id. */
  readonly hadEvents: boolean;
}

export class JobRegistry {
  readonly #limits: ReplayLimits;
  readonly #running = new Map<string, Job>();
  /** Finished jobs with a log, in the order of their end. `until` is on the clock of performance.now(). */
  readonly #kept = new Map<string, { readonly job: Job; readonly until: number }>();
  #keptBytes = 0;
  #expiry: NodeJS.Timeout | undefined;
  /** Finished jobs without a log by their ids, the oldest first. */
  readonly #finished = new Map<string, Finished>();
  /** Jobs whose id an earlier run had. */
  readonly #reused = new WeakSet<Job>();
  /** The sequences of the running jobs. */
  readonly #demand = new DemandCount();
  /** Resolve functions of pending `idle` promises. */
  #idle: (() => void)[] = [];

  constructor(limits: ReplayLimits) {
    this.#limits = limits;
  }

  /** Number of running jobs. */
  get size(): number {
    return this.#running.size;
  }

  /** The sequences that the running jobs need. */
  get demand(): Demand {
    return this.#demand.sum;
  }

  [Symbol.iterator](): IterableIterator<Job> {
    return this.#running.values();
  }

  /** Bytes of all event logs. */
  get logBytes(): number {
    return [...this.#running.values()].reduce((sum, { log }) => sum + log.bytes, this.#keptBytes);
  }

  /** Maximum bytes of the log of one running job, if `slots` jobs run at the same time. */
  share(slots: number): number {
    return Math.max(MIN_LOG_BYTES, this.#limits.bytes / 2 / slots);
  }

  /** The running job with this id. */
  running(jobId: string): Job | undefined {
    return this.#running.get(jobId);
  }

  /** Resolves when no job with this id is running, or after `ms` milliseconds. */
  async ended(jobId: string, ms: number): Promise<void> {
    const job = this.#running.get(jobId);
    if (!job) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms);
      job.released.then(() => {
        clearTimeout(timer);
        resolve();
      });
    });
  }

  /**
   * Adds a running job. Forgets a finished job with the same id.
   * @throws WorkerError `DUPLICATE_JOB` if a job with this id is running
   */
  add(jobId: string, job: Job): void {
    if (this.#running.has(jobId)) throw new WorkerError('DUPLICATE_JOB');
    this.#drop(jobId);
    if (this.#finished.get(jobId)?.hadEvents) this.#reused.add(job);
    this.#finished.delete(jobId);
    this.#running.set(jobId, job);
    this.#demand.add(job.demand);
  }

  /** Called when a running job has ended, or was refused before its stream began. Keeps the log, if any. */
  remove(jobId: string): void {
    const job = this.#running.get(jobId);
    if (!job) return;
    this.#running.delete(jobId);
    this.#demand.remove(job.demand);
    job.release();
    if (job.log.begun) this.#keep(jobId, job);
    else this.#remember(jobId, job);
    if (this.#running.size > 0) return;
    for (const done of this.#idle.splice(0)) done();
  }

  /**
   * A running job, or a finished one with a log; `gone` for one of the last 10 000 jobs without a log;
   * undefined for an unknown id.
   */
  find(jobId: string): Job | 'gone' | undefined {
    const job = this.#running.get(jobId) ?? this.#kept.get(jobId)?.job;
    return job ?? (this.#finished.has(jobId) ? 'gone' : undefined);
  }

  /** Id of the run that `find` gives or remembers. */
  runOf(jobId: string): string | undefined {
    const job = this.#running.get(jobId) ?? this.#kept.get(jobId)?.job ?? this.#finished.get(jobId);
    return job?.runId;
  }

  /**
   * True if clients can have events of an earlier run with the same job id. The registry knows the runs of
   * the jobs that `find` knows.
   */
  isReused(job: Job): boolean {
    return this.#reused.has(job);
  }

  /** The finished jobs with a log, the last one first. */
  get finished(): Job[] {
    return Array.from(this.#kept.values(), ({ job }) => job).reverse();
  }

  /** Stops a running job. `finished` if the job is already over; undefined for an unknown id. */
  cancel(jobId: string): 'cancelling' | 'finished' | undefined {
    const job = this.#running.get(jobId);
    job?.stop('cancelled');
    if (job) return 'cancelling';
    return this.find(jobId) ? 'finished' : undefined;
  }

  /** Reports the joins and departures of all jobs that wait. For the end of the worker. */
  flushReports(): void {
    for (const { job } of this.#kept.values()) job.subscribers.flushReports();
    for (const job of this.#running.values()) job.subscribers.flushReports();
  }

  /** Resolves when no job is running. */
  idle(): Promise<void> {
    if (this.#running.size === 0) return Promise.resolve();
    return new Promise((resolve) => this.#idle.push(resolve));
  }

  /** Keeps the log of a finished job. Drops the oldest logs if the memory is full. */
  #keep(jobId: string, job: Job): void {
    this.#kept.set(jobId, { job, until: performance.now() + this.#limits.ttlMs });
    this.#keptBytes += job.log.bytes;
    const { bytes, jobs = MAX_KEPT } = this.#limits;
    for (const oldest of this.#kept.keys()) {
      if (this.#keptBytes <= bytes / 2 && this.#kept.size <= jobs) break;
      this.#drop(oldest);
    }
    this.#expire();
  }

  /** Drops the logs that have expired, and schedules the next call. */
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

  /** Drops the log of a finished job. Subscribers that still read it keep it in memory until they finish. */
  #drop(jobId: string): void {
    const kept = this.#kept.get(jobId);
    if (!kept) return;
    this.#kept.delete(jobId);
    this.#keptBytes -= kept.job.log.bytes;
    kept.job.subscribers.flushReports();
    this.#remember(jobId, kept.job);
  }

  #remember(jobId: string, job: Job): void {
    this.#finished.set(jobId, { runId: job.runId, hadEvents: job.log.begun || this.#reused.has(job) });
    const [oldest] = this.#finished.keys();
    if (this.#finished.size > MAX_REMEMBERED && oldest !== undefined) this.#finished.delete(oldest);
  }
}

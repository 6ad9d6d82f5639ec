/**
 * One accepted job: its request context, its event log, its subscribers, its deadline, and why it was
 * stopped.
 */
import type { Config } from '../config/config.ts';
import type { Narration, RequestContext } from '../narration/narrate.ts';
import type { EventLog } from './event-log.ts';
import type { StopReason } from './stop-outcome.ts';
import { type ReadPolicy, Subscribers } from './subscribers.ts';

export class Job {
  readonly context: RequestContext;
  readonly log: EventLog;
  readonly subscribers: Subscribers;
  /** Time of acceptance, on the clock of performance.now(). */
  readonly acceptedAt = performance.now();
  readonly #controller = new AbortController();
  #stop: { readonly why: StopReason; readonly at: number } | undefined;
  #deadline: NodeJS.Timeout | undefined;
  #release: () => void = () => undefined;
  /** Resolves when the job no longer counts as running: its id can be used again. */
  readonly released = new Promise<void>((resolve) => {
    this.#release = resolve;
  });

  constructor(context: RequestContext, log: EventLog, policy: ReadPolicy) {
    this.context = context;
    this.log = log;
    this.subscribers = new Subscribers(this, policy);
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Why and when the job was stopped; the first reason counts. */
  get stopped(): { readonly why: StopReason; readonly at: number } | undefined {
    return this.#stop;
  }

  /** Stops the job: aborts `signal`. Later calls have no effect. */
  stop(why: StopReason): void {
    if (this.#stop) return;
    this.#stop = { why, at: performance.now() };
    this.#controller.abort();
  }

  /** Stops the job with `timeout` after `ms` milliseconds, unless `clearDeadline` is called first. */
  setDeadline(ms: number): void {
    this.#deadline = setTimeout(() => this.stop('timeout'), ms);
  }

  clearDeadline(): void {
    clearTimeout(this.#deadline);
  }

  /** Call when the job has left the list of running jobs. */
  release(): void {
    this.#release();
  }
}

/** The ids of a request. */
export type RequestIds = Pick<RequestContext, 'correlationId' | 'jobId' | 'traceId' | 'spanId'>;

/**
 * A context whose narrations are also written to `log`: in full, with `human` only, or not at all
 * (`--narration`).
 */
export function contextOf(ids: RequestIds, log: EventLog, mode: Config['narration']): RequestContext {
  const onNarration = (narration: Narration): void => {
    if (mode === 'full') log.emit({ type: 'narration', ...narration });
    if (mode === 'human') log.emit({ type: 'narration', ...narration, cute: undefined, story: undefined });
  };
  return { ...ids, onNarration };
}

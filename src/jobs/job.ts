/**
 * One accepted job: its request context, its event log, its subscribers, its progress, its deadline, and why
 * it was stopped.
 */
import { randomInt } from 'node:crypto';
import type { Config } from '../config/config.ts';
import type { StreamErrorCode } from '../contract/errors.ts';
import type { JobState, StopReasonOfOutput } from '../contract/job-states.ts';
import type { Narration, RequestContext } from '../narration/narrate.ts';
import type { RequestTrace } from '../telemetry/traces/request-trace.ts';
import { JobDemand } from './capacity/demand.ts';
import type { EventLog } from './event-log.ts';
import type { StopReason } from './stop-outcome.ts';
import { type ReadPolicy, Subscribers } from './subscribers.ts';

/**
 * The characters of a run id: 36 letters and digits give 2^46 ids. Every event of the log has its run id, so
 * each character costs a byte of memory for each event.
 */
export const RUN_ID_CHARS = 9;

/** A new run id. Different on every worker and in every life, except for 1 in 10^14 pairs. */
export const newRunId = (): string =>
  randomInt(36 ** RUN_ID_CHARS)
    .toString(36)
    .padStart(RUN_ID_CHARS, '0');

/** The progress of a job in numbers. Contains no text of a prompt or an output. */
export interface JobProgress {
  /** Tokens of the prompt; undefined until it is tokenized. */
  tokensIn: number | undefined;
  tokensOut: number;
  /** True from the first step in a slot on; false again if the job returns to the queue. */
  hasSlot: boolean;
  /** The end of the job, with its time on the clock of performance.now(); undefined before. */
  end: ({ readonly at: number } & JobEnd) | undefined;
}

/** How a job ended: why its output ended, or the code of its error. */
export type JobEnd = { readonly stopReason: StopReasonOfOutput } | { readonly errorCode: StreamErrorCode };

/** The context of a request that has a span if traces are on. */
export interface TracedContext extends RequestContext {
  readonly trace?: RequestTrace;
}

export class Job {
  readonly context: TracedContext;
  /** Id of this run: another job with the same job id has another one. From the context, if that has one. */
  readonly runId: string;
  readonly progress: JobProgress = { tokensIn: undefined, tokensOut: 0, hasSlot: false, end: undefined };
  readonly log: EventLog;
  /** The sequences that the job needs. */
  readonly demand: JobDemand;
  readonly subscribers: Subscribers;
  /** Time of acceptance, on the clock of performance.now(). */
  readonly acceptedAt = performance.now();
  /** The same time in milliseconds since 1970. */
  readonly acceptedTime = Date.now();
  readonly #controller = new AbortController();
  #stop: { readonly why: StopReason; readonly at: number } | undefined;
  #deadline: NodeJS.Timeout | undefined;
  #release: () => void = () => undefined;
  /** Resolves when the job no longer counts as running: its id can be used again. */
  readonly released = new Promise<void>((resolve) => {
    this.#release = resolve;
  });

  /** @param demand absent: one output */
  constructor(context: TracedContext, log: EventLog, policy: ReadPolicy, demand = new JobDemand(1, 1)) {
    this.context = context;
    this.runId = context.runId ?? newRunId();
    this.log = log;
    this.demand = demand;
    this.subscribers = new Subscribers(this, policy);
  }

  get state(): JobState {
    if (this.log.over) return 'finished';
    if (this.#stop) return 'stopping';
    return this.progress.hasSlot ? 'running' : 'waiting';
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

  /** Stops the job with `why` after `ms` milliseconds, unless `clearDeadline` is called first. */
  setDeadline(ms: number, why: 'timeout' | 'deadline'): void {
    this.#deadline = setTimeout(() => this.stop(why), ms);
  }

  clearDeadline(): void {
    clearTimeout(this.#deadline);
  }

  /** Call when the job has left the list of running jobs. */
  release(): void {
    this.#release();
  }
}

/** The ids of a request, and its span. */
export type RequestFacts = Omit<TracedContext, 'onNarration'>;

/**
 * A context whose narrations are also written to `log`: in full, with `human` only, or not at all
 * (`--narration`).
 */
export function contextOf(facts: RequestFacts, log: EventLog, mode: Config['narration']): TracedContext {
  const onNarration = (narration: Narration): void => {
    if (mode === 'full') log.emit({ type: 'narration', ...narration });
    if (mode === 'human') log.emit({ type: 'narration', ...narration, cute: undefined, story: undefined });
  };
  return { ...facts, onNarration };
}

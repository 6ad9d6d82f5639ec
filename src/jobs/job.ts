/**
 * One accepted job: its ids, its event log, its subscribers, and why it was stopped.
 */
import type { RequestContext } from '../narration/narrate.ts';
import type { EventLog } from './event-log.ts';
import type { StopReason } from './stop-outcome.ts';
import { type ReadPolicy, Subscribers } from './subscribers.ts';

export class Job {
  readonly context: RequestContext;
  readonly log: EventLog;
  readonly subscribers: Subscribers;
  readonly acceptedAt = performance.now();
  readonly #controller = new AbortController();
  #stop: { readonly why: StopReason; readonly at: number } | undefined;

  constructor(story: RequestContext, stream: EventLog, terms: ReadPolicy) {
    this.context = story;
    this.log = stream;
    this.subscribers = new Subscribers(this, terms);
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Why and when the job was stopped; the first reason counts. */
  get stopped(): { readonly why: StopReason; readonly at: number } | undefined {
    return this.#stop;
  }

  stop(why: StopReason): void {
    if (this.#stop) return;
    this.#stop = { why, at: performance.now() };
    this.#controller.abort();
  }
}

/**
 * Notices that sequences of other requests join or leave the batch of a job, and measures the speed before
 * and after. Pure: the clock comes with the steps.
 */
import type { OwnStep } from './own-step.ts';
import { Span } from './span.ts';

/** Minimum milliseconds between two events of the same kind of one job. */
export const SPEED_INTERVAL_MS = 2000;
/** The speed after a change is measured for this long, and over this many tokens of each output. */
export const SETTLE_MS = 500;
export const LEAST_TOKENS = 4;

/** A change of the batch. Speeds in tokens per second, of all outputs that decode now. */
export interface BatchChange {
  readonly othersBefore: number;
  readonly others: number;
  readonly outputs: number;
  /** Undefined if the job had too few tokens before the change. */
  readonly before: number | undefined;
  readonly after: number;
  /** Milliseconds since the change, in which `after` was measured. */
  readonly windowMs: number;
}

export class BatchWatch {
  /** Number of other sequences at the last event, or at the first step; undefined before it. */
  #told: number | undefined;
  #toldAt = Number.NEGATIVE_INFINITY;
  /** The speed of the last event, in tokens per millisecond of one output. */
  #toldRate: number | undefined;
  /** The time since the last event, before and after the change. */
  #before = new Span();
  #after = new Span();

  /**
   * Adds a step. Returns the change since the last event, when it is due.
   * @param canTell false: the event would be lost, and waits
   */
  add(step: OwnStep, canTell: () => boolean): BatchChange | undefined {
    this.#told ??= step.others;
    if (step.others === this.#told) {
      if (this.#after.ms > 0) this.#revert();
      this.#before.add(step);
      return undefined;
    }
    this.#after.add(step);
    return this.#isDue(step.at) && canTell() ? this.#tell(step) : undefined;
  }

  /** A change that has reverted is not reported. */
  #revert(): void {
    this.#before.merge(this.#after);
    this.#after = new Span();
  }

  #isDue(at: number): boolean {
    const { ms, pausedMs, tokensEach } = this.#after;
    if (at - this.#toldAt < SPEED_INTERVAL_MS || ms - pausedMs < SETTLE_MS) return false;
    return tokensEach >= LEAST_TOKENS || ms - pausedMs >= SPEED_INTERVAL_MS;
  }

  #tell({ at, others, outputs }: OwnStep): BatchChange {
    const perSecond = 1000 * outputs;
    const before = this.#before.tokensEach >= LEAST_TOKENS ? this.#before.activeRate : this.#toldRate;
    const rate = this.#after.activeRate;
    const change: BatchChange = {
      othersBefore: this.#told ?? others,
      others,
      outputs,
      before: before === undefined ? undefined : before * perSecond,
      after: rate * perSecond,
      windowMs: this.#after.ms,
    };
    this.#told = others;
    this.#toldAt = at;
    this.#toldRate = rate;
    this.#before = new Span();
    this.#after = new Span();
    return change;
  }
}

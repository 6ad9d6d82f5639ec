/**
 * The engine's last estimate of when a slot is free, as an answer for every later moment. The engine counts
 * the requests that it knew at its report; the worker may have sent others since.
 */
import type { FromEngine } from '../protocol/messages.ts';

type Report = Pick<Extract<FromEngine, { kind: 'report' }>, 'slotFreeMs' | 'queue'>;

export class SlotEstimate {
  #report: Report = {};
  /** Time of the report, on the clock of performance.now(). */
  #at = 0;

  /** Keeps the estimate of a report, which may have none. */
  note(report: Report): void {
    this.#report = report;
    this.#at = performance.now();
  }

  /** Discards the estimate, for example of a lost engine. */
  forget(): void {
    this.#report = {};
  }

  /** Expected milliseconds until the first slot is free; undefined without an estimate. */
  get slotFreeMs(): number | undefined {
    const { slotFreeMs } = this.#report;
    return slotFreeMs === undefined ? undefined : this.#left(slotFreeMs);
  }

  /**
   * Expected milliseconds until a new request has a slot; undefined without an estimate.
   * @param ahead number of requests that wait for a slot before it
   */
  waitMs(ahead: number): number | undefined {
    const { slotFreeMs, queue } = this.#report;
    if (slotFreeMs === undefined || queue === undefined) return undefined;
    const behind = ahead === 0 ? slotFreeMs : queue.waitMs + (ahead - queue.length) * queue.eachMs;
    return this.#left(Math.max(slotFreeMs, behind));
  }

  #left(ms: number): number {
    return Math.max(0, this.#at + ms - performance.now());
  }
}

/**
 * Decides after which silence an engine counts as stalled. The engine sends no message during a step, so the
 * silence of a stalled engine is much longer than its steps. Pure: knows no clock and no process.
 */

/** A stall is a silence as long as at least this many of the longest steps. */
export const STALL_STEPS = 10;
/**
 * One step raises the threshold at most by this factor. A step that was long because its process was
 * suspended, or because the machine swapped, then does not hide the next stall. Steps that are long again and
 * again raise the threshold again and again.
 */
export const MAX_STALL_GROWTH = 2;
/** The steps raise the threshold at most to this part of `--step-timeout`: a stall shows before the kill. */
export const MAX_STALL_SHARE = 0.5;

export class StallThreshold {
  readonly #leastMs: number;
  readonly #mostMs: number;
  #longestMs = 0;

  /**
   * @param leastMs the threshold before a long step was seen, in milliseconds (`--stall-after`)
   * @param stepMs the silence after which the engine is killed, in milliseconds (`--step-timeout`)
   */
  constructor(leastMs: number, stepMs: number) {
    this.#leastMs = leastMs;
    this.#mostMs = Math.max(leastMs, stepMs * MAX_STALL_SHARE);
  }

  /** The lowest value of `ms`. */
  get leastMs(): number {
    return this.#leastMs;
  }

  /** Milliseconds of silence after which the engine counts as stalled. */
  get ms(): number {
    return Math.min(this.#mostMs, Math.max(this.#leastMs, STALL_STEPS * this.#longestMs));
  }

  /** Records the duration of a step in milliseconds. */
  noteStep(ms: number): void {
    const most = (MAX_STALL_GROWTH * this.ms) / STALL_STEPS;
    this.#longestMs = Math.max(this.#longestMs, Math.min(ms, most));
  }
}

/** Bounds the work of one compilation. Pure, except for the clock that the caller passes. */
import { GrammarError } from './grammar-error.ts';

/** Longest time of a compilation, in milliseconds. */
export const COMPILE_MS = 50;
/**
 * Units of work that a compilation has also if they take longer, so that a slow machine refuses no form that
 * an ordinary one compiles. They take about 30 ms of warm code.
 */
export const SURE_STEPS = 100_000;
/** How many times as long these units may take at most. */
export const SLOWEST = 4;
/** Maximum number of nodes, and of states of all automata, of one grammar. */
export const MAX_STATES = 50_000;
/** Maximum depth of a schema, of a pattern and of nested values in an enumeration. */
export const MAX_DEPTH = 256;

/** Steps between two looks at the clock. */
const CLOCK_STEPS = 256;

export class Budget {
  readonly #now: () => number;
  readonly #began: number;
  readonly #ms: number;
  readonly #sure: number;
  #states = 0;
  #steps = 0;
  #nextLook = CLOCK_STEPS;
  #timeIsOver = false;

  /**
   * @param now milliseconds of a monotonic clock
   * @param ms longest time from now on
   * @param sure units of work that may take `SLOWEST` times as long
   */
  constructor(now: () => number, ms = COMPILE_MS, sure = 0) {
    this.#now = now;
    this.#ms = ms;
    this.#sure = sure;
    this.#began = now();
  }

  /** Units of work so far. */
  get steps(): number {
    return this.#steps;
  }

  /** True if the compilation was refused for its time. */
  get timeIsOver(): boolean {
    return this.#timeIsOver;
  }

  /**
   * Counts a unit of work, of at most about a microsecond each.
   * @throws GrammarError `too_complex` when the time is over
   */
  step(count = 1): void {
    this.#steps += count;
    if (this.#steps < this.#nextLook) return;
    this.#nextLook = this.#steps + CLOCK_STEPS;
    const ms = this.#now() - this.#began;
    this.#timeIsOver = ms > this.#ms && (this.#steps > this.#sure || ms > SLOWEST * this.#ms);
    if (this.#timeIsOver)
      throw new GrammarError('too_complex', [], `needs more than ${this.#ms} ms to compile; use a smaller one`);
  }

  /**
   * Counts nodes or states of the grammar.
   * @throws GrammarError `too_complex` if they are too many
   */
  states(count = 1): void {
    this.#states += count;
    if (this.#states > MAX_STATES)
      throw new GrammarError('too_complex', [], `needs more than ${MAX_STATES} states; use a smaller one`);
    this.step(count);
  }
}

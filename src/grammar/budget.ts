/** Bounds the work of one compilation. Pure, except for the clock that the caller passes. */
import { GrammarError } from './grammar-error.ts';

/** Longest time of a compilation, in milliseconds. */
export const COMPILE_MS = 50;
/** Maximum number of nodes, and of states of all automata, of one grammar. */
export const MAX_STATES = 50_000;
/** Maximum depth of a schema, of a pattern and of nested values in an enumeration. */
export const MAX_DEPTH = 256;

/** Steps between two looks at the clock. */
const CLOCK_STEPS = 256;

export class Budget {
  readonly #now: () => number;
  readonly #until: number;
  readonly #ms: number;
  #states = 0;
  #steps = 0;

  /**
   * @param now milliseconds of a monotonic clock
   * @param ms longest time from now on
   */
  constructor(now: () => number, ms = COMPILE_MS) {
    this.#now = now;
    this.#ms = ms;
    this.#until = now() + ms;
  }

  /**
   * Counts a unit of work, of at most about a microsecond each.
   * @throws GrammarError `too_complex` when the time is over
   */
  step(count = 1): void {
    this.#steps += count;
    if (this.#steps < CLOCK_STEPS) return;
    this.#steps = 0;
    if (this.#now() > this.#until)
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

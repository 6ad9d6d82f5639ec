/**
 * Limits of one rendering. A caller on the event loop passes small ones, and hands a rendering that needs
 * more to a thread. The other constants bound the work of a single step, which no clock can interrupt.
 */

/** Limits of one rendering. */
export interface RenderLimits {
  /** Milliseconds. */
  readonly ms: number;
  /** Evaluated nodes of the syntax tree. */
  readonly steps: number;
  /** UTF-16 units of all strings that filters, calls and operators create; an item of a list counts as 32. */
  readonly text: number;
}

/** The largest limits: a hundred times the needs of a long conversation. */
export const MAX_RENDER: RenderLimits = { ms: 1_000, steps: 5_000_000, text: 2 ** 27 };
/** Units of `RenderLimits.text` that an item of a list counts as: it takes about as much memory. */
export const ITEM_UNITS = 32;
/**
 * The clock is read after this many units of work: characters and items of the values that steps produce,
 * and `STEP_UNITS` for each step.
 */
export const UNITS_PER_CLOCK_CHECK = 2 ** 16;
/** 32 steps between two readings of the clock: reading it at every step takes a fifth longer. */
const STEP_UNITS = 2 ** 11;

/**
 * UTF-16 units of the longest string that a template may create: the longest prompt of
 * `--max-prompt-chars auto`, and the longest template around it.
 */
export const MAX_TEXT = 2 ** 21 + 2 ** 18;
/**
 * Items of the longest list, and nested items of a list or mapping that is printed or compared: a small
 * template can nest a list in itself until it has a billion items. A range has up to 100 000.
 */
export const MAX_PARTS = 2 ** 17;
/** Widest indent that a filter may add. */
export const MAX_INDENT = 100;
/** Longest format of a date, path of an attribute, and separator in JSON, in UTF-16 units. */
export const MAX_ARGUMENT = 256;
/** Most items that a filter sorts. */
export const MAX_SORTED = 2 ** 12;

const TEXT_TOO_LONG = `a string is longer than ${MAX_TEXT} characters`;
const LIST_TOO_LONG = `a list is longer than ${MAX_PARTS} items`;

/** A rendering reached one of its `RenderLimits`. With larger limits it may succeed. */
export class RenderBudgetError extends Error {
  override readonly name = 'RenderBudgetError';
}

/** @throws Error if a string of this length may not exist. Call it before the string is created. */
export function checkTextLength(length: number): void {
  if (length > MAX_TEXT) throw new Error(TEXT_TOO_LONG);
}

/** @throws Error if a list of this length may not exist. Call it before the list is created. */
export function checkListLength(length: number): void {
  if (length > MAX_PARTS) throw new Error(LIST_TOO_LONG);
}

/** Counts the work of one rendering. @throws RenderBudgetError, from each method, if a limit is reached. */
export class RenderBudget {
  readonly #limits: RenderLimits;
  readonly #deadline: number;
  #steps = 0;
  #created = 0;
  /** Units of work since the clock was read. */
  #unclocked = 0;

  constructor(limits: RenderLimits) {
    this.#limits = limits;
    this.#deadline = performance.now() + limits.ms;
  }

  step(): void {
    this.#steps += 1;
    const { steps } = this.#limits;
    if (this.#steps > steps) throw new RenderBudgetError(`rendering takes more than ${steps} steps`);
    this.work(STEP_UNITS);
  }

  /** Reads the clock if enough work was done since the last reading. */
  work(units: number): void {
    this.#unclocked += units;
    if (this.#unclocked < UNITS_PER_CLOCK_CHECK) return;
    this.#unclocked = 0;
    if (performance.now() > this.#deadline)
      throw new RenderBudgetError(`rendering takes longer than ${this.#limits.ms} ms`);
  }

  /** Counts the text and the items of a value that a step created. */
  create(units: number): void {
    this.#created += units;
    const { text } = this.#limits;
    if (this.#created > text)
      throw new RenderBudgetError(`all strings and lists together are longer than ${text} characters`);
  }
}

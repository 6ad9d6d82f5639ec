/**
 * Limits of one rendering. A caller on the event loop passes small ones, and hands a rendering that needs
 * more to a thread.
 */

/** Limits of one rendering. */
export interface RenderLimits {
  /** Milliseconds. */
  readonly ms: number;
  /** Evaluated nodes of the syntax tree. */
  readonly steps: number;
  /** UTF-16 units of all strings that filters, calls and operators create. */
  readonly text: number;
}

/** The largest limits: a hundred times the needs of a long conversation. */
export const MAX_RENDER: RenderLimits = { ms: 1_000, steps: 5_000_000, text: 2 ** 27 };

/** A rendering reached one of its `RenderLimits`. With larger limits it may succeed. */
export class RenderBudgetError extends Error {
  override readonly name = 'RenderBudgetError';
}

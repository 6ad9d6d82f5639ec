/**
 * Decides how much of a prompt one step may compute. The next token of every decoding sequence waits for the
 * run over a chunk; the budget bounds that delay. Decides from measured costs; runs nothing.
 */
import type { CostModel } from './cost-model.ts';

/** Longest time of a chunk: a cancel and the tokens of the neighbours wait for it. */
const LONGEST_MS = 250;
/** A chunk of a long prompt may take as long as the decode steps before it, up to this bound. */
const LONGEST_BESIDE_MS = 500;
/** Shorter chunks cost more per token: on a 135 M model 32 tokens 1.1, 16 tokens 1.4 times those of 128. */
const LEAST = 32;
const MULTIPLE = 16;
/**
 * Decode steps between two chunks of a long prompt. Clearly fewer than one in 20 gaps between a neighbour's
 * tokens then contains a chunk, so that the 95th percentile of the gaps does not change.
 */
const STEPS_BETWEEN = 24;
/** A chunk of at most half a decode step may run in every step: the gap grows to 1.5 times. */
const BESIDE = 0.5;

export class PrefillBudget {
  readonly #costs: CostModel;
  /** Most tokens of one run. */
  readonly #most: number;
  /** Steps since the last chunk of a long prompt. */
  #stepsSince = STEPS_BETWEEN;

  constructor(costs: CostModel, most: number) {
    this.#costs = costs;
    this.#most = most;
  }

  /** Tokens of a chunk: as many as a run computes in 250 ms, at least 32. */
  get chunk(): number {
    return this.#chunkWithin(LONGEST_MS);
  }

  /**
   * Tokens of a long prompt that this step may compute beside `rows` decoding sequences; 0 = none in this
   * step. Chooses the faster of two ways for the prompt: a few tokens in every step, or a whole chunk in
   * every 25th.
   */
  allowance(rows: number): number {
    if (rows === 0) return this.chunk;
    const few = this.#few(rows);
    const step = this.#costs.rows.estimate(rows);
    const waited = STEPS_BETWEEN * step;
    const chunk = this.#chunkWithin(Math.min(LONGEST_BESIDE_MS, Math.max(LONGEST_MS, waited)));
    const together = few / (step + this.#costs.tokens.estimate(few));
    const apart = chunk / (waited + this.#costs.tokens.estimate(chunk));
    if (few > 1 && together >= apart) return few;
    return this.#stepsSince >= STEPS_BETWEEN ? chunk : 0;
  }

  /** True if the next chunk is for a long prompt, so that short ones do not starve it. */
  get due(): boolean {
    return this.#stepsSince >= STEPS_BETWEEN;
  }

  /** Counts a planned step, with or without a chunk of a long prompt. */
  stepped(withLongPrompt: boolean): void {
    this.#stepsSince = withLongPrompt ? 0 : this.#stepsSince + 1;
  }

  /** Expected milliseconds to compute `tokens` of a prompt beside `rows` decoding sequences. */
  expectedMs(tokens: number, rows: number): number {
    const { chunk } = this;
    const gaps = Math.max(0, Math.ceil(tokens / chunk) - 1);
    const waits = rows === 0 ? 0 : gaps * STEPS_BETWEEN * this.#costs.rows.estimate(rows);
    return (tokens / chunk) * this.#costs.tokens.estimate(chunk) + waits;
  }

  #chunkWithin(ms: number): number {
    let size = Math.floor(this.#most / MULTIPLE) * MULTIPLE;
    while (size > LEAST && this.#costs.tokens.estimate(size) > ms) size -= MULTIPLE;
    return Math.min(this.#most, Math.max(size, LEAST));
  }

  /** Most tokens whose run takes at most half as long as a decode step of `rows`. */
  #few(rows: number): number {
    const allowed = BESIDE * this.#costs.rows.estimate(rows);
    let size = Math.min(this.#most, this.chunk);
    while (size > 1 && this.#costs.tokens.estimate(size) > allowed) size = size > MULTIPLE ? size - MULTIPLE : size - 1;
    return size;
  }
}

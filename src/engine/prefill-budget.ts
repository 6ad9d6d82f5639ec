/**
 * How much of a prompt one step may compute, so that sequences that decode are slowed by a known amount: a run over a chunk holds up their
 * next token for as long as it takes. Decides from observed costs; runs nothing.
 */
import type { CostModel } from './cost-model.ts';

/** A chunk is to take no longer: it is how long a cancel, and a neighbour's token, wait. */
const LONGEST_MS = 250;
/** A long prompt may take as long as it has waited for the others, up to this: half of the time is its own. */
const LONGEST_BESIDE_MS = 500;
/** Shorter chunks cost more per token: measured on a 135 M model, 32 tokens 1.1, 16 tokens 1.4 times as much as 128. */
const LEAST = 32;
const MULTIPLE = 16;
/** Of the gaps between a neighbour's tokens, clearly fewer than one in 20 has a long chunk in it: the 95th percentile does not see it. */
const STEPS_BETWEEN = 24;
/** A chunk that takes at most half as long as the step beside it may come with every step: 1.5 times the gap. */
const BESIDE = 0.5;

export class PrefillBudget {
  readonly #costs: CostModel;
  /** Most tokens of one run. */
  readonly #most: number;
  /** Decode steps since a chunk of a long prompt. */
  #stepsSince = STEPS_BETWEEN;

  constructor(costs: CostModel, most: number) {
    this.#costs = costs;
    this.#most = most;
  }

  /** Tokens of a chunk of the best size: few enough to be over in 250 ms, many enough to be worth their run. */
  get chunk(): number {
    return this.#chunkWithin(LONGEST_MS);
  }

  /**
   * Tokens of a long prompt that this step may compute beside `rows` sequences that decode; 0 = none in this step. Whichever of two ways is
   * faster for the prompt: a few tokens with every step, or a whole chunk with every 25th.
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

  /** Whether a long prompt's turn has come: short ones do not go before it for ever. */
  get due(): boolean {
    return this.#stepsSince >= STEPS_BETWEEN;
  }

  /** A step was planned, with or without a chunk of a long prompt. */
  stepped(withLongPrompt: boolean): void {
    this.#stepsSince = withLongPrompt ? 0 : this.#stepsSince + 1;
  }

  /** Expected milliseconds to compute `tokens` of a prompt beside `rows` sequences that decode. */
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

  /** Most tokens whose run takes at most half a step. */
  #few(rows: number): number {
    const allowed = BESIDE * this.#costs.rows.estimate(rows);
    let size = Math.min(this.#most, this.chunk);
    while (size > 1 && this.#costs.tokens.estimate(size) > allowed) size = size > MULTIPLE ? size - MULTIPLE : size - 1;
    return size;
  }
}

/**
 * Decides how many prompt tokens one step may compute (chunked prefill). The next token of every decoding
 * sequence waits for the run over the chunk; the budget bounds this delay. Reads measured costs; runs
 * nothing.
 */
import type { CostModel } from './cost-model.ts';

/** Longest time of a chunk: a cancellation and the tokens of the other sequences wait for the chunk. */
export const LONGEST_MS = 250;
/** A chunk of a long prompt may take as long as the decode steps since the last chunk, up to this bound. */
const LONGEST_INTERLEAVED_MS = 500;
/**
 * Shortest chunk. Short chunks cost more per token than a chunk of 128: with a 135 M model, 1.1 times as much
 * for 32 tokens, 1.4 times for 16.
 */
const MIN_CHUNK = 32;
const CHUNK_MULTIPLE = 16;
/**
 * Decode steps between two chunks of a long prompt. Then clearly fewer than one in 20 intervals between two
 * tokens of another sequence contains a chunk, so that the 95th percentile of the intervals does not change.
 */
const STEPS_BETWEEN = 24;
/**
 * A chunk that takes at most half a decode step may run in every step. The interval between tokens is then
 * 1.5 times as long.
 */
const MAX_SHARE_OF_STEP = 0.5;

export class PrefillBudget {
  readonly #costs: CostModel;
  /** Maximum number of tokens in one run. */
  readonly #maxTokens: number;
  /** Maximum number of tokens in one run whose positions all get logits. */
  readonly #maxScored: number;
  /** Steps since the last chunk of a long prompt. */
  #stepsSince = STEPS_BETWEEN;

  constructor(costs: CostModel, maxTokens: number, maxScored = maxTokens) {
    this.#costs = costs;
    this.#maxTokens = maxTokens;
    this.#maxScored = maxScored;
  }

  /** Tokens in a chunk: the number that a run computes in 250 ms, at least 32. */
  get chunk(): number {
    return this.#chunkWithin(LONGEST_MS);
  }

  /**
   * Number of tokens of a long prompt that this step may compute beside `rows` decoding sequences; 0 = none
   * in this step. Chooses the alternative that computes the prompt faster: a few tokens in every step, or a
   * whole chunk in every 25th step.
   */
  allowance(rows: number): number {
    if (rows === 0) return this.chunk;
    const few = this.#tokensPerStep(rows);
    const step = this.#costs.rows.estimate(rows);
    const waited = STEPS_BETWEEN * step;
    const chunk = this.#chunkWithin(Math.min(LONGEST_INTERLEAVED_MS, Math.max(LONGEST_MS, waited)));
    const everyStepRate = few / (step + this.#costs.tokens.estimate(few));
    const wholeChunkRate = chunk / (waited + this.#costs.tokens.estimate(chunk));
    if (few > 1 && everyStepRate >= wholeChunkRate) return few;
    return this.#stepsSince >= STEPS_BETWEEN ? chunk : 0;
  }

  /**
   * Tokens of a chunk with scores that takes at most as long as a chunk of `tokens` without them: its run
   * computes the logits of every position, and each is read.
   */
  scored(tokens: number): number {
    const ms = this.#costs.tokens.estimate(tokens);
    const least = Math.max(2, Math.min(MIN_CHUNK, Math.floor(tokens / 2)));
    let size = Math.min(tokens, this.#maxScored);
    while (size > least && this.#costs.scored.estimate(size) > ms)
      size = Math.max(least, size - (size > 2 * CHUNK_MULTIPLE ? CHUNK_MULTIPLE : 1));
    return size;
  }

  /** True if the next chunk belongs to a long prompt, so that short prompts do not starve it. */
  get due(): boolean {
    return this.#stepsSince >= STEPS_BETWEEN;
  }

  /** Counts a planned step. `withLongPrompt`: the step has a chunk of a long prompt. */
  stepped(withLongPrompt: boolean): void {
    this.#stepsSince = withLongPrompt ? 0 : this.#stepsSince + 1;
  }

  /**
   * Expected milliseconds to compute a number of prompt tokens beside `rows` decoding sequences. A function
   * for many prompts, because finding the length of a chunk takes 10 µs.
   */
  forecast(rows: number): (tokens: number) => number {
    const { chunk } = this;
    const chunkMs = this.#costs.tokens.estimate(chunk);
    const gapMs = rows === 0 ? 0 : STEPS_BETWEEN * this.#costs.rows.estimate(rows);
    return (tokens) => (tokens / chunk) * chunkMs + Math.max(0, Math.ceil(tokens / chunk) - 1) * gapMs;
  }

  #chunkWithin(ms: number): number {
    let size = Math.floor(this.#maxTokens / CHUNK_MULTIPLE) * CHUNK_MULTIPLE;
    while (size > MIN_CHUNK && this.#costs.tokens.estimate(size) > ms) size -= CHUNK_MULTIPLE;
    return Math.min(this.#maxTokens, Math.max(size, MIN_CHUNK));
  }

  /** Maximum number of tokens whose run takes at most half as long as a decode step of `rows`. */
  #tokensPerStep(rows: number): number {
    const allowed = MAX_SHARE_OF_STEP * this.#costs.rows.estimate(rows);
    let size = Math.min(this.#maxTokens, this.chunk);
    while (size > 1 && this.#costs.tokens.estimate(size) > allowed)
      size = size > CHUNK_MULTIPLE ? size - CHUNK_MULTIPLE : size - 1;
    return size;
  }
}

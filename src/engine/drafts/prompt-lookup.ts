/**
 * Prompt-lookup decoding for one sequence: drafts the ids that followed the last earlier occurrence of the
 * current n-gram in prompt or output. Looks up n-grams of three ids first, then of two. Learns from accepted
 * and rejected ids how long a draft should be. Only proposes: the runner and the sampler verify. Rule:
 * Saxena, prompt lookup decoding, https://github.com/apoorvumang/prompt-lookup-decoding
 */
import type { RunCost } from '../cost-model.ts';

/** Maximum number of ids in a draft. */
export const MAX_DRAFT = 16;

/** Assumed acceptance rate of drafted ids, before the first draft. */
const PRIOR_ACCEPTANCE = 0.4;
/** Weight of one accepted or rejected id in the moving average of the acceptance rate. */
const AVERAGE_WEIGHT = 0.12;
/** After each step without a draft, the acceptance rate moves towards the prior by this fraction. */
const RECOVERY = 0.01;

/**
 * Combines ids into a key; larger than any vocabulary. Keys above 2^53 may collide, which is harmless: drafts
 * are verified.
 */
const RADIX = 2 ** 18;

export class PromptLookup {
  readonly #ids: number[] = [];
  /** Two ids → index of the id after their last occurrence. */
  readonly #pairs = new Map<number, number>();
  readonly #triples = new Map<number, number>();
  /** Index of the first id to draft; undefined if the current n-gram is new. */
  #match: number | undefined;
  #acceptance = PRIOR_ACCEPTANCE;
  drafted = 0;
  accepted = 0;

  /** @param ids prompt and output so far. */
  constructor(ids: Iterable<number>) {
    for (const id of ids) this.push(id);
  }

  /** Adds an id of the output. */
  push(id: number): void {
    const next = this.#ids.push(id);
    if (next < 2) return;
    const pair = (this.#ids[next - 2] ?? 0) * RADIX + id;
    const triple = (this.#ids[next - 3] ?? 0) * RADIX * RADIX + pair;
    this.#match = (next > 2 ? this.#triples.get(triple) : undefined) ?? this.#pairs.get(pair);
    this.#pairs.set(pair, next);
    if (next > 2) this.#triples.set(triple, next);
  }

  /**
   * The ids of a draft of the length that saves most time; empty if no draft is likely to save time.
   * @param max maximum number of ids that the sequence can still use.
   * @param cost cost of a run of several tokens of one row.
   */
  propose(max: number, cost: RunCost): readonly number[] {
    const start = this.#match;
    const count = start === undefined ? 0 : this.#bestLength(Math.min(max, MAX_DRAFT), cost);
    if (start === undefined || count === 0) {
      this.#acceptance += (PRIOR_ACCEPTANCE - this.#acceptance) * RECOVERY;
      return [];
    }
    // If the match is close to the end, the text repeats with a period shorter than the draft. The draft then
    // continues this repetition.
    const period = this.#ids.length - start;
    return Array.from({ length: count }, (_, index) => this.#ids[start + (index % period)] ?? 0);
  }

  /**
   * Updates the acceptance rate after a draft of `drafted` ids, of which the first `accepted` were accepted.
   */
  learn(drafted: number, accepted: number): void {
    this.drafted += drafted;
    this.accepted += accepted;
    for (let index = 0; index < accepted; index++) this.#acceptance += (1 - this.#acceptance) * AVERAGE_WEIGHT;
    if (accepted < drafted) this.#acceptance -= this.#acceptance * AVERAGE_WEIGHT;
  }

  /** The draft length with the most expected ids per millisecond; 0 if decoding without a draft is faster. */
  #bestLength(max: number, cost: RunCost): number {
    let best = 0;
    let bestRate = 1 / cost.estimate(1);
    let expected = 1;
    let allAccepted = 1;
    for (let count = 1; count <= max; count++) {
      allAccepted *= this.#acceptance;
      expected += allAccepted;
      const rate = expected / cost.estimate(count + 1);
      if (rate > bestRate) [best, bestRate] = [count, rate];
    }
    return best;
  }
}

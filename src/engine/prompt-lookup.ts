/**
 * Prompt-lookup drafts of one sequence: proposes the ids that followed the last earlier occurrence of the
 * current n-gram in prompt or output. Learns from the accepted ids how long a draft pays. Proposes only; the
 * sampler verifies. N-grams have three ids, then two.
 * Rule: Saxena, prompt lookup decoding, https://github.com/apoorvumang/prompt-lookup-decoding
 */
import type { RunCost } from './cost-model.ts';

/** Most ids of a draft. */
export const MOST_DRAFTED = 16;

/** Chance that a drafted id is accepted, before the first draft. */
const PRIOR = 0.4;
/** Weight of one accepted or rejected id. */
const FRESH = 0.12;
/** After every id without a draft the chance moves back to the prior by this share. */
const RECOVERY = 0.01;

/** Larger than any vocabulary. Keys above 2^53 may collide, which is harmless: drafts are verified. */
const RADIX = 2 ** 18;

export class PromptLookup {
  readonly #ids: number[] = [];
  /** Two ids → index of the id after their last occurrence. */
  readonly #pairs = new Map<number, number>();
  readonly #triples = new Map<number, number>();
  /** Index of the first id to propose. */
  #match: number | undefined;
  #chance = PRIOR;
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
   * The ids of a draft: as many as are likely to save time, which can be none.
   * @param most ids that the sequence may still use.
   * @param cost milliseconds of a run by the tokens of its one row.
   */
  propose(most: number, cost: RunCost): readonly number[] {
    const start = this.#match;
    const count = start === undefined ? 0 : this.#worthwhile(Math.min(most, MOST_DRAFTED), cost);
    if (start === undefined || count === 0) {
      this.#chance += (PRIOR - this.#chance) * RECOVERY;
      return [];
    }
    // A match close to the end has a period shorter than the draft, which then repeats its own ids.
    const period = this.#ids.length - start;
    return Array.from({ length: count }, (_, index) => this.#ids[start + (index % period)] ?? 0);
  }

  /** Learns from a draft of `drafted` ids, the first `accepted` of which were drawn. */
  learn(drafted: number, accepted: number): void {
    this.drafted += drafted;
    this.accepted += accepted;
    for (let index = 0; index < accepted; index++) this.#chance += (1 - this.#chance) * FRESH;
    if (accepted < drafted) this.#chance -= this.#chance * FRESH;
  }

  /** The length with the most expected ids per millisecond; 0 if decoding one by one is faster. */
  #worthwhile(most: number, cost: RunCost): number {
    let best = 0;
    let bestRate = 1 / cost.estimate(1);
    let expected = 1;
    let chance = 1;
    for (let count = 1; count <= most; count++) {
      chance *= this.#chance;
      expected += chance;
      const rate = expected / cost.estimate(count + 1);
      if (rate > bestRate) [best, bestRate] = [count, rate];
    }
    return best;
  }
}

/**
 * Prompt-lookup drafts of one sequence: what came after the last ids when they last occurred, in the prompt or in the output, is proposed to
 * come again. How long a draft is worth its run is learnt from how many were right. Proposes; whether a draft is right is the sampler's word.
 * Rule: Saxena, prompt lookup decoding, https://github.com/apoorvumang/prompt-lookup-decoding; n-grams of three, then of two ids.
 */
import type { RunCost } from './cost-model.ts';

/** Most ids of a draft. */
export const MOST_DRAFTED = 16;

/** Chance that a drafted id is right, before anything is known. */
const HOPE = 0.4;
/** Weight of one id that was right or wrong. */
const FRESH = 0.12;
/** After every id without a draft, so much of the hope comes back. */
const RECOVERY = 0.01;

/** Larger than any vocabulary. That keys of three ids may coincide beyond 2^53 does no harm: drafts are verified. */
const RADIX = 2 ** 18;

export class PromptLookup {
  readonly #ids: number[] = [];
  /** The last ids → place after them, where they occurred last. */
  readonly #pairs = new Map<number, number>();
  readonly #triples = new Map<number, number>();
  /** Place that the last ids propose to go on from. */
  #match: number | undefined;
  #chance = HOPE;
  drafted = 0;
  accepted = 0;

  /** @param ids prompt and output so far. */
  constructor(ids: Iterable<number>) {
    for (const id of ids) this.push(id);
  }

  /** Another id of the output. */
  push(id: number): void {
    const place = this.#ids.push(id);
    if (place < 2) return;
    const pair = (this.#ids[place - 2] ?? 0) * RADIX + id;
    const triple = (this.#ids[place - 3] ?? 0) * RADIX * RADIX + pair;
    this.#match = (place > 2 ? this.#triples.get(triple) : undefined) ?? this.#pairs.get(pair);
    this.#pairs.set(pair, place);
    if (place > 2) this.#triples.set(triple, place);
  }

  /**
   * What may come next: as many ids as are likely to save time, none when none are.
   * @param most ids that there is room for.
   * @param cost milliseconds of a run by the tokens of its one row.
   */
  propose(most: number, cost: RunCost): readonly number[] {
    const start = this.#match;
    const count = start === undefined ? 0 : this.#worthwhile(Math.min(most, MOST_DRAFTED), cost);
    if (start === undefined || count === 0) {
      this.#chance += (HOPE - this.#chance) * RECOVERY;
      return [];
    }
    // A match close to the end goes on with the draft itself: what repeats with a period shorter than the draft.
    const period = this.#ids.length - start;
    return Array.from({ length: count }, (_, index) => this.#ids[start + (index % period)] ?? 0);
  }

  /** Of the last draft's `drafted` ids the first `accepted` were right. */
  learn(drafted: number, accepted: number): void {
    this.drafted += drafted;
    this.accepted += accepted;
    for (let index = 0; index < accepted; index++) this.#chance += (1 - this.#chance) * FRESH;
    if (accepted < drafted) this.#chance -= this.#chance * FRESH;
  }

  /** The length with the most expected ids per millisecond; 0 when no draft beats decoding one by one. */
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

/**
 * The ids that may be drawn next, and the rules that narrow them down: first the whole row of logits, then a list of ids in their order,
 * so that a logit that differs in its last bit moves no other id's place in the draw. Every rule is linear in the vocabulary whatever the
 * logits are, all equal too: nothing is sorted. The passes are WebAssembly (kernels.ts), what they are for is decided here.
 *
 * Logits are compared as they are. Weights are float32, off by 1e-6 of themselves where they matter, as a float32 logit of 16 is by its
 * last bit alone; sums of weights are float64.
 */
import { BUCKET_BITS, GROUP, Kernels, type List } from './kernels.ts';

/** The largest float32, and minus it the least logit that an id can be drawn with. */
const LARGEST = 3.4028234663852886e38;
/** Nothing but ties with the likeliest is drawn below this, and its inverse is still a float32. */
const LEAST_TEMPERATURE = 1e-37;
/** More than weights are off by: what is dropped before it is looked at must be dropped for sure. */
const MARGIN = 1e-4;

export class Candidates {
  readonly #kernels: Kernels;
  /** The largest logit. */
  #most = 0;
  #temperature = 1;
  /** Whether they are the list, or still the whole row. */
  #listed = false;
  /** Of the list. */
  #count = 0;
  /** Whether the list's weights are theirs, as long as they are the row by id. */
  #weighed = false;
  /** Where the last cut was made: the least logit that stays, and the last id that stays of those with just that. */
  #least = 0;
  #last = 0;

  constructor(vocabSize: number) {
    this.#kernels = new Kernels(vocabSize);
  }

  /** `[vocab]`: to be filled, and changed at will before `survey`. */
  get logits(): Float32Array {
    return this.#kernels.row;
  }

  /**
   * Reads the logits: every id is a candidate again, at temperature 1.
   * @returns the likeliest id, the lowest on a tie; -1 when no id can be drawn: a logit is NaN or +Infinity, or all are -Infinity.
   */
  argMax(): number {
    const { passes } = this.#kernels;
    this.#listed = false;
    this.#weighed = false;
    this.#temperature = 1;
    this.#most = passes.argMax();
    return Number.isFinite(this.#most) ? passes.find(this.#most) : -1;
  }

  /** @param temperature above 0: logits are divided by it. */
  setTemperature(temperature: number): void {
    this.#temperature = Math.max(temperature, LEAST_TEMPERATURE);
  }

  /** Keeps the k likeliest; the lowest ids among equals. For the whole row only. Rule: Fan et al., arXiv:1805.04833. */
  keepTopK(k: number): void {
    // Each counts for one here.
    this.#weighed = false;
    this.#gather(this.#kthMaximum(k));
    if (k >= this.#count) return;
    this.#kernels.candidates.weights.fill(1, 0, this.#count);
    this.#cut(k, this.#count);
    this.#keep(this.#least, this.#last);
  }

  /**
   * Keeps the smallest set of the likeliest whose probabilities, renormalized over what is left, reach p: at least one.
   * Rule: Holtzman et al., nucleus sampling, arXiv:1904.09751.
   */
  keepTopP(p: number): void {
    const total = this.#weigh();
    if (!this.#listed) {
      // Ids below 1/vocab of what is not wanted are not wanted, even all together: of a real model's row, all but some hundred.
      const unwanted = ((1 - p) * total) / this.logits.length;
      this.#gather(this.#most + this.#temperature * (Math.log(unwanted) - MARGIN));
    }
    this.#cut(p * total, this.#count);
    this.#keep(this.#least, this.#last);
  }

  /** Keeps ids at least p times as likely as the likeliest. Rule: Nguyen et al., arXiv:2407.01082. */
  keepMinP(p: number): void {
    // A weight equal to p stays.
    const least = this.#most + this.#temperature * Math.log(p) * (1 + Number.EPSILON);
    if (this.#listed) this.#keep(Math.max(least, -LARGEST), this.logits.length);
    else this.#gather(least);
  }

  /**
   * One id by its weight.
   * @param uniform in [0, 1).
   */
  draw(uniform: number): number {
    const { sums, candidates } = this.#kernels;
    const target = uniform * this.#weigh();
    const count = this.#listed ? this.#count : this.logits.length;
    // By the sums of groups to the group, then through it.
    const group = crossing(sums, 0, Math.ceil(count / GROUP), target);
    let before = 0;
    for (let index = 0; index < group; index++) before += sums[index] ?? 0;
    const start = group * GROUP;
    const place = crossing(candidates.weights, start, Math.min(start + GROUP, count), target - before);
    return this.#listed ? (candidates.ids[place] ?? 0) : place;
  }

  /** ln Σ e^(logit − largest) / temperature, over the candidates. */
  logSum(): number {
    return Math.log(this.#weigh());
  }

  /** The candidates with their logits, in the order of ids. Allocates; for after `keepTopK`. */
  entries(): { id: number; logit: number }[] {
    const { ids, values } = this.#kernels.candidates;
    return Array.from({ length: this.#count }, (_, place) => ({ id: ids[place] ?? 0, logit: values[place] ?? 0 }));
  }

  /** Probabilities of the candidates relative to the likeliest, and their sum. */
  #weigh(): number {
    const { passes, row, candidates } = this.#kernels;
    const from = this.#listed ? candidates.values : row;
    const count = this.#listed ? this.#count : row.length;
    const to = candidates.weights.byteOffset;
    if (!this.#weighed) passes.weigh(from.byteOffset, count, this.#most, Math.LOG2E / this.#temperature, to);
    this.#weighed = true;
    return passes.add(to, count);
  }

  /** From the row to a list of those with at least this logit. -Infinity is never listed. */
  #gather(least: number): void {
    const { passes, candidates } = this.#kernels;
    this.#count = passes.gather(Math.max(least, -LARGEST), candidates.at);
    this.#listed = true;
  }

  #keep(least: number, last: number): void {
    const { passes, candidates } = this.#kernels;
    this.#count = passes.keep(candidates.at, this.#count, least, last);
  }

  /** A bound for the k-th largest logit: at least k groups have a logit of this size. */
  #kthMaximum(k: number): number {
    const { maxima, candidates } = this.#kernels;
    if (k >= maxima.length) return -LARGEST;
    candidates.values.set(maxima);
    candidates.weights.fill(1, 0, maxima.length);
    this.#cut(k, maxima.length);
    return this.#least;
  }

  /**
   * Finds where the likeliest of the list, added up by their weights, reach `limit`: at the last of all when rounding leaves them short.
   * A histogram finds the bucket in which that happens, one over that bucket the next, until the bucket is one logit or equal ones.
   * Each divides the range of what is left anew, by at least as many as are left: two are usual, and the 32 bits of a key are soon used up.
   */
  #cut(limit: number, count: number): void {
    const { passes, span, buckets, candidates, edge } = this.#kernels;
    let list: List = candidates;
    let left = count;
    let reached = 0;
    for (;;) {
      passes.measure(list.at, left);
      const high = span[0] ?? 0;
      const range = high - (span[1] ?? 0);
      if (range === 0) break;
      const bits = Math.min(BUCKET_BITS, 33 - Math.clz32(left));
      const shift = Math.max(0, 32 - Math.clz32(range) - bits);
      const last = range >>> shift;
      buckets.fill(0, 0, last + 1);
      passes.tally(list.at, left, high, shift);
      let bucket = 0;
      while (bucket < last && reached + (buckets[bucket] ?? 0) < limit) reached += buckets[bucket++] ?? 0;
      left = passes.sift(list.at, left, high, shift, bucket, edge.at);
      list = edge;
    }
    const wanted = Math.ceil((limit - reached) / (list.weights[0] ?? 0));
    this.#least = list.values[0] ?? 0;
    this.#last = list.ids[wanted > 1 ? Math.min(wanted, left) - 1 : 0] ?? 0;
  }
}

/** The first place at which the sum from `from` on exceeds the target; where rounding leaves it short, the last that adds anything. */
function crossing(weights: Float32Array | Float64Array, from: number, to: number, target: number): number {
  let found = from;
  let sum = 0;
  for (let place = from; place < to; place++) {
    const weight = weights[place] ?? 0;
    if (weight === 0) continue;
    found = place;
    sum += weight;
    if (sum > target) break;
  }
  return found;
}

/**
 * The ids that may be drawn next, and the filters that remove ids: top-k, top-p, min-p. The candidates are
 * first the whole row of logits, then a list in ascending order of ids. A change in the last bit of a logit
 * therefore does not change the order of the ids in the draw. No filter sorts, so each is linear in the
 * vocabulary, even if many logits are equal. The passes over memory are WebAssembly (kernels.ts). Pure.
 *
 * Logits are compared exactly. Weights are float32. The relative error of a weight that matters is at most
 * 1e-6, as large as the error from the last bit of a float32 logit of 16. Sums of weights are float64.
 */
import { NEUTRAL, namesOf, type ParameterOf, type Sampling } from '../../protocol/sampling.ts';
import { BUCKET_BITS, GROUP, Kernels, type List } from './kernels.ts';

/** The largest float32. An id with a logit below minus this cannot be drawn. */
export const LARGEST = 3.4028234663852886e38;
/**
 * At this temperature only ids whose logits equal the largest can be drawn. The inverse is still a finite
 * float32.
 */
export const MIN_TEMPERATURE = 1e-37;
/**
 * Larger than the error of a weight. An id that is dropped by its logit alone is then certainly below the
 * limit.
 */
const MARGIN = 1e-4;

/** The smallest logit that min-p keeps. An id with a weight of exactly p stays. */
export const leastLogit = (largest: number, temperature: number, p: number): number =>
  Math.max(largest + Math.max(temperature, MIN_TEMPERATURE) * Math.log(p) * (1 + Number.EPSILON), -LARGEST);

export class Candidates {
  readonly #kernels: Kernels;
  /** The largest logit. */
  #largest = 0;
  #temperature = 1;
  /** True if the next `argMax` excludes the ids without a bit. */
  #masked = false;
  /** True if the candidates are the list, false if they are the whole row. */
  #listed = false;
  /** Length of the list. */
  #count = 0;
  /** True if the weights in memory belong to the candidates. */
  #weighed = false;
  /**
   * Result of the last `#cut`: the smallest logit to keep, and the highest id to keep among the ids with that
   * logit.
   */
  #cutLogit = 0;
  #cutId = 0;

  constructor(vocabSize: number) {
    this.#kernels = new Kernels(vocabSize);
  }

  /** Logits `[vocab]`. The caller fills them, and may change them until it calls `argMax`. */
  get logits(): Float32Array {
    return this.#kernels.row;
  }

  /**
   * Sets the logits of all ids to -Infinity but those of a set of bits. The next `argMax` does it.
   * @param apart ids whose bits do not count
   * @param open true: they are as if they were in the set; false: as if they were not
   */
  allowOnly(bits: Uint32Array, apart: Iterable<number>, open: boolean): void {
    const { bits: own } = this.#kernels;
    own.set(bits.length > own.length ? bits.subarray(0, own.length) : bits);
    own.fill(0, bits.length);
    for (const id of apart) {
      const word = own[id >>> 5];
      const bit = 1 << (id & 31);
      if (word !== undefined) own[id >>> 5] = open ? word | bit : word & ~bit;
    }
    this.#masked = true;
  }

  /**
   * Reads the logits: every id is a candidate again, at temperature 1.
   * @returns the likeliest id, the lowest on a tie; -1 when no id can be drawn: a logit is NaN or +Infinity,
   * or all are -Infinity.
   */
  argMax(): number {
    const { passes } = this.#kernels;
    this.#listed = false;
    this.#weighed = false;
    this.#temperature = 1;
    this.#largest = this.#masked ? passes.maskedArgMax() : passes.argMax();
    this.#masked = false;
    return Number.isFinite(this.#largest) ? passes.find(this.#largest) : -1;
  }

  /**
   * Makes these ids the candidates, at temperature 1, as if the filters had kept them of all ids.
   * @param ids with `values`: the likeliest first; without -0
   * @param count number of valid entries, at least 1
   */
  load(ids: Int32Array, values: Float32Array, count: number): void {
    const { candidates } = this.#kernels;
    for (let index = 0; index < count; index++) {
      const [id, value] = [ids[index] ?? 0, values[index] ?? 0];
      let at = index;
      for (; at > 0 && (candidates.ids[at - 1] ?? 0) > id; at--) {
        candidates.ids[at] = candidates.ids[at - 1] ?? 0;
        candidates.values[at] = candidates.values[at - 1] ?? 0;
      }
      candidates.ids[at] = id;
      candidates.values[at] = value;
    }
    this.#largest = values[0] ?? 0;
    this.#temperature = 1;
    this.#count = count;
    this.#listed = true;
    this.#weighed = false;
  }

  /** @param temperature above 0: logits are divided by it. */
  setTemperature(temperature: number): void {
    this.#temperature = Math.max(temperature, MIN_TEMPERATURE);
  }

  /** Applies every filter whose parameter is not neutral. */
  filter(sampling: Sampling): void {
    for (const name of FILTER_NAMES) if (sampling[name] !== NEUTRAL[name]) FILTERS[name](this, sampling[name]);
  }

  /**
   * Keeps the k likeliest ids, the lowest ids among equals. Must be the first filter. Rule: Fan et al.,
   * arXiv:1805.04833.
   */
  keepTopK(k: number): void {
    // The passes count with weights of 1, which overwrite the weights of the candidates.
    this.#weighed = false;
    this.#gather(this.#kthMaximum(k));
    if (k >= this.#count) return;
    this.#kernels.candidates.weights.fill(1, 0, this.#count);
    this.#cut(k, this.#count);
    this.#keep(this.#cutLogit, this.#cutId);
  }

  /**
   * Keeps the smallest set of likeliest ids whose summed probability, normalized over the candidates, reaches
   * p. Keeps at least one id. Rule: Holtzman et al., nucleus sampling, arXiv:1904.09751.
   */
  keepTopP(p: number): void {
    const total = this.#weigh();
    if (!this.#listed) {
      // Ids that each have less than 1/vocab of the weight to drop can be dropped together. In logits of a
      // real model these are all but a few hundred ids.
      const unwanted = ((1 - p) * total) / this.logits.length;
      this.#gather(this.#largest + this.#temperature * (Math.log(unwanted) - MARGIN));
    }
    this.#cut(p * total, this.#count);
    this.#keep(this.#cutLogit, this.#cutId);
  }

  /** Keeps ids at least p times as likely as the likeliest. Rule: Nguyen et al., arXiv:2407.01082. */
  keepMinP(p: number): void {
    const least = leastLogit(this.#largest, this.#temperature, p);
    if (this.#listed) this.#keep(least, this.logits.length);
    else this.#gather(least);
  }

  /**
   * Draws one id by the weights.
   * @param uniform in [0, 1).
   */
  draw(uniform: number): number {
    const { sums, candidates } = this.#kernels;
    const target = uniform * this.#weigh();
    const count = this.#listed ? this.#count : this.logits.length;
    // First find the group by the sums of the groups, then the id inside the group.
    const group = crossing(sums, 0, Math.ceil(count / GROUP), target);
    let before = 0;
    for (let index = 0; index < group; index++) before += sums[index] ?? 0;
    const start = group * GROUP;
    const index = crossing(candidates.weights, start, Math.min(start + GROUP, count), target - before);
    return this.#listed ? (candidates.ids[index] ?? 0) : index;
  }

  /** ln Σ e^((logit − largest) / temperature), over the candidates. */
  logSum(): number {
    return Math.log(this.#weigh());
  }

  /** The candidates with their logits, in ascending order of ids. Allocates, so call it after `keepTopK`. */
  entries(): { id: number; logit: number }[] {
    const { ids, values } = this.#kernels.candidates;
    return Array.from({ length: this.#count }, (_, index) => ({ id: ids[index] ?? 0, logit: values[index] ?? 0 }));
  }

  /**
   * Computes the weights of the candidates: probabilities divided by that of the likeliest id. Returns their
   * sum.
   */
  #weigh(): number {
    const { passes, row, candidates } = this.#kernels;
    const from = this.#listed ? candidates.values : row;
    const count = this.#listed ? this.#count : row.length;
    const to = candidates.weights.byteOffset;
    if (!this.#weighed) passes.weigh(from.byteOffset, count, this.#largest, Math.LOG2E / this.#temperature, to);
    this.#weighed = true;
    return passes.add(to, count);
  }

  /**
   * Turns the row into a list of the ids with at least this logit. An id with a logit of -Infinity is never
   * listed.
   */
  #gather(least: number): void {
    const { passes, candidates } = this.#kernels;
    this.#count = passes.gather(Math.max(least, -LARGEST), candidates.at);
    this.#listed = true;
  }

  #keep(least: number, last: number): void {
    const { passes, candidates } = this.#kernels;
    this.#count = passes.keep(candidates.at, this.#count, least, last);
  }

  /** A lower bound of the k-th largest logit: at least k groups contain a logit that is as large. */
  #kthMaximum(k: number): number {
    const { maxima, candidates } = this.#kernels;
    if (k >= maxima.length) return -LARGEST;
    candidates.values.set(maxima);
    candidates.weights.fill(1, 0, maxima.length);
    this.#cut(k, maxima.length);
    return this.#cutLogit;
  }

  /**
   * Finds the id at which the summed weights, likeliest first, reach `limit`; the last id if rounding leaves
   * the sum below `limit`. A histogram finds the bucket that contains this id, and the next histogram divides
   * the bucket, until all logits in the bucket are equal. Each histogram has at least as many buckets as
   * there are entries left, up to 2^11. Two histograms are usual; the 32 bits of a key bound their number.
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
    const rank = Math.ceil((limit - reached) / (list.weights[0] ?? 0));
    this.#cutLogit = list.values[0] ?? 0;
    this.#cutId = list.ids[rank > 1 ? Math.min(rank, left) - 1 : 0] ?? 0;
  }
}

/** The filters in the order of application: top-k is first, because it needs the whole row. */
const FILTERS: Readonly<Record<ParameterOf<'filter'>, (candidates: Candidates, value: number) => void>> = {
  topK: (candidates, k) => candidates.keepTopK(k),
  topP: (candidates, p) => candidates.keepTopP(p),
  minP: (candidates, p) => candidates.keepMinP(p),
};
const FILTER_NAMES = namesOf(FILTERS);

/**
 * The first index at which the sum of the weights since `from` exceeds the target; the last index with a
 * weight above 0 if rounding leaves the sum below the target.
 */
function crossing(weights: Float32Array | Float64Array, from: number, to: number, target: number): number {
  let found = from;
  let sum = 0;
  for (let index = from; index < to; index++) {
    const weight = weights[index] ?? 0;
    if (weight === 0) continue;
    found = index;
    sum += weight;
    if (sum > target) break;
  }
  return found;
}

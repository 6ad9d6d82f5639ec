/**
 * The ids that may be drawn next, and the rules that narrow them down. Parallel arrays of one vocabulary, made once and narrowed in place;
 * the order of ids is kept, so that a logit that differs in its last bit moves no other id's place in the draw.
 */

/** e^-64 of the likeliest: 2^-92. A draw of 53 bits cannot meet it in any vocabulary. */
const FARTHEST = 64;
const BUCKETS_PER_UNIT = 32;
/** One more than fit below `FARTHEST`, for a gap that rounds up to it. */
const BUCKETS = FARTHEST * BUCKETS_PER_UNIT + 1;
/** e^-gap at the near end of each bucket. */
const BUCKET_WEIGHTS = Float64Array.from({ length: BUCKETS }, (_, bucket) => Math.exp(-bucket / BUCKETS_PER_UNIT));

/** 1/n! of the series of e^x: a division costs as much as four multiplications. */
const [C2, C3, C4, C5, C6] = [1 / 2, 1 / 6, 1 / 24, 1 / 120, 1 / 720];

/**
 * e^-gap for 0 ≤ gap ≤ 64: the bucket's weight times a short series over the rest, which is below 1/32; relative error below 1e-14.
 * `Math.exp` takes 20-25 ns, more than 1 ms for a row of 49 152; this takes 7-9 in `weigh`.
 */
export function weightOf(gap: number): number {
  const bucket = (gap * BUCKETS_PER_UNIT) | 0;
  const x = bucket * (1 / BUCKETS_PER_UNIT) - gap;
  const series = 1 + x * (1 + x * (C2 + x * (C3 + x * (C4 + x * (C5 + x * C6)))));
  return (BUCKET_WEIGHTS[bucket] ?? 0) * series;
}

/** Nothing but ties with the likeliest is drawn below this, and its inverse is still a number. */
const LEAST_TEMPERATURE = 1e-300;

export class Candidates {
  readonly #ids: Int32Array;
  /** (largest logit − logit) / temperature: 0 for the likeliest, 64 at most. */
  readonly #gaps: Float64Array;
  /** e^-gap: 1 for the likeliest. Valid after `weigh`. */
  readonly #weights: Float64Array;
  readonly #buckets = new Float64Array(BUCKETS);
  /** Places whose gap falls in the bucket where a cut is made. */
  readonly #edge: Int32Array;
  #count = 0;
  /** Sum of the weights. */
  #total = 0;

  constructor(vocabSize: number) {
    this.#ids = new Int32Array(vocabSize);
    this.#gaps = new Float64Array(vocabSize);
    this.#weights = new Float64Array(vocabSize);
    this.#edge = new Int32Array(vocabSize);
  }

  /**
   * All ids that can be drawn, their logits divided by the temperature.
   * @param logits `[vocab]`.
   * @param likeliest the id of the largest of them.
   * @param temperature above 0.
   */
  fill(logits: Float32Array, likeliest: number, temperature: number): void {
    const [ids, gaps] = [this.#ids, this.#gaps];
    const most = logits[likeliest] ?? 0;
    const farthest = FARTHEST * Math.max(temperature, LEAST_TEMPERATURE);
    const scale = FARTHEST / farthest;
    let count = 0;
    for (let id = 0; id < logits.length; id++) {
      const below = most - (logits[id] ?? 0);
      if (!(below < farthest)) continue;
      ids[count] = id;
      gaps[count++] = below * scale;
    }
    this.#count = count;
  }

  /** Keeps the k likeliest; the lowest ids among equals. Rule: Fan et al., arXiv:1805.04833. */
  keepTopK(k: number): void {
    if (k < this.#count) this.#cut(k, undefined);
  }

  /** Probabilities of what is left, relative to the likeliest. */
  weigh(): void {
    const [gaps, weights] = [this.#gaps, this.#weights];
    let total = 0;
    for (let place = 0; place < this.#count; place++) {
      const weight = weightOf(gaps[place] ?? 0);
      weights[place] = weight;
      total += weight;
    }
    this.#total = total;
  }

  /**
   * Keeps the smallest set of the likeliest whose probabilities, renormalized over what is left, reach p: at least one.
   * Rule: Holtzman et al., nucleus sampling, arXiv:1904.09751.
   */
  keepTopP(p: number): void {
    this.#cut(p * this.#total, this.#weights);
  }

  /** Keeps ids at least p times as likely as the likeliest. Rule: Nguyen et al., arXiv:2407.01082. */
  keepMinP(p: number): void {
    // The gap of the least likely that stays; a weight equal to p stays.
    this.#keep(-Math.log(p) * (1 + Number.EPSILON), this.#count);
  }

  /**
   * One id by its weight.
   * @param uniform in [0, 1).
   */
  draw(uniform: number): number {
    const weights = this.#weights;
    const target = uniform * this.#total;
    let sum = 0;
    let place = 0;
    for (; place < this.#count - 1; place++) {
      sum += weights[place] ?? 0;
      if (sum > target) break;
    }
    return this.#ids[place] ?? 0;
  }

  /**
   * Keeps the likeliest until their measures (1 each without `measures`) reach `limit`. A histogram over the gaps finds the bucket in
   * which that happens; only that bucket is sorted. Sorting all of a vocabulary of 128 k takes longer than a step of a small model.
   */
  #cut(limit: number, measures: Float64Array | undefined): void {
    const buckets = this.#buckets.fill(0);
    const gaps = this.#gaps;
    for (let place = 0; place < this.#count; place++) {
      const bucket = ((gaps[place] ?? 0) * BUCKETS_PER_UNIT) | 0;
      buckets[bucket] = (buckets[bucket] ?? 0) + (measures ? (measures[place] ?? 0) : 1);
    }
    // The likeliest is in the first bucket, so that is never empty.
    let bucket = 0;
    let sum = 0;
    while (bucket < BUCKETS && sum + (buckets[bucket] ?? 0) < limit) sum += buckets[bucket++] ?? 0;
    // Drops nearly all in one pass, before anything is sorted. A bucket's bound is a power of two's fraction: exact.
    this.#keep((bucket + 1) / BUCKETS_PER_UNIT, -1);
    let last: number | undefined;
    for (const place of this.#sortedBucket(bucket)) {
      last = place;
      sum += measures ? (measures[place] ?? 0) : 1;
      if (sum >= limit) break;
    }
    // Otherwise the sum of all stayed below the limit by a rounding: nothing is cut.
    if (last !== undefined) this.#keep(gaps[last] ?? 0, last);
  }

  /** Places of one bucket, likeliest first, lowest id first among equals. */
  #sortedBucket(bucket: number): Int32Array {
    const [gaps, edge] = [this.#gaps, this.#edge];
    let count = 0;
    for (let place = 0; place < this.#count; place++)
      if ((((gaps[place] ?? 0) * BUCKETS_PER_UNIT) | 0) === bucket) edge[count++] = place;
    return edge.subarray(0, count).sort((a, b) => (gaps[a] ?? 0) - (gaps[b] ?? 0) || a - b);
  }

  /** Keeps gaps below `gap`, and those equal to it up to the place `last`: places are in the order of ids. */
  #keep(gap: number, last: number): void {
    const [ids, gaps, weights] = [this.#ids, this.#gaps, this.#weights];
    let count = 0;
    let total = 0;
    for (let place = 0; place < this.#count; place++) {
      const own = gaps[place] ?? 0;
      if (own > gap || (own === gap && place > last)) continue;
      const weight = weights[place] ?? 0;
      ids[count] = ids[place] ?? 0;
      gaps[count] = own;
      weights[count++] = weight;
      total += weight;
    }
    this.#count = count;
    this.#total = total;
  }
}

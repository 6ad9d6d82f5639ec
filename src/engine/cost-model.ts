/**
 * The measured cost of runs on this machine: milliseconds as a function of the number of tokens or rows. The
 * scheduler, the drafts and all reported estimates read the same two curves. Stores measurements only.
 */

/** Each size up to this one has its own bucket. Larger sizes share two buckets per power of two. */
const LARGEST_EXACT = 16;
const BUCKETS_PER_OCTAVE = 2;
/** Weight of a new measurement in the moving average. */
const AVERAGE_WEIGHT = 0.25;

const bucketOf = (size: number): number =>
  size <= LARGEST_EXACT ? size : LARGEST_EXACT + Math.round(Math.log2(size / LARGEST_EXACT) * BUCKETS_PER_OCTAVE);

interface Point {
  size: number;
  ms: number;
}

/** Milliseconds of a run as a function of its size. */
export class RunCost {
  /** Indexed by bucket; undefined without a measurement. */
  readonly #points: (Point | undefined)[] = [];

  /** Records that a run of `size` tokens or rows (at least 1) took `ms` milliseconds. */
  note(size: number, ms: number): void {
    const bucket = bucketOf(size);
    const point = this.#points[bucket];
    if (!point) this.#points[bucket] = { size, ms };
    else {
      point.size += (size - point.size) * AVERAGE_WEIGHT;
      point.ms += (ms - point.ms) * AVERAGE_WEIGHT;
    }
  }

  /**
   * Expected milliseconds of a run of `size`: linear between two measured sizes, proportional above the
   * largest, constant below the smallest. At most proportional to the next smaller measured size: otherwise a
   * size with one slow measurement would never be chosen, and so never be measured again. 0 without a
   * measurement.
   */
  estimate(size: number): number {
    let below: Point | undefined;
    let above: Point | undefined;
    for (const point of this.#points) {
      if (point && point.size > size) above = point;
      if (above) break;
      below = point ?? below;
    }
    if (!below) return above?.ms ?? 0;
    const proportional = (below.ms * size) / below.size;
    if (!above) return proportional;
    const between = below.ms + ((above.ms - below.ms) * (size - below.size)) / (above.size - below.size);
    return Math.min(between, proportional);
  }
}

/** So many measured copies decide if another one pays. Fewer do not: one of them may have been disturbed. */
const LEAST_COPIES = 4;
const MOST_COPIES = 8;
/** After this many refused copies the measurements are out of date. */
const MOST_REFUSALS = 16;

/** Milliseconds to copy the keys and values of a token from one row to another. */
export class CopyCost {
  /** Of the last copies, the oldest first. */
  #tokenMs: number[] = [];
  #refusals = 0;

  /** Records that a copy of `tokens` tokens (at least 1) took `ms` milliseconds. */
  note(tokens: number, ms: number): void {
    this.#tokenMs = [...this.#tokenMs, ms / tokens].slice(-MOST_COPIES);
  }

  /**
   * True if the copy takes less time than the computation, which takes `computeMs`. The fastest of the last
   * copies counts: other work on the machine only makes a copy slower.
   */
  pays(tokens: number, computeMs: number): boolean {
    if (this.#tokenMs.length < LEAST_COPIES || tokens * Math.min(...this.#tokenMs) <= computeMs) return true;
    this.#refusals += 1;
    if (this.#refusals < MOST_REFUSALS) return false;
    this.#refusals = 0;
    this.#tokenMs = [];
    return false;
  }
}

/** The costs of the kinds of runs. */
export class CostModel {
  /** Runs of several tokens of one row: a prefill chunk, or the verification of a draft. */
  readonly tokens = new RunCost();
  /** Prefill chunks with scores: the run, and the scores of its positions. */
  readonly scored = new RunCost();
  readonly copies = new CopyCost();
  /** Decode steps: one token for each of several rows. */
  readonly rows = new RunCost();

  /** Records a run of `count` tokens of one row. */
  noteTokens(count: number, ms: number): void {
    this.tokens.note(count, ms);
  }

  /** Records a run of one token for each of `count` rows. */
  noteRows(count: number, ms: number): void {
    this.rows.note(count, ms);
    if (count === 1) this.tokens.note(1, ms);
  }
}

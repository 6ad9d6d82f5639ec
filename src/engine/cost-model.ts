/**
 * Measured costs of runs on this machine: milliseconds by the size of a run. Scheduling, drafting and all
 * reported estimates read the same two curves. Remembers; decides nothing.
 */

/** Sizes up to this have a bucket each; larger ones share a bucket per half octave. */
const EXACT = 16;
const PER_OCTAVE = 2;
/** Weight of a new observation. */
const FRESH = 0.25;

const bucketOf = (size: number): number =>
  size <= EXACT ? size : EXACT + Math.round(Math.log2(size / EXACT) * PER_OCTAVE);

interface Point {
  size: number;
  ms: number;
}

/** Milliseconds of a run by its size. */
export class RunCost {
  /** By bucket; undefined where nothing was measured. */
  readonly #points: (Point | undefined)[] = [];

  /** Notes that a run of `size` (at least 1) took `ms`. */
  note(size: number, ms: number): void {
    const bucket = bucketOf(size);
    const point = this.#points[bucket];
    if (!point) this.#points[bucket] = { size, ms };
    else {
      point.size += (size - point.size) * FRESH;
      point.ms += (ms - point.ms) * FRESH;
    }
  }

  /**
   * Expected milliseconds of a run of `size`: linear between two measured sizes, proportional above the
   * largest, constant below the smallest. Never more than in proportion to the next smaller size: a size that
   * was slow once, and is avoided because of that, gets another chance. 0 if nothing was measured.
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
    const inProportion = (below.ms * size) / below.size;
    if (!above) return inProportion;
    const between = below.ms + ((above.ms - below.ms) * (size - below.size)) / (above.size - below.size);
    return Math.min(between, inProportion);
  }
}

/** The two kinds of runs of a decoder. */
export class CostModel {
  /** Several tokens of one row: a chunk of a prompt, a draft to verify. */
  readonly tokens = new RunCost();
  /** One token of each of several rows. */
  readonly rows = new RunCost();

  /** Notes a run of `count` tokens of one row. */
  noteTokens(count: number, ms: number): void {
    this.tokens.note(count, ms);
  }

  /** Notes a run of one token of each of `count` rows. */
  noteRows(count: number, ms: number): void {
    this.rows.note(count, ms);
    if (count === 1) this.tokens.note(1, ms);
  }
}

/**
 * What runs cost on this machine, as observed: milliseconds by how much was computed. Scheduling, drafting and every estimate that is told
 * read the same two curves. Remembers, decides nothing.
 */

/** Sizes up to this are told apart one by one, larger ones by half octaves. */
const EXACT = 16;
const PER_OCTAVE = 2;
/** Weight of a new observation. */
const FRESH = 0.25;

const placeOf = (size: number): number =>
  size <= EXACT ? size : EXACT + Math.round(Math.log2(size / EXACT) * PER_OCTAVE);

interface Point {
  size: number;
  ms: number;
}

/** Milliseconds of a run by its size. */
export class RunCost {
  /** By place; holes where nothing was observed. */
  readonly #points: (Point | undefined)[] = [];

  /** Notes that a run of `size` (at least 1) took `ms`. */
  note(size: number, ms: number): void {
    const place = placeOf(size);
    const point = this.#points[place];
    if (!point) this.#points[place] = { size, ms };
    else {
      point.size += (size - point.size) * FRESH;
      point.ms += (ms - point.ms) * FRESH;
    }
  }

  /**
   * Expected milliseconds of a run of `size`: between two observations a straight line, above all of them in proportion, below all of them
   * the least. Never more than in proportion to the next smaller one: a size that was slow once, and is avoided for that, gets its chance
   * again. 0 when nothing was observed.
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

/** The two kinds of runs that a decoder makes. */
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

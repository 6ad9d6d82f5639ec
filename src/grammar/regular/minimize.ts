/** Finishes a deterministic automaton: removes useless states, merges equal ones, numbers them. Pure. */
import type { Budget } from '../budget.ts';
import type { CharAutomaton } from '../program.ts';

/**
 * An automaton under construction: as `CharAutomaton`, but states can be useless or equal, and neighboring
 * ranges can have the same target.
 */
export interface Raw {
  readonly edges: readonly (readonly number[])[];
  readonly accepts: readonly boolean[];
}

/** No accepting state can be reached. */
const NEVER = Number.POSITIVE_INFINITY;

/**
 * The smallest automaton of the same texts, its states in the order of a search from the start.
 *
 * @returns undefined if no text is accepted
 * @throws GrammarError `too_complex`
 */
export function finish(raw: Raw, budget: Budget): CharAutomaton | undefined {
  const sources = sourcesOf(raw, budget);
  const shortest = distances(raw, sources);
  if (shortest[0] === NEVER) return undefined;
  return numbered(raw, new Partition(raw, sources, budget).of(shortest, lengths(raw, sources, shortest)), budget);
}

/**
 * The automaton without the states from which no text is accepted. Equal states stay. Every state must be
 * reached.
 *
 * @returns undefined if no text is accepted
 */
export function useful(raw: Raw, budget: Budget): CharAutomaton | undefined {
  const shortest = shortestFrom(raw, budget);
  if (shortest[0] === NEVER) return undefined;
  if (!shortest.includes(NEVER)) return raw;
  return numbered(
    raw,
    Int32Array.from(shortest, (length, state) => (length === NEVER ? -1 : state)),
    budget,
  );
}

/** Blocks of equal states: the same texts follow. */
class Partition {
  readonly #raw: Raw;
  readonly #budget: Budget;
  readonly #sources: readonly (readonly number[])[];
  /** Block of each state; -1 for a state from which no text is accepted. */
  readonly #blockOf: Int32Array;
  #names = 0;

  constructor(raw: Raw, sources: readonly (readonly number[])[], budget: Budget) {
    this.#raw = raw;
    this.#sources = sources;
    this.#budget = budget;
    this.#blockOf = new Int32Array(raw.accepts.length).fill(-1);
  }

  /**
   * Equal states have the same shortest and the same longest text. States with a longest text are compared
   * once, after those that can follow; the others until no block changes.
   */
  of(shortest: Float64Array, longest: Float64Array): Int32Array {
    const finite: number[][][] = [];
    const endless: number[][] = [];
    const groups = new Map<number, number[]>();
    for (let state = 0; state < shortest.length; state += 1) {
      const [near = 0, far = 0] = [shortest[state], longest[state]];
      if (near === NEVER) continue;
      const key = near * (shortest.length + 1) + (far === NEVER ? 0 : far + 1);
      const group = groups.get(key);
      if (group) {
        group.push(state);
        continue;
      }
      const fresh = [state];
      groups.set(key, fresh);
      if (far === NEVER) endless.push(fresh);
      else {
        const level = finite[far];
        if (level) level.push(fresh);
        else finite[far] = [fresh];
      }
    }
    for (const group of endless) this.#rename(group);
    for (const level of finite)
      for (const group of level ?? []) for (const part of this.#parts(group)) this.#rename(part);
    this.#refine(endless);
    return this.#blockOf;
  }

  #rename(block: readonly number[]): void {
    for (const state of block) this.#blockOf[state] = this.#names;
    this.#names += 1;
  }

  /**
   * Splits blocks until the edges of all states of a block lead to the same blocks. A block is looked at
   * again when an edge of it leads to a renamed state; its largest part keeps its name (Hopcroft).
   */
  #refine(first: readonly (readonly number[])[]): void {
    const blocks = new Map<number, readonly number[]>();
    for (const block of first) blocks.set(this.#blockOf[block[0] ?? 0] ?? 0, block);
    for (let open = new Set(blocks.keys()); open.size > 0; ) {
      const next = new Set<number>();
      for (const name of open) {
        const parts = this.#parts(blocks.get(name) ?? []);
        if (parts.length < 2) continue;
        const largest = parts.reduce((a, b) => (b.length > a.length ? b : a));
        blocks.set(name, largest);
        for (const part of parts) {
          if (part === largest) continue;
          blocks.set(this.#names, part);
          this.#rename(part);
          for (const state of part)
            for (const source of this.#sources[state] ?? []) {
              const block = this.#blockOf[source] ?? -1;
              if (blocks.has(block)) next.add(block);
            }
        }
      }
      open = next;
    }
  }

  /** The states of a block, by their edges. */
  #parts(block: readonly number[]): readonly (readonly number[])[] {
    if (block.length < 2) return [block];
    const parts: { readonly row: readonly number[]; readonly states: number[] }[] = [];
    const known = new Map<number, typeof parts>();
    for (const state of block) {
      const row = this.#row(this.#raw.edges[state] ?? []);
      const hash = hashOf(row);
      let candidates = known.get(hash);
      if (!candidates) {
        candidates = [];
        known.set(hash, candidates);
      }
      const part = candidates.find((one) => isSame(one.row, row));
      if (part) part.states.push(state);
      else {
        const fresh = { row, states: [state] };
        candidates.push(fresh);
        parts.push(fresh);
      }
    }
    return parts.map(({ states }) => states);
  }

  /** Edges with blocks instead of states. */
  #row(ranges: readonly number[]): number[] {
    this.#budget.step(1 + (ranges.length >> 3));
    const row: number[] = [];
    for (let at = 0; at < ranges.length; at += 3) {
      const block = this.#blockOf[ranges[at + 2] ?? 0] ?? -1;
      if (block !== -1) addRange(row, ranges[at] ?? 0, ranges[at + 1] ?? 0, block);
    }
    return row;
  }
}

/** A hash of numbers, of 32 bits. */
export function hashOf(row: readonly number[], first = 0): number {
  let hash = first;
  for (const value of row) {
    hash = Math.imul(hash ^ value, 0x9e37_79b1);
    hash ^= hash >>> 15;
  }
  return hash;
}

export function isSame(a: readonly number[], b: readonly number[]): boolean {
  if (a.length !== b.length) return false;
  for (let at = 0; at < a.length; at += 1) if (a[at] !== b[at]) return false;
  return true;
}

/** The blocks that the start reaches, numbered by a breadth-first search. */
function numbered(raw: Raw, blockOf: Int32Array, budget: Budget): CharAutomaton {
  const numbers = new Int32Array(raw.accepts.length).fill(-1);
  numbers[blockOf[0] ?? 0] = 0;
  const order = [0];
  const edges: number[][] = [];
  for (let place = 0; place < order.length; place += 1) {
    const row: number[] = [];
    const ranges = raw.edges[order[place] ?? 0] ?? [];
    budget.step(1 + (ranges.length >> 4));
    for (let at = 0; at < ranges.length; at += 3) {
      const target = ranges[at + 2] ?? 0;
      const block = blockOf[target] ?? -1;
      if (block === -1) continue;
      let number = numbers[block] ?? -1;
      if (number === -1) {
        number = order.push(target) - 1;
        numbers[block] = number;
      }
      addRange(row, ranges[at] ?? 0, ranges[at + 1] ?? 0, number);
    }
    edges.push(row);
  }
  return { edges, accepts: order.map((state) => raw.accepts[state] ?? false) };
}

/** Adds an edge behind the others, or makes the last one longer. */
export function addRange(row: number[], first: number, last: number, target: number): void {
  const end = row.length;
  if (end > 0 && row[end - 1] === target && row[end - 2] === first - 1) row[end - 2] = last;
  else row.push(first, last, target);
}

/** The states with an edge to each state. */
function sourcesOf({ edges }: Raw, budget: Budget): number[][] {
  const sources: number[][] = edges.map(() => []);
  for (let state = 0; state < edges.length; state += 1) {
    const ranges = edges[state] ?? [];
    budget.step(1 + (ranges.length >> 4));
    for (let at = 2; at < ranges.length; at += 3) {
      const list = sources[ranges[at] ?? 0];
      if (list && list[list.length - 1] !== state) list.push(state);
    }
  }
  return sources;
}

/** Characters from each state to the nearest accepting state; Infinity if there is none. */
export const shortestFrom = (raw: Raw, budget: Budget): Float64Array => distances(raw, sourcesOf(raw, budget));

function distances(raw: Raw, sources: readonly (readonly number[])[]): Float64Array {
  const shortest = new Float64Array(raw.accepts.length).fill(NEVER);
  const queue: number[] = [];
  for (let state = 0; state < shortest.length; state += 1)
    if (raw.accepts[state]) {
      shortest[state] = 0;
      queue.push(state);
    }
  for (const state of queue)
    for (const source of sources[state] ?? []) {
      if (shortest[source] !== NEVER) continue;
      shortest[source] = (shortest[state] ?? 0) + 1;
      queue.push(source);
    }
  return shortest;
}

/** Characters of the longest text from each state; Infinity if there is no longest one. */
export function longestFrom(raw: Raw, budget: Budget): Float64Array {
  const sources = sourcesOf(raw, budget);
  return lengths(raw, sources, distances(raw, sources));
}

/** The longest texts of the states that have a shortest one: all texts, unless a cycle follows. */
function lengths(raw: Raw, sources: readonly (readonly number[])[], shortest: Float64Array): Float64Array {
  const open = new Int32Array(raw.accepts.length);
  for (let state = 0; state < open.length; state += 1)
    if (shortest[state] !== NEVER) for (const source of sources[state] ?? []) open[source] = (open[source] ?? 0) + 1;
  const longest = new Float64Array(open.length).fill(NEVER);
  const known = new Float64Array(open.length);
  const queue: number[] = [];
  for (let state = 0; state < open.length; state += 1)
    if (open[state] === 0 && shortest[state] !== NEVER) queue.push(state);
  for (const state of queue) {
    const length = known[state] ?? 0;
    longest[state] = length;
    for (const source of sources[state] ?? []) {
      known[source] = Math.max(known[source] ?? 0, length + 1);
      open[source] = (open[source] ?? 0) - 1;
      if (open[source] === 0) queue.push(source);
    }
  }
  return longest;
}

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

/**
 * The smallest automaton of the same texts, its states in the order of a search from the start.
 *
 * @returns undefined if no text is accepted
 * @throws GrammarError `too_complex`
 */
export function finish(raw: Raw, budget: Budget): CharAutomaton | undefined {
  const shortest = shortestFrom(raw, budget);
  if (shortest[0] === Number.POSITIVE_INFINITY) return undefined;
  const trimmed = trim(raw, shortest);
  const live = numbered(trimmed, (state) => state, budget);
  return merged(live, budget);
}

/** The states that the start reaches, each as the name of its block, numbered by a breadth-first search. */
function numbered(raw: Raw, nameOf: (state: number) => number, budget: Budget): CharAutomaton {
  const numbers = new Map<number, number>([[nameOf(0), 0]]);
  const order = [0];
  const edges: number[][] = [];
  for (const state of order) {
    const row: number[] = [];
    const ranges = raw.edges[state] ?? [];
    budget.step(1 + (ranges.length >> 4));
    for (let at = 0; at < ranges.length; at += 3) {
      const [first = 0, last = 0, target = 0] = [ranges[at], ranges[at + 1], ranges[at + 2]];
      const name = nameOf(target);
      let number = numbers.get(name);
      if (number === undefined) {
        number = order.push(target) - 1;
        numbers.set(name, number);
      }
      if (row.at(-1) === number && row.at(-2) === first - 1) row[row.length - 2] = last;
      else row.push(first, last, number);
    }
    edges.push(row);
  }
  return { edges, accepts: order.map((state) => raw.accepts[state] ?? false) };
}

/** Without the edges to states from which no accepting state can be reached. */
function trim(raw: Raw, shortest: Float64Array): Raw {
  const isLive = (state: number): boolean => (shortest[state] ?? 0) < Number.POSITIVE_INFINITY;
  const edges = raw.edges.map((ranges) => {
    let dead = false;
    for (let at = 2; at < ranges.length; at += 3) if (!isLive(ranges[at] ?? 0)) dead = true;
    if (!dead) return ranges;
    return ranges.filter((_, index) => isLive(ranges[index - (index % 3) + 2] ?? 0));
  });
  return { edges, accepts: raw.accepts };
}

/** The states with an edge to each state. */
function sourcesOf({ edges }: Raw, budget: Budget): number[][] {
  const sources: number[][] = edges.map(() => []);
  for (const [state, ranges] of edges.entries()) {
    budget.step(1 + (ranges.length >> 4));
    for (let at = 2; at < ranges.length; at += 3) {
      const list = sources[ranges[at] ?? 0];
      if (list && list.at(-1) !== state) list.push(state);
    }
  }
  return sources;
}

/** Characters from each state to the nearest accepting state; Infinity if there is none. */
export function shortestFrom(raw: Raw, budget: Budget): Float64Array {
  const sources = sourcesOf(raw, budget);
  const shortest = new Float64Array(raw.accepts.length).fill(Number.POSITIVE_INFINITY);
  const queue = raw.accepts.flatMap((accepts, state) => (accepts ? [state] : []));
  for (const state of queue) shortest[state] = 0;
  for (const state of queue)
    for (const source of sources[state] ?? []) {
      if (shortest[source] !== Number.POSITIVE_INFINITY) continue;
      shortest[source] = (shortest[state] ?? 0) + 1;
      queue.push(source);
    }
  return shortest;
}

/** Characters of the longest text from each state; Infinity if a cycle follows. No state is useless. */
export function longestFrom(raw: Raw, budget: Budget): Float64Array {
  const sources = sourcesOf(raw, budget);
  const open = new Int32Array(raw.accepts.length);
  for (const list of sources) for (const source of list) open[source] = (open[source] ?? 0) + 1;
  const longest = new Float64Array(raw.accepts.length).fill(Number.POSITIVE_INFINITY);
  const lengths = new Float64Array(raw.accepts.length);
  const queue: number[] = [];
  for (const [state, count] of open.entries()) if (count === 0) queue.push(state);
  for (const state of queue) {
    const length = lengths[state] ?? 0;
    longest[state] = length;
    for (const source of sources[state] ?? []) {
      lengths[source] = Math.max(lengths[source] ?? 0, length + 1);
      open[source] = (open[source] ?? 0) - 1;
      if (open[source] === 0) queue.push(source);
    }
  }
  return longest;
}

/**
 * Merges equal states (Moore). The first blocks are the states with the same shortest and longest text; most
 * chains, as counts make them, are single states from there on.
 */
function merged(raw: CharAutomaton, budget: Budget): CharAutomaton {
  const [shortest, longest] = [shortestFrom(raw, budget), longestFrom(raw, budget)];
  const blockOf = new Int32Array(raw.accepts.length);
  const first = new Map<string, number[]>();
  for (const state of raw.accepts.keys()) push(first, `${shortest[state]} ${longest[state]}`, state);
  let names = 0;
  const rename = (block: readonly number[]): void => {
    for (const state of block) blockOf[state] = names;
    names += 1;
  };
  let blocks = [...first.values()];
  for (const block of blocks) rename(block);
  if (blocks.length === raw.accepts.length) return raw;
  for (let changed = true; changed; ) {
    changed = false;
    const next: number[][] = [];
    for (const block of blocks) {
      if (block.length === 1) continue;
      const parts = new Map<string, number[]>();
      for (const state of block) push(parts, rowKey(raw.edges[state] ?? [], blockOf, budget), state);
      const split = [...parts.values()];
      next.push(...split);
      if (split.length === 1) continue;
      changed = true;
      for (const part of split.slice(1)) rename(part);
    }
    blocks = next;
  }
  return numbered(raw, (state) => blockOf[state] ?? 0, budget);
}

function push(groups: Map<string, number[]>, key: string, state: number): void {
  const group = groups.get(key);
  if (group) group.push(state);
  else groups.set(key, [state]);
}

/** The edges of a state, with blocks instead of states. */
function rowKey(ranges: readonly number[], blockOf: Int32Array, budget: Budget): string {
  budget.step(1 + (ranges.length >> 3));
  let key = '';
  let at = 0;
  while (at < ranges.length) {
    const block = blockOf[ranges[at + 2] ?? 0] ?? 0;
    const first = ranges[at] ?? 0;
    let last = ranges[at + 1] ?? 0;
    for (at += 3; ranges[at] === last + 1 && blockOf[ranges[at + 2] ?? 0] === block; at += 3)
      last = ranges[at + 1] ?? 0;
    key += `${first}-${last}>${block} `;
  }
  return key;
}

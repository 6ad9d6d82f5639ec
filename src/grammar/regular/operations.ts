/** Operations on the sets of texts that automata accept. Pure. */
import { type Budget, MAX_STATES } from '../budget.ts';
import { GrammarError } from '../grammar-error.ts';
import type { CharAutomaton } from '../program.ts';
import { ANY } from './char-set.ts';
import { addRange, finish, longestFrom, type Raw, shortestFrom, useful } from './minimize.ts';
import { tooManyStates } from './nfa.ts';

/** States of counted texts that are compared with each other. Of more states, few are equal. */
const MAX_COMPARED = 2_000;
/** A state without texts: the rest of a text is not accepted. */
const DEAD = -1;
const NO_EDGES: readonly number[] = [];

const ANY_TEXT: CharAutomaton = {
  edges: [[ANY[0] ?? 0, ANY[1] ?? 0, 0, ANY[2] ?? 0, ANY[3] ?? 0, 0]],
  accepts: [true],
};

/** All texts. */
export function anyText(): CharAutomaton {
  return ANY_TEXT;
}

/**
 * The texts that both accept.
 *
 * @returns undefined if there are none
 * @throws GrammarError `too_complex`
 */
export function intersect(a: CharAutomaton, b: CharAutomaton, budget: Budget): CharAutomaton | undefined {
  if (a === ANY_TEXT) return b;
  if (b === ANY_TEXT) return a;
  const operation = { needsA: true, needsB: true, accepts: (inA: boolean, inB: boolean) => inA && inB };
  return finish(product(a, b, operation, budget), budget);
}

/**
 * The texts that `a` accepts and `b` does not.
 *
 * @returns undefined if there are none
 * @throws GrammarError `too_complex`
 */
export function subtract(a: CharAutomaton, b: CharAutomaton, budget: Budget): CharAutomaton | undefined {
  if (a === ANY_TEXT) return complement(b, budget);
  const operation = { needsA: true, needsB: false, accepts: (inA: boolean, inB: boolean) => inA && !inB };
  return finish(product(a, b, operation, budget), budget);
}

/**
 * The texts that at least one of these automata accepts.
 * @throws GrammarError `too_complex`; `unsatisfiable` if the list is empty
 */
export function unite(list: readonly CharAutomaton[], budget: Budget): CharAutomaton {
  let round = list;
  while (round.length > 1) {
    const next: CharAutomaton[] = [];
    for (let at = 0; at < round.length; at += 2) {
      const [a, b] = [round[at], round[at + 1]];
      if (a && b) next.push(united(a, b, budget));
      else if (a) next.push(a);
    }
    round = next;
  }
  const [only] = round;
  if (!only) throw new GrammarError('unsatisfiable', [], 'allows no text');
  return only;
}

function united(a: CharAutomaton, b: CharAutomaton, budget: Budget): CharAutomaton {
  if (a === b) return a;
  const operation = { needsA: false, needsB: false, accepts: (inA: boolean, inB: boolean) => inA || inB };
  return finish(product(a, b, operation, budget), budget) ?? a;
}

/**
 * The texts that the automaton does not accept.
 *
 * @returns undefined if it accepts every text
 * @throws GrammarError `too_complex`
 */
export function complement(a: CharAutomaton, budget: Budget): CharAutomaton | undefined {
  const everything = a.accepts.length;
  if (everything >= MAX_STATES) throw tooManyStates();
  const edges = a.edges.map((row) => {
    budget.step(1 + (row.length >> 3));
    return withGaps(row, everything);
  });
  const raw = { edges: [...edges, withGaps(NO_EDGES, everything)], accepts: [...a.accepts.map((one) => !one), true] };
  return useful(raw, budget);
}

/** The edges of a row, and an edge to `target` for each character without one. */
function withGaps(row: readonly number[], target: number): number[] {
  const full: number[] = [];
  for (let at = 0, part = 0; part < ANY.length; part += 2) {
    let from = ANY[part] ?? 0;
    const last = ANY[part + 1] ?? 0;
    for (; at < row.length && (row[at] ?? 0) <= last; at += 3) {
      const first = row[at] ?? 0;
      if (from < first) addRange(full, from, first - 1, target);
      addRange(full, first, row[at + 1] ?? 0, row[at + 2] ?? 0);
      from = (row[at + 1] ?? 0) + 1;
    }
    if (from <= last) addRange(full, from, last, target);
  }
  return full;
}

interface Operation {
  /** True if a text that `a` cannot accept any more is not accepted. */
  readonly needsA: boolean;
  readonly needsB: boolean;
  accepts(inA: boolean, inB: boolean): boolean;
}

/** Runs both automata side by side; a state is a pair, in which one can be dead. */
function product(a: CharAutomaton, b: CharAutomaton, operation: Operation, budget: Budget): Raw {
  const width = b.accepts.length + 1;
  const numbers = new Map<number, number>();
  const pairs: [inA: number, inB: number][] = [];
  const numberOf = (inA: number, inB: number): number => {
    const key = (inA + 1) * width + inB + 1;
    const known = numbers.get(key);
    if (known !== undefined) return known;
    if (pairs.length >= MAX_STATES) throw tooManyStates();
    const number = pairs.push([inA, inB]) - 1;
    numbers.set(key, number);
    return number;
  };
  numberOf(0, 0);
  const edges: number[][] = [];
  const accepts: boolean[] = [];
  for (const [inA, inB] of pairs) {
    const rows: [readonly number[], readonly number[]] = [a.edges[inA] ?? NO_EDGES, b.edges[inB] ?? NO_EDGES];
    budget.step(1 + ((rows[0].length + rows[1].length) >> 3));
    const row: number[] = [];
    eachCommonRange(rows, (first, last, [nextA, nextB]) => {
      if ((operation.needsA && nextA === DEAD) || (operation.needsB && nextB === DEAD)) return;
      row.push(first, last, numberOf(nextA, nextB));
    });
    edges.push(row);
    accepts.push(operation.accepts(a.accepts[inA] ?? false, b.accepts[inB] ?? false));
  }
  return { edges, accepts };
}

/** Calls for each range in which both rows of edges have one target, or none; not if neither has one. */
function eachCommonRange(
  [a, b]: readonly [readonly number[], readonly number[]],
  visit: (first: number, last: number, targets: readonly [number, number]) => void,
): void {
  let [atA, atB, from] = [0, 0, 0];
  const END = Number.POSITIVE_INFINITY;
  while (atA < a.length || atB < b.length) {
    const firstA = Math.max(from, a[atA] ?? END);
    const firstB = Math.max(from, b[atB] ?? END);
    const first = Math.min(firstA, firstB);
    let last = Math.min(a[atA + 1] ?? END, b[atB + 1] ?? END);
    if (firstA > first) last = Math.min(last, firstA - 1);
    if (firstB > first) last = Math.min(last, firstB - 1);
    visit(first, last, [
      firstA === first ? (a[atA + 2] ?? DEAD) : DEAD,
      firstB === first ? (b[atB + 2] ?? DEAD) : DEAD,
    ]);
    from = last + 1;
    if ((a[atA + 1] ?? END) < from) atA += 3;
    if ((b[atB + 1] ?? END) < from) atB += 3;
  }
}

/** True if the automaton has texts without a longest one. */
export const isEndless = (a: CharAutomaton, budget: Budget): boolean =>
  longestFrom(a, budget)[0] === Number.POSITIVE_INFINITY;

/**
 * The texts of the automaton that have `min` to `max` characters (code points).
 *
 * @returns undefined if there are none
 * @throws GrammarError `too_complex`
 */
export function withLength(
  a: CharAutomaton,
  min: number,
  max: number | undefined,
  budget: Budget,
): CharAutomaton | undefined {
  const most = max ?? Number.POSITIVE_INFINITY;
  const [shortest, longest] = [shortestFrom(a, budget), longestFrom(a, budget)];
  if (min <= (shortest[0] ?? 0) && (longest[0] ?? 0) <= most) return a;
  const numbers = new Map<number, number>();
  const places: [state: number, count: number][] = [];
  /** A count that no longer matters is -1: every text from here has an allowed length. */
  const numberOf = (state: number, count: number): number | undefined => {
    if (count !== -1 && (count + (shortest[state] ?? 0) > most || count + (longest[state] ?? 0) < min))
      return undefined;
    const free = count === -1 || (count >= min && count + (longest[state] ?? 0) <= most);
    const key = (free ? 0 : count + 1) * a.accepts.length + state;
    const known = numbers.get(key);
    if (known !== undefined) return known;
    if (places.length >= MAX_STATES) throw tooManyStates();
    const number = places.push([state, free ? -1 : count]) - 1;
    numbers.set(key, number);
    return number;
  };
  if (numberOf(0, 0) === undefined) return undefined;
  const edges: number[][] = [];
  for (const [state, count] of places) {
    const ranges = a.edges[state] ?? NO_EDGES;
    budget.step(1 + (ranges.length >> 3));
    const row: number[] = [];
    for (let at = 0; at < ranges.length; at += 3) {
      const target = numberOf(ranges[at + 2] ?? 0, count === -1 ? -1 : count + 1);
      if (target !== undefined) row.push(ranges[at] ?? 0, ranges[at + 1] ?? 0, target);
    }
    edges.push(row);
  }
  const inside = ([, count]: readonly [number, number]): boolean => count === -1 || (count >= min && count <= most);
  const raw = { edges, accepts: places.map((place) => (a.accepts[place[0]] ?? false) && inside(place)) };
  return places.length > MAX_COMPARED ? useful(raw, budget) : finish(raw, budget);
}

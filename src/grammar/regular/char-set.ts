/** Sets of characters: Unicode code points without surrogates. Pure. */
import type { Budget } from '../budget.ts';

/** `[first, last, …]`: ranges in ascending order, disjoint, not adjacent, without surrogates. */
export type CharSet = readonly number[];

const SURROGATE_FIRST = 0xd800;
const SURROGATE_LAST = 0xdfff;
const LAST = 0x10_ffff;

/** All characters. */
export const ANY: CharSet = [0, SURROGATE_FIRST - 1, SURROGATE_LAST + 1, LAST];
export const NONE: CharSet = [];

/**
 * The set of these ranges, which may overlap and may have any order.
 *
 * @param ranges `[first, last, …]`; surrogates in it are dropped
 */
export function charSet(ranges: readonly number[]): CharSet {
  const pairs: [number, number][] = [];
  for (let at = 0; at < ranges.length; at += 2) {
    const [first = 0, last = -1] = [ranges[at], ranges[at + 1]];
    const below = Math.min(last, SURROGATE_FIRST - 1);
    const above = Math.max(first, SURROGATE_LAST + 1);
    if (first <= below) pairs.push([first, below]);
    if (above <= last) pairs.push([above, last]);
  }
  pairs.sort((a, b) => a[0] - b[0]);
  const set: number[] = [];
  for (const [first, last] of pairs) {
    const before = set.at(-1);
    if (before === undefined || first > before + 1) set.push(first, last);
    else if (last > before) set[set.length - 1] = last;
  }
  return set;
}

export const charOf = (code: number): CharSet => charSet([code, code]);

/** All characters outside of the set. */
export function negated(set: CharSet): CharSet {
  const rest: number[] = [];
  let from = 0;
  for (let at = 0; at < set.length; at += 2) {
    rest.push(from, (set[at] ?? 0) - 1);
    from = (set[at + 1] ?? 0) + 1;
  }
  return charSet([...rest, from, LAST]);
}

export const DIGIT: CharSet = [0x30, 0x39];
export const WORD: CharSet = [0x30, 0x39, 0x41, 0x5a, 0x5f, 0x5f, 0x61, 0x7a];
/** WhiteSpace and LineTerminator of ECMA-262. */
export const SPACE: CharSet = charSet(
  [
    [0x09, 0x0d],
    [0x20, 0x20],
    [0xa0, 0xa0],
    [0x1680, 0x1680],
    [0x2000, 0x200a],
    [0x2028, 0x2029],
    [0x202f, 0x202f],
    [0x205f, 0x205f],
    [0x3000, 0x3000],
    [0xfeff, 0xfeff],
  ].flat(),
);
/** `.` without the flag `s`: everything but line terminators. */
export const DOT: CharSet = negated(charSet([0x0a, 0x0a, 0x0d, 0x0d, 0x2028, 0x2029]));

/** Characters in one piece of text, so that a property is read in a few calls. */
const SLICE = 0x4000;
const PROPERTY_NAME = /^[A-Za-z0-9_]{1,40}(?:=[A-Za-z0-9_]{1,40})?$/;
const properties = new Map<string, CharSet>();

/**
 * The characters with a property of Unicode, as the runtime's own regular expressions know it. About 10 ms
 * at the first use of a name, then remembered.
 *
 * @param name for example `L`, `Lu`, `Script=Greek`
 * @returns undefined if there is no such property
 */
export function propertySet(name: string): CharSet | undefined {
  const known = properties.get(name);
  if (known || !PROPERTY_NAME.test(name)) return known;
  let runs: RegExp;
  try {
    runs = new RegExp(`\\p{${name}}+`, 'gu');
  } catch {
    return undefined;
  }
  const ranges: number[] = [];
  for (let from = 0; from <= LAST; from += SLICE) {
    if (from >= SURROGATE_FIRST - (SURROGATE_FIRST % SLICE) && from <= SURROGATE_LAST) {
      addRuns(runs, from, SURROGATE_FIRST, ranges);
      addRuns(runs, SURROGATE_LAST + 1, from + SLICE, ranges);
    } else addRuns(runs, from, from + SLICE, ranges);
  }
  const set = charSet(ranges);
  properties.set(name, set);
  return set;
}

const decoder = new TextDecoder('utf-16le', { ignoreBOM: true });

/** Adds the ranges of the characters from `from` to `until`, exclusive, that the expression matches. */
function addRuns(runs: RegExp, from: number, until: number, ranges: number[]): void {
  if (from >= until) return;
  const width = from > 0xffff ? 2 : 1;
  const units = new Uint16Array(width * (until - from));
  for (let code = from; code < until; code += 1) {
    const at = width * (code - from);
    if (width === 1) units[at] = code;
    else {
      units[at] = 0xd800 + ((code - 0x1_0000) >> 10);
      units[at + 1] = 0xdc00 + (code & 0x3ff);
    }
  }
  for (const match of decoder.decode(units).matchAll(runs)) {
    const first = from + match.index / width;
    ranges.push(first, first + match[0].length / width - 1);
  }
}

/** Characters that belong to the same sets are one class. */
export interface Classes {
  /** First characters of the intervals, ascending; an interval ends before the next one. */
  readonly starts: readonly number[];
  /** Class of each interval, or -1. */
  readonly classOf: readonly number[];
  /** Classes of each set. */
  readonly ofSet: readonly (readonly number[])[];
  readonly count: number;
}

/** Splits the characters into classes. Exact: each set refines the classes of the sets before. */
export function classesOf(sets: readonly CharSet[], budget: Budget): Classes {
  const bounds = new Set<number>();
  for (const set of sets) {
    budget.step(1 + set.length);
    for (let at = 0; at < set.length; at += 2) bounds.add(set[at] ?? 0).add((set[at + 1] ?? 0) + 1);
  }
  const starts = [...bounds].sort((a, b) => a - b);
  const indexOf = new Map(starts.map((start, index) => [start, index]));
  const refined: number[] = starts.map(() => -1);
  let fresh = 0;
  for (const set of sets) {
    const renamed = new Map<number, number>();
    eachInterval(set, indexOf, budget, (interval) => {
      const before = refined[interval] ?? -1;
      let after = renamed.get(before);
      if (after === undefined) {
        after = fresh++;
        renamed.set(before, after);
      }
      refined[interval] = after;
    });
  }
  const compact = new Map<number, number>([[-1, -1]]);
  const classOf = refined.map((name) => {
    const known = compact.get(name) ?? compact.size - 1;
    compact.set(name, known);
    return known;
  });
  const ofSet = sets.map((set) => {
    const found = new Set<number>();
    eachInterval(set, indexOf, budget, (interval) => found.add(classOf[interval] ?? 0));
    return [...found];
  });
  return { starts, classOf, ofSet, count: compact.size - 1 };
}

function eachInterval(
  set: CharSet,
  indexOf: ReadonlyMap<number, number>,
  budget: Budget,
  visit: (interval: number) => void,
): void {
  for (let at = 0; at < set.length; at += 2) {
    const until = indexOf.get((set[at + 1] ?? 0) + 1) ?? 0;
    const from = indexOf.get(set[at] ?? 0) ?? 0;
    budget.step(1 + ((until - from) >> 3));
    for (let interval = from; interval < until; interval += 1) visit(interval);
  }
}

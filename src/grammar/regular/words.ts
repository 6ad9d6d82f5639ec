/** Automata of listed texts, and texts of automata. Pure. */
import { Budget, MAX_STATES } from '../budget.ts';
import { GrammarError } from '../grammar-error.ts';
import type { CharAutomaton } from '../program.ts';
import { ANY } from './char-set.ts';
import { longestFrom } from './minimize.ts';
import { tooManyStates } from './nfa.ts';
import { codePoints, WordsBuilder } from './words-builder.ts';

/** For work that its input bounds. */
const UNTIMED = new Budget(() => 0);

/** True if the automaton accepts the text. */
export function matches(automaton: CharAutomaton, text: string): boolean {
  let state = 0;
  for (const char of text) {
    const next = follow(automaton.edges[state] ?? [], char.codePointAt(0) ?? 0);
    if (next === undefined) return false;
    state = next;
  }
  return automaton.accepts[state] ?? false;
}

/** The target of a character in a row of edges, by binary search. */
function follow(ranges: readonly number[], code: number): number | undefined {
  let [low, high] = [0, ranges.length / 3];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (code > (ranges[3 * middle + 1] ?? 0)) low = middle + 1;
    else high = middle;
  }
  return (ranges[3 * low] ?? Number.POSITIVE_INFINITY) <= code ? ranges[3 * low + 2] : undefined;
}

/**
 * Exactly these texts.
 * @throws GrammarError `too_complex`; `unsatisfiable` for an empty list; `unsupported` for a half pair
 */
export function wordsAutomaton(words: readonly string[], budget: Budget): CharAutomaton {
  if (words.length === 0) throw new GrammarError('unsatisfiable', [], 'allows no text');
  const builder = new WordsBuilder(budget);
  budget.step(words.length);
  for (const word of [...new Set(words)].sort()) builder.add(word);
  return builder.automaton();
}

/**
 * The texts that the automaton accepts, in the order of their code points.
 *
 * @returns undefined if they are more than `most`, or without end
 */
export function wordsOf(automaton: CharAutomaton, most: number): readonly string[] | undefined {
  const { edges, accepts } = automaton;
  if (longestFrom(automaton, UNTIMED)[0] === Number.POSITIVE_INFINITY) return undefined;
  const words: string[] = [];
  const path: { readonly state: number; edge: number; code: number }[] = [{ state: 0, edge: 0, code: -1 }];
  const prefix: string[] = [];
  if (accepts[0]) words.push('');
  while (path.length > 0 && words.length <= most) {
    const place = path[path.length - 1];
    const row = edges[place?.state ?? 0] ?? [];
    if (!place || place.edge >= row.length) {
      path.pop();
      prefix.pop();
      continue;
    }
    const [first = 0, last = 0, target = 0] = [row[place.edge], row[place.edge + 1], row[place.edge + 2]];
    place.code = Math.max(place.code + 1, first);
    prefix.push(String.fromCodePoint(place.code));
    if (place.code === last) place.edge += 3;
    path.push({ state: target, edge: 0, code: -1 });
    if (accepts[target]) words.push(prefix.join(''));
  }
  return words.length > most ? undefined : words;
}

/**
 * All texts that end with the first occurrence of the marker (Knuth, Morris, Pratt).
 * @throws GrammarError `too_complex`; `unsupported` for half of a surrogate pair
 */
export function untilMarker(marker: string, budget: Budget): CharAutomaton {
  const codes = codePoints(marker);
  if (codes.length >= MAX_STATES) throw tooManyStates();
  /** Targets other than the start of each state, by code point. */
  const targets: Map<number, number>[] = [];
  let border: ReadonlyMap<number, number> = new Map();
  for (const [state, code] of codes.entries()) {
    const row = new Map(border).set(code, state + 1);
    budget.step(1 + row.size);
    targets.push(row);
    border = targets[state === 0 ? 0 : (border.get(code) ?? 0)] ?? row;
  }
  const edges = targets.map(rowOf);
  return { edges: [...edges, []], accepts: [...edges.map(() => false), true] };
}

/** The edges to these targets, and to the start with every other character. */
function rowOf(targets: ReadonlyMap<number, number>): number[] {
  const sorted = [...targets].sort((a, b) => a[0] - b[0]);
  const row: number[] = [];
  for (let at = 0; at < ANY.length; at += 2) {
    let from = ANY[at] ?? 0;
    const last = ANY[at + 1] ?? 0;
    for (const [code, target] of sorted) {
      if (code < from || code > last) continue;
      if (from < code) row.push(from, code - 1, 0);
      row.push(code, code, target);
      from = code + 1;
    }
    if (from <= last) row.push(from, last, 0);
  }
  return row;
}

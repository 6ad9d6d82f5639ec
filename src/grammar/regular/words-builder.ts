/** The smallest automaton of listed words. Pure. */
import { type Budget, MAX_STATES } from '../budget.ts';
import { GrammarError } from '../grammar-error.ts';
import type { CharAutomaton } from '../program.ts';
import { addRange, hashOf, isSame } from './minimize.ts';
import { tooManyStates } from './nfa.ts';

/** Places of the table of known states at first; a power of two. */
const FIRST_PLACES = 1024;
const NO_STATE = -1;

/**
 * The smallest automaton of sorted words, built word by word (Daciuk and others, 2000). A state is finished
 * when no later word can change it; finished states with equal edges are one, found by a hash of the edges.
 */
export class WordsBuilder {
  readonly #budget: Budget;
  /** Finished states. */
  readonly #edges: number[][] = [];
  readonly #accepts: boolean[] = [];
  /** Hash table of the finished states, with open addressing. */
  #places = new Int32Array(FIRST_PLACES).fill(NO_STATE);
  /** Code points of the last word. The state at a depth is open: its last edge has no target yet. */
  #codes: number[] = [];
  /** Code points and targets of the edges of each open state. */
  readonly #open: number[][] = [[]];
  readonly #ends: boolean[] = [false];

  constructor(budget: Budget) {
    this.#budget = budget;
  }

  /** Adds a word that is greater than the words before. */
  add(word: string): void {
    const codes = codePoints(word);
    const last = this.#codes;
    let depth = 0;
    while (depth < codes.length && codes[depth] === last[depth]) depth += 1;
    this.#close(depth);
    for (let at = this.#open.length; at <= codes.length; at += 1) this.#open.push([]);
    for (let at = depth + 1; at < codes.length; at += 1) this.#ends[at] = false;
    this.#ends[codes.length] = true;
    this.#codes = codes;
  }

  automaton(): CharAutomaton {
    this.#close(0);
    const root = this.#finish(0);
    for (const row of this.#edges) for (let at = 2; at < row.length; at += 3) row[at] = root - (row[at] ?? 0);
    return { edges: this.#edges.reverse(), accepts: this.#accepts.reverse() };
  }

  /** Finishes the open states below this depth. */
  #close(depth: number): void {
    for (let at = this.#codes.length; at > depth; at -= 1)
      this.#open[at - 1]?.push(this.#codes[at - 1] ?? 0, this.#finish(at));
  }

  /** The finished state of an open one: a known state with the same edges, or a new one. */
  #finish(depth: number): number {
    this.#budget.step();
    const pairs = this.#open[depth] ?? [];
    const row = rowOfPairs(pairs);
    pairs.length = 0;
    const accepts = this.#ends[depth] ?? false;
    const places = this.#places;
    const mask = places.length - 1;
    let place = hashOf(row, Number(accepts)) & mask;
    for (let state = places[place] ?? NO_STATE; state !== NO_STATE; state = places[place] ?? NO_STATE) {
      if (this.#accepts[state] === accepts && isSame(this.#edges[state] ?? [], row)) return state;
      place = (place + 1) & mask;
    }
    if (this.#accepts.length >= MAX_STATES) throw tooManyStates();
    const state = this.#edges.push(row) - 1;
    this.#accepts.push(accepts);
    places[place] = state;
    if (2 * state > places.length) this.#grow();
    return state;
  }

  #grow(): void {
    const places = new Int32Array(4 * this.#places.length).fill(NO_STATE);
    const mask = places.length - 1;
    for (let state = 0; state < this.#accepts.length; state += 1) {
      let place = hashOf(this.#edges[state] ?? [], Number(this.#accepts[state])) & mask;
      while (places[place] !== NO_STATE) place = (place + 1) & mask;
      places[place] = state;
    }
    this.#places = places;
  }
}

/**
 * The code points of a text.
 * @throws GrammarError `unsupported` for half of a surrogate pair
 */
export function codePoints(word: string): number[] {
  const codes: number[] = [];
  for (let at = 0; at < word.length; at += 1) {
    let code = word.charCodeAt(at);
    if ((code & 0xf800) === 0xd800) {
      code = word.codePointAt(at) ?? 0;
      if (code < 0x1_0000) throw halfPair();
      at += 1;
    }
    codes.push(code);
  }
  return codes;
}

const halfPair = (): GrammarError =>
  new GrammarError('unsupported', [], 'has half of a surrogate pair, which no text in UTF-8 has; remove it');

/** The edges of code points and their targets, in the order of UTF-16: that of code points up to 0xd7ff. */
function rowOfPairs(pairs: readonly number[]): number[] {
  const [code = 0, target = 0] = pairs;
  if (pairs.length === 2) return [code, code, target];
  const row: number[] = [];
  if ((pairs[pairs.length - 2] ?? 0) < 0xd800) {
    for (let at = 0; at < pairs.length; at += 2)
      addRange(row, pairs[at] ?? 0, pairs[at] ?? 0, pairs[at + 1] ?? 0);
    return row;
  }
  const order = Array.from({ length: pairs.length / 2 }, (_, at) => 2 * at);
  for (const at of order.sort((a, b) => (pairs[a] ?? 0) - (pairs[b] ?? 0)))
    addRange(row, pairs[at] ?? 0, pairs[at] ?? 0, pairs[at + 1] ?? 0);
  return row;
}

/** The smallest automaton of listed words. Pure. */
import { type Budget, MAX_STATES } from '../budget.ts';
import { GrammarError } from '../grammar-error.ts';
import type { CharAutomaton } from '../program.ts';
import { addRange } from './minimize.ts';
import { tooManyStates } from './nfa.ts';

/** Numbers that lists hold at first; a power of two. Longer lists grow. */
const FIRST_SIZE = 1024;
const NO_STATE = -1;

/**
 * The smallest automaton of sorted words, built word by word (Daciuk and others, 2000). A state is finished
 * when no later word can change it; finished states with equal edges are one. An edge is a pair of numbers,
 * its code point and its target; all pairs are in two lists: a small array for each state costs more.
 */
export class WordsBuilder {
  readonly #budget: Budget;
  /** Pairs of the finished states. Those of a state begin at `#starts` of it, and end at that of the next. */
  #pairs = new Int32Array(FIRST_SIZE);
  #starts = new Int32Array(FIRST_SIZE);
  readonly #accepts: boolean[] = [];
  /** Hash table of the finished states, with open addressing. */
  #places = new Int32Array(FIRST_SIZE).fill(NO_STATE);
  /** Code points of the last word. The state at a depth is open: its last edge has no target yet. */
  #codes = new Int32Array(FIRST_SIZE);
  #length = 0;
  /** Pairs of the open states: those of the deepest state are the last ones. */
  #open = new Int32Array(FIRST_SIZE);
  #openEnd = 0;
  /** The first pair of the open state at a depth. */
  #bases = new Int32Array(FIRST_SIZE);
  readonly #ends: boolean[] = [false];

  constructor(budget: Budget) {
    this.#budget = budget;
  }

  /**
   * Adds a word that is greater than the words before, in the order of UTF-16.
   * @throws GrammarError `too_complex`; `unsupported` for half of a surrogate pair
   */
  add(word: string): void {
    if (word.length >= this.#codes.length) {
      this.#codes = grown(this.#codes, word.length + 1);
      this.#bases = grown(this.#bases, word.length + 1);
    }
    let depth = 0;
    let isShared = true;
    for (let at = 0; at < word.length; at += 1) {
      let code = word.charCodeAt(at);
      if ((code & 0xf800) === 0xd800) {
        code = fullCodePoint(word, at);
        at += 1;
      }
      if (isShared && (depth >= this.#length || this.#codes[depth] !== code)) {
        this.#close(depth);
        isShared = false;
      }
      this.#codes[depth] = code;
      depth += 1;
      if (isShared) continue;
      this.#bases[depth] = this.#openEnd;
      this.#ends[depth] = false;
    }
    this.#ends[depth] = true;
    this.#length = depth;
  }

  automaton(): CharAutomaton {
    this.#close(0);
    const root = this.#finish(0);
    const edges: number[][] = [];
    for (let state = root; state >= 0; state -= 1) edges.push(this.#row(state, root));
    return { edges, accepts: this.#accepts.reverse() };
  }

  /** Finishes the open states below this depth. */
  #close(depth: number): void {
    for (let at = this.#length; at > depth; at -= 1) {
      const target = this.#finish(at);
      if (this.#openEnd + 2 > this.#open.length) this.#open = grown(this.#open, this.#openEnd + 2);
      this.#open[this.#openEnd] = this.#codes[at - 1] ?? 0;
      this.#open[this.#openEnd + 1] = target;
      this.#openEnd += 2;
    }
  }

  /** The finished state of the deepest open one: a known state with the same edges, or a new one. */
  #finish(depth: number): number {
    this.#budget.step();
    const base = this.#bases[depth] ?? 0;
    const accepts = this.#ends[depth] ?? false;
    const places = this.#places;
    const mask = places.length - 1;
    let place = hashOf(this.#open, base, this.#openEnd, accepts) & mask;
    for (let state = places[place] ?? NO_STATE; state !== NO_STATE; state = places[place] ?? NO_STATE) {
      if (this.#accepts[state] === accepts && this.#isSame(state, base)) {
        this.#openEnd = base;
        return state;
      }
      place = (place + 1) & mask;
    }
    const state = this.#accepts.length;
    if (state >= MAX_STATES) throw tooManyStates();
    places[place] = state;
    this.#add(base, accepts);
    return state;
  }

  #add(base: number, accepts: boolean): void {
    const state = this.#accepts.push(accepts) - 1;
    const start = this.#starts[state] ?? 0;
    const end = start + this.#openEnd - base;
    if (end > this.#pairs.length) this.#pairs = grown(this.#pairs, end);
    for (let at = base; at < this.#openEnd; at += 1) this.#pairs[start + at - base] = this.#open[at] ?? 0;
    if (state + 1 >= this.#starts.length) this.#starts = grown(this.#starts, state + 2);
    this.#starts[state + 1] = end;
    this.#openEnd = base;
    if (2 * state > this.#places.length) this.#growPlaces();
  }

  #isSame(state: number, base: number): boolean {
    const start = this.#starts[state] ?? 0;
    if ((this.#starts[state + 1] ?? 0) - start !== this.#openEnd - base) return false;
    for (let at = base; at < this.#openEnd; at += 1)
      if (this.#pairs[start + at - base] !== this.#open[at]) return false;
    return true;
  }

  #growPlaces(): void {
    const places = new Int32Array(4 * this.#places.length).fill(NO_STATE);
    const mask = places.length - 1;
    for (let state = 0; state < this.#accepts.length; state += 1) {
      const [start = 0, end = 0] = [this.#starts[state], this.#starts[state + 1]];
      let place = hashOf(this.#pairs, start, end, this.#accepts[state] ?? false) & mask;
      while (places[place] !== NO_STATE) place = (place + 1) & mask;
      places[place] = state;
    }
    this.#places = places;
  }

  /** The edges of a state as ranges. The root is the last state, and becomes the first one. */
  #row(state: number, root: number): number[] {
    const pairs = this.#pairs;
    const [start = 0, end = 0] = [this.#starts[state], this.#starts[state + 1]];
    const [first = 0, last = 0] = [pairs[start], pairs[end - 2]];
    if (end === start + 2) return [first, first, root - (pairs[start + 1] ?? 0)];
    const row: number[] = [];
    // In the order of UTF-16, characters with surrogates come before those from 0xe000 to 0xffff.
    if (last < 0xd800)
      for (let at = start; at < end; at += 2) {
        const code = pairs[at] ?? 0;
        addRange(row, code, code, root - (pairs[at + 1] ?? 0));
      }
    else {
      const places = Array.from({ length: (end - start) / 2 }, (_, at) => start + 2 * at);
      for (const at of places.sort((a, b) => (pairs[a] ?? 0) - (pairs[b] ?? 0))) {
        const code = pairs[at] ?? 0;
        addRange(row, code, code, root - (pairs[at + 1] ?? 0));
      }
    }
    return row;
  }
}

/**
 * The code point of a pair of surrogates.
 * @throws GrammarError `unsupported` for half of a pair
 */
function fullCodePoint(word: string, at: number): number {
  const code = word.codePointAt(at) ?? 0;
  if (code >= 0x1_0000) return code;
  throw new GrammarError('unsupported', [], 'has half of a surrogate pair, which no text in UTF-8 has; remove it');
}

/** The code points of a text. @throws GrammarError `unsupported` for half of a surrogate pair */
export function codePoints(text: string): number[] {
  const codes: number[] = [];
  for (let at = 0; at < text.length; at += 1) {
    const unit = text.charCodeAt(at);
    const isHalf = (unit & 0xf800) === 0xd800;
    codes.push(isHalf ? fullCodePoint(text, at) : unit);
    if (isHalf) at += 1;
  }
  return codes;
}

function hashOf(list: Int32Array, start: number, end: number, accepts: boolean): number {
  let hash = accepts ? 1 : 0;
  for (let at = start; at < end; at += 1) {
    hash = Math.imul(hash ^ (list[at] ?? 0), 0x9e37_79b1);
    hash ^= hash >>> 15;
  }
  return hash;
}

/** A longer list with the same numbers, for at least `least` of them. */
function grown(list: Int32Array, least: number): Int32Array<ArrayBuffer> {
  const longer = new Int32Array(Math.max(2 * list.length, least));
  longer.set(list);
  return longer;
}

/** Turns the tree of a regular expression into a nondeterministic automaton (Thompson). Pure. */
import { type Budget, MAX_STATES } from '../budget.ts';
import { GrammarError } from '../grammar-error.ts';
import { ANY, type CharSet } from './char-set.ts';
import type { PatternNode } from './pattern-syntax.ts';

/** States are indices of the arrays. */
export interface Nfa {
  /** The distinct sets of characters. */
  readonly sets: readonly CharSet[];
  /** Index of the set whose characters a state reads, or -1. */
  readonly setOf: readonly number[];
  /** The state after such a character. */
  readonly targetOf: readonly number[];
  /** The states that follow without a character: always, at the start of the text, at its end. */
  readonly free: readonly (readonly number[])[];
  readonly atBegin: readonly (readonly number[])[];
  readonly atEnd: readonly (readonly number[])[];
  readonly start: number;
  readonly final: number;
  /** True if every text that reaches `final` can go on with any characters. */
  readonly open: boolean;
}

/** The error of an automaton that grows too large. */
export const tooManyStates = (): GrammarError =>
  new GrammarError('too_complex', [], `needs more than ${MAX_STATES} states; use smaller counts`);

/** The edges of a state that has none yet. */
const NOTHING: number[] = [];

export class NfaBuilder {
  readonly #budget: Budget;
  readonly #sets: CharSet[] = [];
  readonly #known = new Map<string, number>();
  /** The same by the object: copies of a part share its sets. */
  readonly #indices = new Map<CharSet, number>();
  readonly #setOf: number[] = [];
  readonly #targetOf: number[] = [];
  readonly #free: number[][] = [];
  readonly #atBegin: number[][] = [];
  readonly #atEnd: number[][] = [];

  constructor(budget: Budget) {
    this.#budget = budget;
  }

  /**
   * @param mode `search`: the expression matches anywhere in the text; `whole`: it matches the whole text
   * @throws GrammarError `too_complex`
   */
  build(tree: PatternNode, mode: 'search' | 'whole'): Nfa {
    const start = this.#state();
    if (mode === 'search') this.#read(start, ANY, start);
    const first = this.#state();
    add(this.#free, start, first);
    const last = this.#tree(tree, first);
    const final = this.#state();
    add(this.#free, last, final);
    if (mode === 'search') this.#read(final, ANY, final);
    return {
      sets: this.#sets,
      setOf: this.#setOf,
      targetOf: this.#targetOf,
      free: this.#free,
      atBegin: this.#atBegin,
      atEnd: this.#atEnd,
      start,
      final,
      open: mode === 'search',
    };
  }

  #state(): number {
    this.#budget.step();
    if (this.#setOf.length >= MAX_STATES) throw tooManyStates();
    this.#targetOf.push(-1);
    this.#free.push(NOTHING);
    this.#atBegin.push(NOTHING);
    this.#atEnd.push(NOTHING);
    return this.#setOf.push(-1) - 1;
  }

  #read(state: number, set: CharSet, target: number): void {
    this.#setOf[state] = this.#indices.get(set) ?? this.#indexOf(set);
    this.#targetOf[state] = target;
  }

  #indexOf(set: CharSet): number {
    this.#budget.step(1 + (set.length >> 2));
    const key = set.join();
    const index = this.#known.get(key) ?? this.#sets.push(set) - 1;
    this.#known.set(key, index);
    this.#indices.set(set, index);
    return index;
  }

  /** Adds the states of a tree after `from`; returns the state after it. No edge leads back to `from`. */
  #tree(node: PatternNode, from: number): number {
    switch (node.kind) {
      case 'chars':
        return this.#chars(node.set, from);
      case 'begin':
      case 'end': {
        const to = this.#state();
        add(node.kind === 'begin' ? this.#atBegin : this.#atEnd, from, to);
        return to;
      }
      case 'sequence': {
        let at = from;
        for (const item of node.items) at = this.#tree(item, at);
        return at;
      }
      case 'choice': {
        const to = this.#state();
        for (const item of node.items) add(this.#free, this.#tree(item, from), to);
        return to;
      }
      case 'repeat':
        return this.#repeat(node.item, node.min, node.max, from);
    }
  }

  #chars(set: CharSet, from: number): number {
    let reader = from;
    if (this.#setOf[from] !== -1) {
      reader = this.#state();
      add(this.#free, from, reader);
    }
    const to = this.#state();
    this.#read(reader, set, to);
    return to;
  }

  #repeat(item: PatternNode, min: number, max: number, from: number): number {
    let at = from;
    const endless = max === Number.POSITIVE_INFINITY;
    const copies = endless ? Math.max(0, min - 1) : min;
    for (let count = 0; count < copies; count += 1) at = this.#copy(item, at);
    const to = this.#state();
    if (endless) {
      const loop = this.#state();
      add(this.#free, at, loop);
      const end = this.#copy(item, loop);
      add(this.#free, end, loop);
      add(this.#free, min === 0 ? loop : end, to);
      return to;
    }
    for (let count = min; count < max; count += 1) {
      add(this.#free, at, to);
      at = this.#copy(item, at);
    }
    add(this.#free, at, to);
    return to;
  }

  /** A copy of an item, which always adds a state: so the number of copies is bounded. */
  #copy(item: PatternNode, from: number): number {
    const before = this.#setOf.length;
    const end = this.#tree(item, from);
    if (this.#setOf.length === before) this.#state();
    return end;
  }
}

function add(edges: number[][], from: number, to: number): void {
  const known = edges[from];
  if (known === undefined || known === NOTHING) edges[from] = [to];
  else known.push(to);
}

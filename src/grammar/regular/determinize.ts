/** Makes an automaton deterministic: subset construction over classes of characters. Pure. */
import { type Budget, MAX_STATES } from '../budget.ts';
import { type Classes, classesOf } from './char-set.ts';
import { addRange, type Raw } from './minimize.ts';
import { type Nfa, tooManyStates } from './nfa.ts';

/** Members of all subsets together, so that their memory is bounded. */
const MAX_MEMBERS = 4_000_000;

/**
 * The deterministic automaton of the same texts, not minimized.
 * @throws GrammarError `too_complex`
 */
export function determinize(nfa: Nfa, budget: Budget): Raw {
  return new Determinizer(nfa, budget).run();
}

/** What follows a state without a character, after the start of the text. */
interface Closure {
  /** The reading states from which the final state can be reached. */
  readonly reading: readonly number[];
  /** True if any text can follow. */
  readonly open: boolean;
}

class Determinizer {
  readonly #nfa: Nfa;
  readonly #budget: Budget;
  readonly #classes: Classes;
  /** 1 for a state from which the final state can be reached after the start of the text. */
  readonly #live: Uint8Array;
  /** 1 for a state from which the final state can be reached at the end of the text. */
  readonly #accepting: Uint8Array;
  readonly #closures: (Closure | undefined)[] = [];
  readonly #marks: Uint32Array;
  #round = 0;
  /** The reading states of each subset. */
  readonly #subsets: (readonly number[])[] = [];
  readonly #accepts: boolean[] = [];
  /** Subsets by the hash of their members. */
  readonly #known = new Map<number, number[]>();
  /** The subset after each single state. */
  readonly #single = new Map<number, number>();
  #members = 0;

  constructor(nfa: Nfa, budget: Budget) {
    this.#nfa = nfa;
    this.#budget = budget;
    this.#classes = classesOf(nfa.sets, budget);
    const count = nfa.setOf.length;
    this.#marks = new Uint32Array(count);
    const read = nfa.targetOf.map((target) => (target === -1 ? [] : [target]));
    this.#accepting = reaching(nfa.final, [nfa.free, nfa.atEnd], count);
    this.#live = reaching(nfa.final, [nfa.free, nfa.atEnd, read], count);
    budget.step(count);
  }

  run(): Raw {
    const { free, atBegin, atEnd, start, final, open } = this.#nfa;
    const edges: number[][] = [];
    const first = this.#reachable(start, [free, atBegin]);
    const reading = open && first.includes(final) ? [final] : first.filter((state) => this.#nfa.setOf[state] !== -1);
    this.#add(reading, this.#reachable(start, [free, atBegin, atEnd]).includes(final));
    for (const members of this.#subsets) edges.push(this.#row(members));
    return { edges, accepts: this.#accepts };
  }

  /** The states that follow this one without a character, and the state itself. */
  #reachable(from: number, kinds: readonly Nfa['free'][]): number[] {
    this.#round += 1;
    const found = [from];
    this.#marks[from] = this.#round;
    for (let at = 0; at < found.length; at += 1)
      for (const edges of kinds)
        for (const target of edges[found[at] ?? 0] ?? []) {
          if (this.#marks[target] === this.#round) continue;
          this.#marks[target] = this.#round;
          found.push(target);
        }
    this.#budget.step(1 + (found.length >> 3));
    return found;
  }

  #closure(state: number): Closure {
    const known = this.#closures[state];
    if (known) return known;
    const states = this.#reachable(state, [this.#nfa.free]);
    const reading = states.filter((other) => this.#nfa.setOf[other] !== -1 && this.#live[other] === 1);
    const closure = { reading, open: this.#nfa.open && states.includes(this.#nfa.final) };
    this.#count(reading.length);
    this.#closures[state] = closure;
    return closure;
  }

  #count(members: number): void {
    this.#members += members;
    if (this.#subsets.length >= MAX_STATES || this.#members > MAX_MEMBERS) throw tooManyStates();
  }

  #add(members: readonly number[], accepts: boolean): number {
    this.#count(members.length);
    this.#budget.step();
    this.#accepts.push(accepts);
    return this.#subsets.push(members) - 1;
  }

  /** The subset after a character that leads to these states; -1 if no text is accepted from there. */
  #after(targets: readonly number[]): number {
    const [only = 0] = targets;
    if (targets.length > 1) return this.#joined(targets);
    let subset = this.#single.get(only);
    if (subset === undefined) {
      subset = this.#joined(targets);
      this.#single.set(only, subset);
    }
    return subset;
  }

  #joined(targets: readonly number[]): number {
    const closures = targets.map((target) => this.#closure(target));
    this.#round += 1;
    const accepts = targets.some((target) => this.#accepting[target] === 1);
    const members: number[] = [];
    // The sum does not depend on the order of the members.
    let hash = accepts ? 1 : 0;
    const visit = (state: number): void => {
      if (this.#marks[state] === this.#round) return;
      this.#marks[state] = this.#round;
      members.push(state);
      hash = (hash + Math.imul(state + 1, 0x9e37_79b1)) | 0;
    };
    if (closures.some(({ open }) => open)) visit(this.#nfa.final);
    else for (const { reading } of closures) for (const state of reading) visit(state);
    this.#budget.step(1 + (members.length >> 4) + (targets.length >> 4));
    if (members.length === 0 && !accepts) return -1;
    const candidates = this.#known.get(hash);
    const known = candidates?.find((subset) => this.#isSame(subset, members.length, accepts));
    if (known !== undefined) return known;
    const subset = this.#add(members, accepts);
    if (candidates) candidates.push(subset);
    else this.#known.set(hash, [subset]);
    return subset;
  }

  /** True if the subset has exactly the members that are marked in this round. */
  #isSame(subset: number, count: number, accepts: boolean): boolean {
    const members = this.#subsets[subset] ?? [];
    if (members.length !== count || this.#accepts[subset] !== accepts) return false;
    this.#budget.step(1 + (count >> 4));
    return members.every((state) => this.#marks[state] === this.#round);
  }

  /** The edges of a subset. */
  #row(members: readonly number[]): number[] {
    const subsetOf = new Int32Array(this.#classes.count).fill(-1);
    const [only = 0] = members;
    if (members.length === 1) {
      const subset = this.#after([this.#nfa.targetOf[only] ?? 0]);
      for (const name of this.#classesOf(only)) subsetOf[name] = subset;
      return this.#ranges(subsetOf);
    }
    // Classes of the same states lead to the same subset: they are found by the list of their states.
    const targets = new Map<number, number[]>();
    for (const state of members) {
      const target = this.#nfa.targetOf[state] ?? 0;
      for (const name of this.#classesOf(state)) {
        const list = targets.get(name);
        if (list) list.push(target);
        else targets.set(name, [target]);
      }
    }
    let before: readonly number[] = [];
    let subset = -1;
    for (const [name, list] of targets) {
      if (!isEqual(list, before)) subset = this.#after(list);
      before = list;
      subsetOf[name] = subset;
    }
    return this.#ranges(subsetOf);
  }

  #classesOf(state: number): readonly number[] {
    const classes = this.#classes.ofSet[this.#nfa.setOf[state] ?? -1] ?? [];
    this.#budget.step(1 + (classes.length >> 3));
    return classes;
  }

  #ranges(subsetOf: Int32Array): number[] {
    const { starts, classOf } = this.#classes;
    this.#budget.step(1 + (starts.length >> 5));
    const row: number[] = [];
    for (let interval = 0; interval + 1 < starts.length; interval += 1) {
      const name = classOf[interval] ?? -1;
      const target = name === -1 ? -1 : (subsetOf[name] ?? -1);
      if (target === -1) continue;
      const first = starts[interval] ?? 0;
      const last = (starts[interval + 1] ?? 0) - 1;
      addRange(row, first, last, target);
    }
    return row;
  }
}

/** The states from which edges of these kinds lead to the final state. */
function reaching(final: number, kinds: readonly Nfa['free'][], count: number): Uint8Array {
  const sources: number[][] = Array.from({ length: count }, () => []);
  for (const edges of kinds)
    for (const [state, targets] of edges.entries()) for (const target of targets) sources[target]?.push(state);
  const found = new Uint8Array(count);
  found[final] = 1;
  const queue = [final];
  for (const state of queue)
    for (const source of sources[state] ?? []) {
      if (found[source]) continue;
      found[source] = 1;
      queue.push(source);
    }
  return found;
}

const isEqual = (a: readonly number[], b: readonly number[]): boolean =>
  a.length === b.length && a.every((value, at) => value === b[at]);

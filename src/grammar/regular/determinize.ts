/** Makes a nondeterministic automaton deterministic: subset construction over classes of characters. Pure. */
import { type Budget, MAX_STATES } from '../budget.ts';
import type { CharSet } from './char-set.ts';
import type { Raw } from './minimize.ts';
import { type Nfa, tooManyStates } from './nfa.ts';

/** Characters that belong to the same sets are one class. */
interface Classes {
  /** First characters of the intervals, ascending; an interval ends before the next one. */
  readonly starts: readonly number[];
  /** Class of each interval, or -1. */
  readonly classOf: readonly number[];
  /** Classes of each set. */
  readonly ofSet: readonly (readonly number[])[];
  readonly count: number;
}

/** Splits the characters into classes. Exact: each set refines the classes of the sets before. */
function classesOf(sets: readonly CharSet[], budget: Budget): Classes {
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

/** Members of all subsets together, so that their memory is bounded. */
const MAX_MEMBERS = 4_000_000;

/**
 * The deterministic automaton of the same texts, not minimized.
 * @throws GrammarError `too_complex`
 */
export function determinize(nfa: Nfa, budget: Budget): Raw {
  return new Determinizer(nfa, budget).run();
}

class Determinizer {
  readonly #nfa: Nfa;
  readonly #budget: Budget;
  readonly #classes: Classes;
  /** True for a state from which the final state can be reached after the start of the text. */
  readonly #live: Uint8Array;
  /** True for a state from which the final state can be reached at the end of the text. */
  readonly #accepting: Uint8Array;
  readonly #marks: Uint32Array;
  #round = 0;
  /** The reading states of each subset, sorted. */
  readonly #subsets: number[][] = [];
  readonly #accepts: boolean[] = [];
  readonly #known = new Map<string, number>();
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
    const { free, atBegin, atEnd, start, final } = this.#nfa;
    const edges: number[][] = [];
    const first = this.#closure([start], [free, atBegin]);
    const empty = this.#closure([start], [free, atBegin, atEnd]).includes(final);
    this.#subset(this.#isOpen(first) ? [final] : this.#reading(first), empty);
    for (let state = 0; state < this.#subsets.length; state += 1) edges.push(this.#row(this.#subsets[state] ?? []));
    return { edges, accepts: this.#accepts };
  }

  /** All states that follow these ones without a character, and they themselves. */
  #closure(from: readonly number[], kinds: readonly Nfa['free'][]): number[] {
    this.#round += 1;
    const found: number[] = [];
    const visit = (state: number): void => {
      if (this.#marks[state] === this.#round) return;
      this.#marks[state] = this.#round;
      found.push(state);
    };
    for (const state of from) visit(state);
    for (let at = 0; at < found.length; at += 1)
      for (const edges of kinds) for (const target of edges[found[at] ?? 0] ?? []) visit(target);
    this.#budget.step(1 + (found.length >> 3));
    return found;
  }

  #isOpen(states: readonly number[]): boolean {
    return this.#nfa.open && states.includes(this.#nfa.final);
  }

  #reading(states: readonly number[]): number[] {
    return states.filter((state) => this.#nfa.setOf[state] !== -1).sort((a, b) => a - b);
  }

  #subset(members: number[], accepts: boolean): number {
    this.#members += members.length;
    if (this.#subsets.length >= MAX_STATES || this.#members > MAX_MEMBERS) throw tooManyStates();
    this.#budget.step();
    this.#accepts.push(accepts);
    return this.#subsets.push(members) - 1;
  }

  /** The subset after a character that leads to these states; -1 if no text is accepted from there. */
  #after(targets: readonly number[]): number {
    const raw = targets.length === 1 ? `=${targets[0]}` : `=${targets.join()}`;
    const known = this.#known.get(raw);
    if (known !== undefined) return known;
    const states = this.#closure(targets, [this.#nfa.free]).filter((state) => this.#live[state]);
    const members = this.#isOpen(states) ? [this.#nfa.final] : this.#reading(states);
    const accepts = states.some((state) => this.#accepting[state]);
    const key = `${accepts}${members.join()}`;
    let subset = this.#known.get(key);
    if (subset === undefined) {
      subset = members.length === 0 && !accepts ? -1 : this.#subset(members, accepts);
      this.#known.set(key, subset);
    }
    this.#known.set(raw, subset);
    return subset;
  }

  /** The edges of a subset. */
  #row(members: readonly number[]): number[] {
    const targets = new Map<number, number[]>();
    for (const state of members) {
      const classes = this.#classes.ofSet[this.#nfa.setOf[state] ?? -1] ?? [];
      const target = this.#nfa.targetOf[state] ?? 0;
      this.#budget.step(1 + (classes.length >> 3));
      for (const name of classes) {
        const list = targets.get(name);
        if (list) list.push(target);
        else targets.set(name, [target]);
      }
    }
    const subsetOf = new Int32Array(this.#classes.count).fill(-1);
    for (const [name, list] of targets) subsetOf[name] = this.#after(list);
    return this.#ranges(subsetOf);
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
      if (row.at(-1) === target && row.at(-2) === first - 1) row[row.length - 2] = last;
      else row.push(first, last, target);
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

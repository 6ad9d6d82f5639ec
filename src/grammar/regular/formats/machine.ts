/** Automata of languages that a function describes: it makes the next state of a state. Pure. */
import { Budget } from '../../budget.ts';
import type { CharAutomaton } from '../../program.ts';
import { finish } from '../minimize.ts';
import { patternAutomaton } from '../pattern.ts';

export interface Machine<State, Symbol extends string> {
  /** Symbols, each with its ranges of characters: the first and the last one, or a single one. */
  readonly symbols: readonly (readonly [symbol: Symbol, ...ranges: string[]])[];
  readonly start: State;
  /** A text that is equal for equal states. */
  key(state: State): string;
  /** The state after a character of the symbol; undefined if no text is accepted from there. */
  next(state: State, symbol: Symbol): State | undefined;
  accepts(state: State): boolean;
}

/** For languages that no request describes: their automata have a fixed number of states. */
export const UNTIMED = new Budget(() => 0);

/** The smallest automaton of the texts that a machine accepts, which are at least one. */
export function automatonOf<State, Symbol extends string>(machine: Machine<State, Symbol>): CharAutomaton {
  const ranges = rangesOf(machine.symbols);
  const numbers = new Map([[machine.key(machine.start), 0]]);
  const states = [machine.start];
  const edges: number[][] = [];
  for (const state of states) {
    const targets = new Map<Symbol, number>();
    const row: number[] = [];
    for (const { first, last, symbol } of ranges) {
      let target = targets.get(symbol);
      if (target === undefined) {
        const next = machine.next(state, symbol);
        const key = next === undefined ? '' : machine.key(next);
        target = next === undefined ? -1 : (numbers.get(key) ?? states.push(next) - 1);
        if (next !== undefined) numbers.set(key, target);
        targets.set(symbol, target);
      }
      if (target !== -1) row.push(first, last, target);
    }
    edges.push(row);
  }
  const automaton = finish({ edges, accepts: states.map((state) => machine.accepts(state)) }, UNTIMED);
  if (!automaton) throw new Error('The machine accepts no text.');
  return automaton;
}

interface SymbolRange<Symbol> {
  readonly first: number;
  readonly last: number;
  readonly symbol: Symbol;
}

/** The ranges of all symbols in ascending order. */
const rangesOf = <Symbol extends string>(symbols: Machine<unknown, Symbol>['symbols']): SymbolRange<Symbol>[] =>
  symbols
    .flatMap(([symbol, ...ranges]) =>
      ranges.map((range) => ({ first: range.charCodeAt(0), last: range.charCodeAt(range.length - 1), symbol })),
    )
    .sort((a, b) => a.first - b.first);

/** The automaton of a pattern that is known to be right, and that the whole text matches. */
export function automatonOfPattern(pattern: string): CharAutomaton {
  const automaton = patternAutomaton(pattern, 'whole', UNTIMED);
  if (!automaton) throw new Error(`matches nothing: ${pattern}`);
  return automaton;
}

/** Helpers for tests of regular languages. */
import { expect } from 'vitest';
import { Budget } from '../../../src/grammar/budget.ts';
import { GrammarError } from '../../../src/grammar/grammar-error.ts';
import type { CharAutomaton } from '../../../src/grammar/program.ts';

/** A budget whose clock stands still: only the limits of states and members hold. */
export const untimed = (): Budget => new Budget(() => 0);

/** The error that a compilation ends with. */
export function problemOf(compile: () => unknown): GrammarError {
  try {
    compile();
  } catch (error) {
    expect(error).toBeInstanceOf(GrammarError);
    if (error instanceof GrammarError) return error;
  }
  throw new Error('no error was thrown');
}

/** The form that program.ts demands: ranges in order, no surrogates, every state useful. */
export function expectWellFormed({ edges, accepts }: CharAutomaton): void {
  const problems: string[] = [];
  if (edges.length !== accepts.length) problems.push('edges and accepts differ in length');
  const reached = new Set([0]);
  for (const state of reached) {
    const row = edges[state] ?? [];
    let before = -1;
    for (let at = 0; at < row.length; at += 3) {
      const [first = -1, last = -1, target = -1] = row.slice(at, at + 3);
      if (first <= before || last < first || last > 0x10ffff) problems.push(`range ${first}-${last} after ${before}`);
      if (first <= 0xdfff && last >= 0xd800) problems.push(`surrogates in ${first}-${last}`);
      if (first === before + 1 && at > 0 && row[at - 1] === target) problems.push(`range ${first} could be longer`);
      if (!(target in accepts)) problems.push(`target ${target}`);
      before = last;
      reached.add(target);
    }
  }
  if (reached.size !== accepts.length) problems.push('a state is not reached');
  const useful = new Set(accepts.flatMap((accepting, state) => (accepting ? [state] : [])));
  for (let size = -1; size < useful.size; ) {
    size = useful.size;
    for (const [state, row] of [...edges.entries()].reverse())
      if (row.some((target, at) => at % 3 === 2 && useful.has(target))) useful.add(state);
  }
  if (useful.size !== accepts.length) problems.push('a state does not reach an accepting one');
  expect(problems).toEqual([]);
}

/** A text that the automaton accepts: at each state, one of its edges or the end. */
export function walk({ edges, accepts }: CharAutomaton, choices: readonly number[]): string | undefined {
  let [state, text] = [0, ''];
  for (const choice of choices) {
    const row = edges[state] ?? [];
    const count = row.length / 3;
    if (accepts[state] && (count === 0 || choice % 7 === 0)) return text;
    const at = 3 * (choice % count);
    const [first = 0, last = 0, target = 0] = row.slice(at, at + 3);
    text += String.fromCodePoint(first + ((choice >> 4) % (last - first + 1)));
    state = target;
  }
  return accepts[state] ? text : undefined;
}

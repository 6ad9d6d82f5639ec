/** Regular expressions as automata over characters. Pure. */
import type { Budget } from '../budget.ts';
import type { CharAutomaton } from '../program.ts';
import { determinize } from './determinize.ts';
import { finish } from './minimize.ts';
import { NfaBuilder } from './nfa.ts';
import { parsePattern } from './pattern-syntax.ts';

/**
 * The texts that a regular expression of ECMA-262 matches, with the meaning of its flag `u`. Escapes of
 * punctuation and single brackets that only expressions without the flag allow are accepted too.
 *
 * @param mode `search`: the expression matches anywhere in the text, as JSON Schema says; `whole`: it matches
 *   the whole text
 * @returns undefined if no text matches
 * @throws GrammarError with an empty path: `invalid`, `unsupported` (lookaround, backreferences, word
 *   boundaries, flags), `too_complex`
 */
export function patternAutomaton(source: string, mode: 'search' | 'whole', budget: Budget): CharAutomaton | undefined {
  const tree = parsePattern(source, budget);
  const nfa = new NfaBuilder(budget).build(tree, mode);
  return finish(determinize(nfa, budget), budget);
}

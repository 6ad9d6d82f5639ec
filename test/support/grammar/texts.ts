/** Runs grammars over texts and over random tokens, for tests. */

import type { Mask } from '../../../src/grammar/matching/found-mask.ts';
import { Grammar } from '../../../src/grammar/matching/grammar.ts';
import type { Matcher } from '../../../src/grammar/matching/matcher.ts';
import { hasBit, type Vocabulary } from '../../../src/grammar/matching/vocabulary.ts';
import type { Program } from '../../../src/grammar/program.ts';
import { vocabularyOf } from './vocabularies.ts';

const BYTES = vocabularyOf([]);
const encoder = new TextEncoder();

/** True if the automaton of a program accepts a text as a whole. */
export function automatonAccepts(program: Program, text: string): boolean {
  const matcher = new Grammar(program, BYTES).start();
  return encoder.encode(text).every((byte) => matcher.accept(byte)) && matcher.accepts;
}

/** The ids of a mask in ascending order. */
export function idsOf(mask: Mask): number[] {
  if ('ids' in mask) return [...mask.ids];
  return Array.from({ length: mask.bits.length * 32 }, (_, id) => id).filter((id) => hasBit(mask.bits, id));
}

/** The ids that a text can continue with, each tried by itself. */
export function allowedByTrial(grammar: Grammar, before: readonly number[], vocabulary: Vocabulary): number[] {
  return Array.from({ length: vocabulary.data.size }, (_, id) => id).filter((id) => {
    const matcher = grammar.start();
    for (const one of before) matcher.accept(one);
    return matcher.accept(id);
  });
}

export interface Generated {
  readonly ids: readonly number[];
  readonly complete: boolean;
}

/**
 * Draws tokens from the masks.
 * @param pick chooses one of the allowed ids; -1 ends a text that can end
 */
export function generate(
  matcher: Matcher,
  maxTokens: number,
  pick: (ids: readonly number[], canEnd: boolean) => number,
): Generated {
  const ids: number[] = [];
  while (!matcher.finished && ids.length < maxTokens) {
    const allowed = idsOf(matcher.mask(maxTokens - ids.length - 1));
    if (allowed.length === 0 && matcher.accepts) break;
    const id = pick(allowed, matcher.accepts);
    if (id < 0) break;
    if (!matcher.accept(id)) throw new Error(`The mask has ${id}, which the grammar refuses.`);
    ids.push(id);
  }
  return { ids, complete: matcher.accepts };
}

const decoder = new TextDecoder('utf-8', { fatal: true });

/** The text of some ids. */
export function textOf(ids: readonly number[], vocabulary: Vocabulary): string {
  return decoder.decode(Uint8Array.from(ids.flatMap((id) => [...vocabulary.bytesOf(id)])));
}

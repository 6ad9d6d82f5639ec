/**
 * The grammars of the engine, by key. A grammar collects states and masks while it is used, so a later
 * sequence with the same grammar is faster. Bounded; a grammar with a running sequence is never dropped.
 */
import { Grammar } from '../../grammar/matching/grammar.ts';
import { Vocabulary, type VocabularyData } from '../../grammar/matching/vocabulary.ts';
import { type PackedProgram, unpackProgram } from '../../grammar/packed-program.ts';
import type { SequenceGrammar } from '../../protocol/messages.ts';
import { checkProgram } from '../check-request.ts';
import { Constraint } from './constraint.ts';

/** Maximum number of kept grammars. */
export const MAX_GRAMMARS = 64;
/** Maximum memory of the kept grammars, in bytes, by the estimate of each grammar. */
export const MAX_GRAMMAR_BYTES = 64 * 2 ** 20;

interface Entry {
  readonly grammar: Grammar;
  /** Running and waiting sequences with this grammar. */
  users: number;
}

export interface GrammarLimits {
  readonly count: number;
  readonly bytes: number;
}

export class Grammars {
  readonly #limits: GrammarLimits;
  #vocabulary: Vocabulary | undefined;
  /** Least recently used first. */
  readonly #entries = new Map<string, Entry>();

  constructor(limits: GrammarLimits = { count: MAX_GRAMMARS, bytes: MAX_GRAMMAR_BYTES }) {
    this.#limits = limits;
  }

  /** The keys of the kept grammars, the least recently used first. */
  get keys(): readonly string[] {
    return [...this.#entries.keys()];
  }

  /** Sets the texts of the ids, once. */
  setVocabulary(data: VocabularyData): void {
    this.#vocabulary ??= new Vocabulary(data);
  }

  /**
   * Starts a grammar for one sequence, which must call `release` of the result when it ends.
   * @throws Error without a vocabulary, or if the grammar cannot be built
   */
  start(
    { key, program }: SequenceGrammar,
    { maxTokens, idLimit }: { readonly maxTokens: number; readonly idLimit: number },
  ): Constraint {
    if (!this.#vocabulary) throw new Error('A sequence with a grammar was submitted before the vocabulary');
    const entry = this.#entries.get(key) ?? { grammar: opened(program, this.#vocabulary, idLimit), users: 0 };
    this.#entries.delete(key);
    this.#entries.set(key, entry);
    const constraint = new Constraint(entry.grammar, maxTokens, () => {
      entry.users -= 1;
      this.#trim();
    });
    entry.users += 1;
    this.#trim();
    return constraint;
  }

  /** Drops unused grammars, the least recently used first, until the others are within the limits. */
  #trim(): void {
    let bytes = 0;
    for (const { grammar } of this.#entries.values()) bytes += grammar.bytes;
    for (const [key, { grammar, users }] of this.#entries) {
      if (this.#entries.size <= this.#limits.count && bytes <= this.#limits.bytes) return;
      if (users > 0) continue;
      bytes -= grammar.bytes;
      this.#entries.delete(key);
    }
  }
}

/** @throws Error if the grammar cannot be run */
function opened(packed: PackedProgram, vocabulary: Vocabulary, idLimit: number): Grammar {
  const program = unpackProgram(packed);
  const problem = checkProgram(program, idLimit);
  if (problem !== undefined) throw new Error(problem);
  return new Grammar(program, vocabulary);
}

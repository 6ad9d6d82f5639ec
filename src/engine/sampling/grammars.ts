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
/** Maximum memory of the kept grammars, in bytes, by the estimate of each grammar and of its program. */
export const MAX_GRAMMAR_BYTES = 64 * 2 ** 20;
/** Bytes of a program and of the facts about it for each character of its text: 2 to 13 are measured. */
const BYTES_PER_CHARACTER = 12;

interface Entry {
  readonly grammar: Grammar;
  /** Bytes of the program, about. */
  readonly programBytes: number;
  /** Running and waiting sequences with this grammar. */
  users: number;
  /** Bytes of all, at the last start or end of a sequence with this grammar: it does not grow without one. */
  bytes: number;
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
  /** Bytes of all entries. */
  #bytes = 0;

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
    const entry = this.#entries.get(key) ?? opened(program, this.#vocabulary, idLimit);
    this.#entries.delete(key);
    this.#entries.set(key, entry);
    const constraint = new Constraint(entry.grammar, maxTokens, () => {
      entry.users -= 1;
      this.#measure(entry);
      this.#trim();
    });
    entry.users += 1;
    this.#measure(entry);
    this.#trim();
    return constraint;
  }

  #measure(entry: Entry): void {
    const bytes = entry.grammar.bytes + entry.programBytes;
    this.#bytes += bytes - entry.bytes;
    entry.bytes = bytes;
  }

  /** Drops unused grammars, the least recently used first, until the others are within the limits. */
  #trim(): void {
    for (const [key, { users, bytes }] of this.#entries) {
      if (this.#entries.size <= this.#limits.count && this.#bytes <= this.#limits.bytes) return;
      if (users > 0) continue;
      this.#bytes -= bytes;
      this.#entries.delete(key);
    }
  }
}

/** @throws Error if the grammar cannot be run */
function opened(packed: PackedProgram, vocabulary: Vocabulary, idLimit: number): Entry {
  const program = unpackProgram(packed);
  const problem = checkProgram(program, idLimit);
  if (problem !== undefined) throw new Error(problem);
  const programBytes = BYTES_PER_CHARACTER * packed.length;
  return { grammar: new Grammar(program, vocabulary), programBytes, users: 0, bytes: 0 };
}

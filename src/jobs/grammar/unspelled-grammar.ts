/** Finds grammars that no text of the model's tokens can begin. */
import { GrammarError } from '../../grammar/grammar-error.ts';
import type { VocabularyData } from '../../grammar/matching/vocabulary.ts';
import { type PackedProgram, unpackProgram } from '../../grammar/packed-program.ts';

/** The printable characters of ASCII. */
const PRINTABLE = { first: 0x20, last: 0x7e };
const spelling = new WeakMap<VocabularyData, boolean>();

/**
 * The error of a grammar of which no text begins with a token of the vocabulary; undefined for every other
 * one. Takes no time for a vocabulary with a token for each printable character, as nearly every one has.
 */
export async function unspelledGrammar(
  program: PackedProgram,
  vocabulary: VocabularyData,
): Promise<GrammarError | undefined> {
  const spellsAll = spelling.get(vocabulary) ?? hasPrintable(vocabulary);
  spelling.set(vocabulary, spellsAll);
  if (spellsAll) return undefined;
  const [{ Grammar }, { Vocabulary }] = await Promise.all([
    import('../../grammar/matching/grammar.ts'),
    import('../../grammar/matching/vocabulary.ts'),
  ]);
  const matcher = new Grammar(unpackProgram(program), new Vocabulary(vocabulary)).start();
  const mask = matcher.mask();
  const isStuck = 'ids' in mask && mask.ids.length === 0 && !matcher.accepts;
  const message = "demands a text that the model's tokens cannot spell; demand another form, or use another model";
  return isStuck ? new GrammarError('unsatisfiable', [], message) : undefined;
}

/** True if each printable character of ASCII is a token by itself. */
function hasPrintable({ size, texts }: VocabularyData): boolean {
  const found = new Set<number>();
  for (let id = 0; id < size; id += 1) {
    const start = id === 0 ? 0 : (texts.ends[id - 1] ?? 0);
    if ((texts.ends[id] ?? 0) - start === 1) found.add(texts.bytes[start] ?? 0);
  }
  for (let byte = PRINTABLE.first; byte <= PRINTABLE.last; byte += 1) if (!found.has(byte)) return false;
  return true;
}

/** Helpers for tests of grammars: the vocabulary of the embedded model, and grammars made by hand. */
import { Budget } from '../../src/grammar/budget.ts';
import { buildVocabulary, type VocabularyData } from '../../src/grammar/matching/vocabulary.ts';
import { packProgram } from '../../src/grammar/packed-program.ts';
import type { CharAutomaton, NodeId, Program } from '../../src/grammar/program.ts';
import { ProgramBuilder } from '../../src/grammar/program-builder.ts';
import type { SequenceGrammar } from '../../src/protocol/messages.ts';
import { Tokenizer } from '../../src/text/tokenizer/tokenizer.ts';
import { HAIKU_VOCABULARY, haikuFiles } from '../text/tokenizer/small-tokenizers.ts';

const tokenizer = await Tokenizer.open(haikuFiles);
await tokenizer.close();

/** The id that ends an output of the embedded model. */
export const END = 3;

/** Runs the generator to its end. */
export function vocabularyOf(size: number, bytesOf: (id: number) => ArrayLike<number> | undefined): VocabularyData {
  const work = buildVocabulary(size, bytesOf);
  for (;;) {
    const { done, value } = work.next();
    if (done) return value;
  }
}

export const haikuVocabulary: VocabularyData = vocabularyOf(HAIKU_VOCABULARY, (id) => tokenizer.bytesOf(id));

export const textOf = (ids: readonly number[]): string => tokenizer.decode(ids);

/** Ids of the embedded model whose text begins with this. */
export const idsFrom = (start: string): number[] =>
  Array.from({ length: HAIKU_VOCABULARY }, (_, id) => id).filter((id) => {
    const bytes = tokenizer.bytesOf(id);
    return bytes !== undefined && Buffer.from(Array.from(bytes)).toString('latin1').startsWith(start);
  });

export function programOf(build: (builder: ProgramBuilder) => NodeId): Program {
  const builder = new ProgramBuilder(new Budget(() => 0));
  return builder.program(build(builder));
}

export function grammarOf(build: (builder: ProgramBuilder) => NodeId): SequenceGrammar {
  const program = packProgram(programOf(build));
  return { key: program, program };
}

/** One or two digits. */
const DIGITS: CharAutomaton = {
  edges: [[48, 57, 1], [48, 57, 2], []],
  accepts: [false, true, true],
};

export const literal = (text: string): SequenceGrammar =>
  grammarOf((builder) => builder.add({ kind: 'literal', text }));

export const choice = (...texts: string[]): SequenceGrammar =>
  grammarOf((builder) => {
    const items = texts.map((text) => builder.add({ kind: 'literal', text }));
    return builder.add({ kind: 'choice', items });
  });

/** A record with a name of two, and a number. */
export const PERSON = /^\{"name":"(Ann|Bob)","age":[0-9]{1,2}\}$/;
export const person: SequenceGrammar = grammarOf((builder) => {
  const text = (one: string): NodeId => builder.add({ kind: 'literal', text: one });
  const name = builder.add({ kind: 'choice', items: [text('Ann'), text('Bob')] });
  const age = builder.add({ kind: 'chars', automaton: DIGITS });
  return builder.add({ kind: 'sequence', items: [text('{"name":"'), name, text('","age":'), age, text('}')] });
});

/** An array of one to three numbers of at most two digits. */
export const NUMBERS = /^\[[0-9]{1,2}(, ?[0-9]{1,2}){0,2}\]$/;
export const numbers: SequenceGrammar = grammarOf((builder) => {
  const value = builder.add({ kind: 'chars', automaton: DIGITS });
  return builder.add({ kind: 'array', prefix: [], rest: { value }, min: 1, max: 3, minMatches: 0 });
});

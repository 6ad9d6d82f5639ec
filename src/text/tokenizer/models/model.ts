/** The model of a tokenizer.json: its vocabulary, and the encoding of one word. Pure. */
import { WordPiece } from '@huggingface/tokenizers';
import { z } from 'zod';
import type { Steps } from '../../../protocol/start/slices.ts';
import { Bpe, bpeFields } from './bpe.ts';
import { listedTokens, Unigram, unigramFields } from './unigram.ts';
import { entriesOf, type Vocabulary, vocabularyField, vocabularyOf, type WordModel } from './vocabulary.ts';

/** Characters of the longest word that WordPiece divides. Longer ones are one unknown token. */
const MAX_WORD_PIECE_WORD = 256;

const wordPieceFields = z.object({
  vocab: vocabularyField,
  unk_token: z.string(),
  continuing_subword_prefix: z.string().default('##'),
  // The library takes n³ steps for a word of n characters.
  max_input_chars_per_word: z.number().max(MAX_WORD_PIECE_WORD).default(100),
});

export type Model = WordModel & { readonly vocabulary: Vocabulary };
type ModelFields = Readonly<Record<string, unknown>> & { readonly type?: string | undefined };

/** Old files do not state the type of their model: the type follows from the fields. */
function typeOf(model: ModelFields): 'Unigram' | 'BPE' | 'WordPiece' {
  const { type } = model;
  if (type === 'Unigram' || (type === undefined && Array.isArray(model['vocab']))) return 'Unigram';
  if (type === 'BPE' || (type === undefined && 'merges' in model)) return 'BPE';
  if (type === 'WordPiece' || (type === undefined && 'max_input_chars_per_word' in model)) return 'WordPiece';
  const problem = type === undefined ? 'is missing' : `${JSON.stringify(type)} is not supported`;
  throw new Error(`model.type ${problem}; allowed: BPE, Unigram, WordPiece`);
}

/** @throws Error for an unsupported or broken model. */
export function* modelOf(model: ModelFields): Steps<Model> {
  switch (typeOf(model)) {
    case 'Unigram':
      return yield* Unigram.of(unigramFields.parse(model));
    case 'BPE':
      return yield* Bpe.of(bpeFields.parse(model));
    case 'WordPiece':
      return yield* wordPieceOf(model);
  }
}

/** The vocabulary alone, for decoding. Takes a third of the time and memory of the model. */
export function vocabularyOfModel(model: ModelFields): Steps<Vocabulary> {
  if (typeOf(model) === 'Unigram') return vocabularyOf(listedTokens(unigramFields.parse(model).vocab));
  return vocabularyOf(entriesOf(z.object({ vocab: vocabularyField }).parse(model).vocab));
}

function* wordPieceOf(model: object): Steps<Model> {
  const { vocab, ...rest } = wordPieceFields.parse(model);
  const vocabulary = yield* vocabularyOf(entriesOf(vocab));
  const library = new WordPiece({ type: 'WordPiece', vocab: Object.fromEntries(vocabulary.idOf), ...rest });
  return { vocabulary, encode: (word) => library.encode([word]).flatMap((token) => vocabulary.idOf.get(token) ?? []) };
}

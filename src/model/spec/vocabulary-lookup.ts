/**
 * Looks up texts and ids in a tokenizer.json. Searches for all of them in one pass: a hostile file can have a
 * million added tokens, and ask for as many texts. Pure.
 */
import { z } from 'zod';
import { type MergedToken, withFlags } from './token-flags.ts';

export const tokenizerKind = z.enum(['bpe', 'unigram', 'wordpiece']);
export type TokenizerKind = z.infer<typeof tokenizerKind>;

/**
 * The kind of a tokenizer.json and the ids of its tokens: BPE and WordPiece map a text to its id, Unigram
 * lists pairs of text and score in the order of ids. The flags of an added token are not validated here: the
 * tokenizer validates them when it is opened.
 */
export const tokenizerFields = z.looseObject({
  added_tokens: z.array(z.looseObject({ id: z.int(), content: z.string() })).default([]),
  model: z.preprocess(
    withKind,
    z.looseObject({
      type: z.string().toLowerCase().pipe(tokenizerKind),
      // The entries are not validated, because there are as many as the model has tokens.
      vocab: z.custom<object>((value) => typeof value === 'object' && value !== null, 'expected a vocabulary'),
    }),
  ),
});
export type TokenizerFields = z.infer<typeof tokenizerFields>;

/**
 * Older files, such as GPT-2's, do not state their kind. Only BPE has merges, and only Unigram lists its
 * vocabulary.
 */
function withKind(model: unknown): unknown {
  if (typeof model !== 'object' || model === null || !('vocab' in model)) return model;
  return { type: 'merges' in model ? 'bpe' : Array.isArray(model.vocab) ? 'unigram' : 'wordpiece', ...model };
}

export class VocabularyLookup {
  readonly #added = new Map<string, MergedToken>();
  readonly #ids = new Map<string, number>();
  readonly #texts = new Map<number, string>();

  /** @param texts and `ids`: all texts and ids that will be asked for */
  constructor({ added_tokens, model }: TokenizerFields, texts: ReadonlySet<string>, ids: ReadonlySet<number>) {
    if (texts.size === 0) return;
    for (const [text, id] of ids.size === 0 ? entriesFor(texts, model.vocab) : entriesOf(model.vocab)) {
      if (texts.has(text)) this.#ids.set(text, id);
      if (ids.has(id)) this.#texts.set(id, text);
    }
    for (const token of added_tokens) {
      const { id, content } = token;
      if (ids.has(id)) this.#texts.set(id, content);
      if (texts.has(content) && !this.#added.has(content)) this.#added.set(content, withFlags(token, id));
    }
  }

  /** The entry of an added token. */
  addedOf(text: string): MergedToken | undefined {
    return this.#added.get(text);
  }

  /** The id of an added token or of a token of the vocabulary. */
  idOf(text: string): number | undefined {
    return this.#added.get(text)?.id ?? this.#ids.get(text);
  }

  textOf(id: number): string | undefined {
    return this.#texts.get(id);
  }
}

/** The entries of the texts. A map of a GGUF file is not searched: that takes 20 ms for a large one. */
function* entriesFor(texts: ReadonlySet<string>, vocab: object): Iterable<readonly [string, number]> {
  if (!(vocab instanceof Map)) yield* entriesOf(vocab);
  else for (const text of texts) if (vocab.has(text)) yield [text, vocab.get(text)];
}

/**
 * Texts and ids of a vocabulary. Entries of another shape are skipped: opening the tokenizer reports them.
 */
function* entriesOf(vocab: object): Iterable<readonly [string, number]> {
  if (vocab instanceof Map) {
    yield* vocab;
    return;
  }
  if (!Array.isArray(vocab)) {
    for (const [text, id] of Object.entries(vocab)) if (typeof id === 'number') yield [text, id];
    return;
  }
  for (const [id, entry] of vocab.entries())
    if (Array.isArray(entry) && typeof entry[0] === 'string') yield [entry[0], id];
}

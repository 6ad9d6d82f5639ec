/**
 * A tokenizer.json as one object: added tokens, normalizer, pre-tokenizer, model, post-processor, decoder.
 * The stages run in the order of the Rust library (`tokenizer/mod.rs`, `added_vocabulary.rs`). Pure.
 */
import { WordPiece } from '@huggingface/tokenizers';
import { z } from 'zod';
import { AddedTokens, addedToken, type Section } from './added-tokens.ts';
import { Bpe, bpeFields } from './models/bpe.ts';
import { Unigram, unigramFields } from './models/unigram.ts';
import { type Vocabulary, vocabularyField, vocabularyOf, type WordModel } from './models/vocabulary.ts';
import { type Decode, decoderOf } from './stages/decoders.ts';
import { type Normalize, normalizerOf } from './stages/normalizers.ts';
import { postProcessorOf } from './stages/post-processor.ts';
import { preTokenizerOf } from './stages/pre-tokenizers.ts';
import type { PreTokenize } from './stages/split.ts';

const fields = z.object({
  added_tokens: z.array(addedToken).nullish(),
  normalizer: z.unknown(),
  pre_tokenizer: z.unknown(),
  post_processor: z.unknown(),
  decoder: z.unknown(),
  model: z.looseObject({ type: z.string().optional() }),
});
const wordPieceFields = z.object({
  vocab: vocabularyField,
  unk_token: z.string(),
  continuing_subword_prefix: z.string().default('##'),
  max_input_chars_per_word: z.number().default(100),
});

type Model = WordModel & { readonly vocabulary: Vocabulary };

export class Pipeline {
  readonly #normalize: Normalize;
  readonly #preTokenize: PreTokenize;
  readonly #model: Model;
  readonly #postProcess: ReturnType<typeof postProcessorOf>;
  readonly #decode: Decode;
  /** Added tokens to find in the original text, and those to find in the normalized text. */
  readonly #raw: AddedTokens;
  readonly #normalized: AddedTokens;
  readonly #added: ReadonlyMap<number, string>;
  readonly #special: ReadonlySet<string>;

  /**
   * @param definition a parsed tokenizer.json
   * @param special further tokens that decoding leaves out
   * @throws Error that names the missing or unsupported part.
   */
  constructor(definition: unknown, special: readonly string[]) {
    const { added_tokens, normalizer, pre_tokenizer, post_processor, decoder, model } = fields.parse(definition);
    const added = added_tokens ?? [];
    this.#normalize = normalizerOf(normalizer);
    this.#preTokenize = preTokenizerOf(pre_tokenizer);
    this.#model = modelOf(model);
    this.#postProcess = postProcessorOf(post_processor);
    this.#decode = decoderOf(decoder);
    const isNormalized = ({ normalized, special }: (typeof added)[number]): boolean => normalized ?? !special;
    this.#raw = new AddedTokens(
      added.filter((token) => !isNormalized(token)),
      (content) => content,
    );
    this.#normalized = new AddedTokens(added.filter(isNormalized), this.#normalize);
    this.#added = new Map(added.map(({ id, content }) => [id, content]));
    this.#special = new Set([...special, ...added.filter((token) => token.special).map(({ content }) => content)]);
  }

  /**
   * Ids of a text. Half of a surrogate pair counts as U+FFFD. A character that the vocabulary lacks gives no
   * id if there is no unknown token.
   * @param addSpecialTokens adds the special tokens of the post-processor, such as a beginning-of-sequence
   *   token
   */
  encode(text: string, addSpecialTokens: boolean): number[] {
    const whole = text.toWellFormed();
    const ids: number[] = [];
    for (const section of this.#raw.split(whole)) {
      if (section.id !== undefined) ids.push(section.id);
      else this.#encodeSection(whole, section, ids);
    }
    return addSpecialTokens ? [...this.#postProcess(ids)] : ids;
  }

  #encodeSection(whole: string, { from, to }: Section, ids: number[]): void {
    const text = this.#normalize(whole.slice(from, to));
    const begins = from === 0 && this.#normalize(String.fromCodePoint(whole.codePointAt(0) ?? 0)) !== '';
    for (const section of this.#normalized.split(text)) {
      if (section.id !== undefined) {
        ids.push(section.id);
        continue;
      }
      const atStart = begins && section.from === 0;
      const pieces = this.#preTokenize({ texts: [text.slice(section.from, section.to)], atStart });
      for (const word of pieces.texts) {
        for (const id of this.#model.encode(word)) ids.push(id);
      }
    }
  }

  /** Text of all ids, spaces unchanged. Ids without a token are skipped. */
  decode(ids: readonly number[]): string {
    return this.#decode(ids.flatMap((id) => this.tokenOf(id) ?? [])).join('');
  }

  tokenOf(id: number): string | undefined {
    return this.#added.get(id) ?? this.#model.vocabulary.tokens[id];
  }

  isSpecial(token: string): boolean {
    return this.#special.has(token);
  }
}

/** Old files do not state the type of their model: the type follows from the fields. */
function modelOf(model: z.infer<typeof fields>['model']): Model {
  const { type } = model;
  if (type === 'Unigram' || (type === undefined && Array.isArray(model['vocab'])))
    return new Unigram(unigramFields.parse(model));
  if (type === 'BPE' || (type === undefined && 'merges' in model)) return new Bpe(bpeFields.parse(model));
  if (type === 'WordPiece' || (type === undefined && 'max_input_chars_per_word' in model)) return wordPieceOf(model);
  const problem = type === undefined ? 'is missing' : `${JSON.stringify(type)} is not supported`;
  throw new Error(`model.type ${problem}; allowed: BPE, Unigram, WordPiece`);
}

function wordPieceOf(model: object): Model {
  const { vocab, ...rest } = wordPieceFields.parse(model);
  const vocabulary = vocabularyOf(Object.entries(vocab));
  const library = new WordPiece({ type: 'WordPiece', vocab, ...rest });
  return { vocabulary, encode: (word) => library.encode([word]).flatMap((token) => vocabulary.idOf.get(token) ?? []) };
}

/**
 * The encoding half of a tokenizer.json: added tokens, normalizer, pre-tokenizer, model, post-processor.
 * The stages run in the order of the Rust library (`tokenizer/mod.rs`, `added_vocabulary.rs`). Pure.
 */
import { finished, type Steps } from '../../protocol/start/slices.ts';
import { AddedTokens, type Section } from './added-tokens.ts';
import type { Definition } from './definition.ts';
import { EncodeError, MAX_STAGE_UNITS } from './encode-error.ts';
import { leastTokensOf } from './least-tokens.ts';
import { type Model, modelOf } from './models/model.ts';
import { MAX_TOKEN_UNITS } from './stages/decoder-growth.ts';
import { type Normalize, normalizerOf } from './stages/normalizers.ts';
import { type Frame, frameOf } from './stages/post-processor.ts';
import { preTokenizerOf } from './stages/pre-tokenizers.ts';
import type { PreTokenize } from './stages/split.ts';

/** Limits of one encoding. */
export interface EncodeLimits {
  /**
   * UTF-16 units that the normalizer may make of all sections of a text together, and as many that the
   * pre-tokenizer may make.
   */
  readonly units: number;
  /** Most tokens that the caller can use. */
  readonly tokens: number;
}
const MAX_ENCODE: EncodeLimits = { units: MAX_STAGE_UNITS, tokens: Number.POSITIVE_INFINITY };
/**
 * UTF-16 units of all added tokens together in their normalized form. The longest known list has 20 000.
 */
const MAX_ADDED_UNITS = 2 ** 24;

export class Pipeline {
  readonly model: Model;
  readonly #normalize: Normalize;
  readonly #preTokenize: PreTokenize;
  readonly #frame: Frame;
  /** Added tokens to find in the original text, and those to find in the normalized text. */
  readonly #raw: AddedTokens;
  readonly #normalized: AddedTokens;
  readonly #leastTokens: (text: string, most: number) => number;
  /** UTF-16 units of the longest added token, in the form that is searched for. */
  readonly longestAdded: number;

  private constructor(definition: Definition, { model, normalize, raw, normalized }: Parts) {
    const { pre_tokenizer, post_processor } = definition;
    this.model = model;
    this.#normalize = normalize;
    this.#preTokenize = preTokenizerOf(pre_tokenizer);
    this.#frame = frameOf(post_processor);
    this.#raw = raw;
    this.#normalized = normalized;
    this.longestAdded = Math.max(raw.longest, normalized.longest);
    this.#leastTokens = this.#frame.hasText ? leastTokensOf(definition, model.vocabulary, this.longestAdded) : () => 0;
  }

  /** @throws Error that names the missing or unsupported part. */
  static *steps(definition: Definition): Steps<Pipeline> {
    const { added_tokens, normalizer } = definition;
    const added = added_tokens ?? [];
    const normalize = normalizerOf(normalizer);
    const isNormalized = ({ normalized, special }: (typeof added)[number]): boolean => normalized ?? !special;
    const originals = added.filter((token) => !isNormalized(token));
    const model = yield* modelOf(definition.model);
    const raw = yield* AddedTokens.of(originals, (content) => content);
    let left = MAX_ADDED_UNITS;
    const normalized = yield* AddedTokens.of(added.filter(isNormalized), (content) => {
      const text = normalizedToken(content, normalize, left);
      left -= text.length;
      return text;
    });
    return new Pipeline(definition, { model, normalize, raw, normalized });
  }

  /** All steps at once. @throws as `steps` */
  static of(definition: Definition): Pipeline {
    return finished(Pipeline.steps(definition));
  }

  /**
   * Ids of a text. Half of a surrogate pair counts as U+FFFD. A character that the vocabulary lacks gives no
   * id if there is no unknown token.
   * @param addSpecialTokens adds the special tokens of the post-processor, such as a beginning-of-sequence
   *   token
   * @throws EncodeError `too_long` if the text has more than twice the tokens that the caller can use. Up to
   *   there it is encoded, so that the caller learns the exact number.
   */
  encode(text: string, addSpecialTokens: boolean, limits: EncodeLimits = MAX_ENCODE): number[] {
    this.checkFits(text, limits.tokens);
    const whole = text.toWellFormed();
    const ids: number[] = [];
    const encoding = { ids, limits, normalizable: limits.units, divisible: limits.units };
    for (const section of this.#raw.split(whole)) {
      if (section.id !== undefined) push(ids, [section.id], limits);
      else this.#encodeSection(whole, section, encoding);
    }
    if (!addSpecialTokens) return ids;
    const { before, after, hasText } = this.#frame;
    return [...before, ...(hasText ? ids : []), ...after];
  }

  /**
   * Refuses a text that certainly has too many tokens, without encoding it.
   * @throws EncodeError `too_long` with a number that the text certainly has
   */
  checkFits(text: string, tokens: number): void {
    const least = this.#leastTokens(text, tokens);
    if (least > 0) throw tooLong(least);
  }

  #encodeSection(whole: string, { from, to }: Section, encoding: Encoding): void {
    const { ids, limits } = encoding;
    const text = this.#normalize(whole.slice(from, to), encoding.normalizable);
    encoding.normalizable -= text.length;
    const first = (): string => this.#normalize(String.fromCodePoint(whole.codePointAt(0) ?? 0), limits.units);
    const begins = from === 0 && first() !== '';
    for (const section of this.#normalized.split(text)) {
      if (section.id !== undefined) {
        push(ids, [section.id], limits);
        continue;
      }
      const atStart = begins && section.from === 0;
      const texts = [text.slice(section.from, section.to)];
      const pieces = this.#preTokenize({ texts, atStart }, encoding.divisible);
      for (const word of pieces.texts) {
        encoding.divisible -= word.length;
        push(ids, this.model.encode(word), limits);
      }
    }
  }
}

/** The parts of a pipeline that take long to make. */
interface Parts {
  readonly model: Model;
  readonly normalize: Normalize;
  readonly raw: AddedTokens;
  readonly normalized: AddedTokens;
}

/** An added token as it is searched for. A search takes text × token. */
function normalizedToken(content: string, normalize: Normalize, left: number): string {
  try {
    return normalize(content, Math.min(left, MAX_TOKEN_UNITS));
  } catch (error) {
    if (!(error instanceof EncodeError)) throw error;
    const all = `${MAX_TOKEN_UNITS} characters of an added token, or ${MAX_ADDED_UNITS} of all`;
    throw new Error(`the normalizer makes more than ${all}: use another model`);
  }
}

/** The ids so far of one encoding, and its limits. */
interface Encoding {
  readonly ids: number[];
  readonly limits: EncodeLimits;
  /** UTF-16 units that the normalizer may still make. */
  normalizable: number;
  /** UTF-16 units that the pre-tokenizer may still make. */
  divisible: number;
}

function push(ids: number[], more: readonly number[], { tokens }: EncodeLimits): void {
  for (const id of more) ids.push(id);
  if (ids.length > 2 * tokens) throw tooLong(ids.length);
}

function tooLong(least: number): EncodeError {
  return new EncodeError('too_long', `the text has at least ${least} tokens`, least);
}

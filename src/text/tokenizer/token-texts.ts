/**
 * The decoding half of a tokenizer.json: ids → text. Runs on the event loop for every token, so every file
 * whose decoding could take long is refused when it is opened. Pure.
 */
import type { Definition } from './definition.ts';
import type { Vocabulary } from './models/vocabulary.ts';
import { checkDecoder } from './stages/decoder-growth.ts';
import { type Decode, decoderOf } from './stages/decoders.ts';
import { addedBytes, byteForms, formOfText, type TokenForm } from './token-form.ts';

export class TokenTexts {
  readonly #vocabulary: Vocabulary;
  readonly #decode: Decode;
  readonly #added: ReadonlyMap<number, string>;
  readonly #special: ReadonlySet<string>;
  readonly #byteForm: (token: string) => TokenForm | undefined;
  readonly #addedBytes: (token: string) => ArrayLike<number> | undefined;

  /** @throws Error if the decoder is unsupported, or could make a long text of one token */
  constructor({ added_tokens, decoder }: Definition, vocabulary: Vocabulary) {
    const added = added_tokens ?? [];
    checkDecoder(
      decoder,
      added.reduce((longest, { content }) => Math.max(longest, content.length), vocabulary.longest),
    );
    this.#vocabulary = vocabulary;
    this.#decode = decoderOf(decoder);
    this.#byteForm = byteForms(decoder);
    this.#addedBytes = addedBytes(decoder);
    this.#added = new Map(added.map(({ id, content }) => [id, content]));
    this.#special = new Set(added.filter((token) => token.special).map(({ content }) => content));
  }

  /** Text of all ids, spaces unchanged. Ids without a token are skipped. */
  decode(ids: readonly number[]): string {
    return this.#decode(ids.flatMap((id) => this.tokenOf(id) ?? [])).join('');
  }

  tokenOf(id: number): string | undefined {
    return this.#added.get(id) ?? this.#vocabulary.tokens[id];
  }

  /** The special tokens: id → text. */
  get special(): ReadonlyMap<number, string> {
    return new Map([...this.#added].filter(([, content]) => this.#special.has(content)));
  }

  /** Text and bytes of one id by itself; a special token has its name as its text. */
  formOf(id: number): TokenForm {
    const token = this.tokenOf(id) ?? '';
    if (this.isSpecial(token)) return formOfText(token);
    return this.#byteForm(token) ?? formOfText(this.#textWithin(id));
  }

  /**
   * The exact bytes that an id adds to a text, also of a part of a character; undefined for special tokens,
   * and for ids without a token or without text.
   */
  bytesOf(id: number): ArrayLike<number> | undefined {
    const token = this.tokenOf(id);
    if (token === undefined || this.isSpecial(token)) return undefined;
    const bytes = this.#addedBytes(token) ?? this.formOf(id).bytes;
    return bytes.length === 0 ? undefined : bytes;
  }

  /** Text that an id adds to a text before it: decoders may strip the first space of a text. */
  #textWithin(id: number): string {
    return this.decode([id, id]).slice(this.decode([id]).length);
  }

  isSpecial(token: string): boolean {
    return this.#special.has(token);
  }
}

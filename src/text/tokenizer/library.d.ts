/**
 * The parts of @huggingface/tokenizers that are used here. Its own types name their files without extensions, so that they mean nothing
 * to a strict ES module.
 */
declare module '@huggingface/tokenizers' {
  type Fields = Readonly<Record<string, unknown>>;

  /** The whole of it: used by tests only, as a second opinion. */
  export class Tokenizer {
    constructor(tokenizer: object, config: object);
    encode(text: string, options?: Fields): { readonly ids: number[] };
    decode(ids: readonly number[], options?: Fields): string;
  }
  export class SplitPreTokenizer {
    constructor(fields: Fields);
    /** Null: the pattern is neither a text nor an expression. */
    readonly pattern: RegExp | null;
  }
  export class BertNormalizer {
    constructor(fields: Fields);
    normalize(text: string): string;
  }
  export class WordPiece {
    constructor(fields: Fields);
    encode(words: readonly string[]): string[];
  }
  export class WordPieceDecoder {
    constructor(fields: Fields);
    decode_chain(tokens: readonly string[]): string[];
  }
  export class CTCDecoder {
    constructor(fields: Fields);
    decode_chain(tokens: readonly string[]): string[];
  }
}

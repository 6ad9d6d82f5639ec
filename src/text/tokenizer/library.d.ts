/**
 * Types of @huggingface/tokenizers, as far as this project uses them. The package's own types import files
 * without extensions, which a strict ES module cannot resolve.
 */
declare module '@huggingface/tokenizers' {
  type Fields = Readonly<Record<string, unknown>>;

  /** The complete tokenizer. Only tests use it, as a second reference. */
  export class Tokenizer {
    constructor(tokenizer: object, config: object);
    encode(text: string, options?: Fields): { readonly ids: number[] };
    decode(ids: readonly number[], options?: Fields): string;
  }
  export class SplitPreTokenizer {
    constructor(fields: Fields);
    /** Null if the pattern is neither a string nor an expression. */
    readonly pattern: RegExp | null;
  }
  export class BertNormalizer {
    constructor(fields: Fields);
    normalize(text: string): string;
    /** Called by `normalize`. */
    strip_accents(text: string): string;
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

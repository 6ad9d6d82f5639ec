/**
 * Typed access to the metadata of a GGUF file that describe its tokenizer. A value of another type, of
 * another length or out of range is refused with the key, the value and the allowed values. Pure.
 */
import { quoted, shown } from '../../families/unsupported.ts';
import type { Metadata, MetadataValue } from '../gguf-file.ts';

/** The last part of each sentence: a tokenizer.json replaces everything that the metadata state. */
const OWN_TOKENIZER = 'Put the tokenizer.json of the model beside the file';
/** The same for a value that a tokenizer.json does not replace. */
const OTHER_FILE = 'Use another GGUF file of the model';

/** Prefix of the keys of a tokenizer. */
const GGML = 'tokenizer.ggml.';
export const KEYS = {
  model: `${GGML}model`,
  pre: `${GGML}pre`,
  tokens: `${GGML}tokens`,
  types: `${GGML}token_type`,
  scores: `${GGML}scores`,
  merges: `${GGML}merges`,
  addBos: `${GGML}add_bos_token`,
  addEos: `${GGML}add_eos_token`,
  addSep: `${GGML}add_sep_token`,
  addSpacePrefix: `${GGML}add_space_prefix`,
  removeExtraSpaces: `${GGML}remove_extra_whitespaces`,
} as const;

/** Key of the id of a special token: `bos`, `eos`, `eot` … */
export const idKey = (name: string): string => `${GGML}${name}_token_id`;

/** The id of no token in llama.cpp, -1 as uint32. Some converters write it (llama2.c). */
const NO_TOKEN = 2 ** 32 - 1;

/** An array of numbers of any type. */
export type Numbers = ArrayLike<number>;

/**
 * The metadata describe a tokenizer that the worker does not compute. The message continues a sentence that
 * begins with the name of the file.
 */
export class UnsupportedTokenizer extends Error {
  override readonly name = 'UnsupportedTokenizer';
}

/** @throws UnsupportedTokenizer; `text` continues a sentence that begins with the name of the file. */
export function refuse(text: string, wayOut: string = OWN_TOKENIZER): never {
  throw new UnsupportedTokenizer(`${text}. ${wayOut}`);
}

export class TokenizerMetadata {
  readonly #metadata: Metadata;

  constructor(metadata: Metadata) {
    this.#metadata = metadata;
  }

  /** The value of a key; undefined if the file lacks it. */
  value(key: string): MetadataValue | undefined {
    return this.#metadata.get(key);
  }

  text(key: string): string | undefined {
    const value = this.value(key);
    return value === undefined || typeof value === 'string' ? value : this.#refuseType(key, 'a text');
  }

  flag(key: string): boolean | undefined {
    const value = this.value(key);
    return value === undefined || typeof value === 'boolean' ? value : this.#refuseType(key, 'true, false');
  }

  number(key: string): number | undefined {
    const value = this.value(key);
    return value === undefined || typeof value === 'number' ? value : this.#refuseType(key, 'a number', OTHER_FILE);
  }

  /** A list of texts, which may be empty. */
  texts(key: string, most: number): readonly string[] | undefined {
    const value = this.value(key);
    if (value === undefined) return undefined;
    if (!isTexts(value)) return this.#refuseType(key, 'a list of texts');
    if (value.length > most) refuse(`has ${value.length} elements in ${quoted(key)}; allowed: at most ${most}`);
    return value;
  }

  /** A list of numbers with an element for each token. */
  numbers(key: string, tokens: number): Numbers | undefined {
    const value = this.value(key);
    if (value === undefined) return undefined;
    if (!isNumbers(value)) return this.#refuseType(key, 'a list of numbers of at most 32 bits, or of float64');
    if (value.length !== tokens)
      refuse(
        `has ${value.length} elements in ${quoted(key)}; allowed: ${tokens}, the length of ${quoted(KEYS.tokens)}`,
      );
    return value;
  }

  /** The id of a special token; undefined if the file has none. */
  id(name: string, tokens: number): number | undefined {
    const key = idKey(name);
    const value = this.value(key);
    if (value === undefined || value === NO_TOKEN) return undefined;
    if (typeof value === 'number' && Number.isInteger(value) && value >= 0 && value < tokens) return value;
    return this.#refuseType(key, `an id from 0 to ${tokens - 1}`, OTHER_FILE);
  }

  #refuseType(key: string, allowed: string, wayOut?: string): never {
    const value = this.value(key);
    const text = typeof value === 'bigint' ? String(value) : isList(value) ? `a list of ${value.length}` : shown(value);
    return refuse(`has ${quoted(key)} ${text}; allowed: ${allowed}`, wayOut);
  }
}

function isList(value: unknown): value is { readonly length: number } {
  return Array.isArray(value) || ArrayBuffer.isView(value);
}

function isTexts(value: MetadataValue): value is readonly string[] {
  return Array.isArray(value) && value.every((one) => typeof one === 'string');
}

function isNumbers(value: MetadataValue): value is Extract<MetadataValue, Int32Array | Float32Array> {
  return ArrayBuffer.isView(value) && !(value instanceof BigInt64Array) && !(value instanceof BigUint64Array);
}

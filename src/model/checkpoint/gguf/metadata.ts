/**
 * Reads the metadata of a GGUF file: keys with values of 13 types. Bounds each length before it reads the
 * value, and refuses a key that occurs twice.
 */
import { BrokenCheckpoint, quoted } from '../safetensors.ts';
import type { Metadata, MetadataArray, MetadataValue } from './gguf-file.ts';
import { GGUF_LIMITS, type GgufBudget, type HeaderBytes, MOST_AT_ONCE } from './header-bytes.ts';

const STRING = 8;
const ARRAY = 9;
const BOOL = 7;
/** Keys whose texts must be UTF-8: a replaced character would be another token. */
const EXACT = 'tokenizer.';
/** Longest key with its length and the type of its value, and the longest number. */
const AHEAD = 8 + GGUF_LIMITS.name + 4 + 8;
/** Least bytes of an entry: an empty key, a type and a value of one byte. */
const LEAST_ENTRY = 8 + 4 + 1;
/** Type and number of elements in front of an array. */
const ARRAY_HEAD = 12;
/** Length in front of a text. */
const LENGTH = 8;

type NumberReader = (bytes: HeaderBytes) => number | bigint;
type NumberArray = new (buffer: ArrayBuffer) => Exclude<MetadataArray, readonly unknown[]>;

interface NumberKind {
  readonly bytes: number;
  readonly read: NumberReader;
  readonly list: NumberArray;
}

/** Types of numbers, by their numbers in a file. A boolean is a byte, and is checked apart. */
const NUMBERS: ReadonlyMap<number, NumberKind> = new Map<number, NumberKind>([
  [0, { bytes: 1, read: (from) => from.uint8(), list: Uint8Array }],
  [1, { bytes: 1, read: (from) => from.int8(), list: Int8Array }],
  [2, { bytes: 2, read: (from) => from.uint16(), list: Uint16Array }],
  [3, { bytes: 2, read: (from) => from.int16(), list: Int16Array }],
  [4, { bytes: 4, read: (from) => from.uint32(), list: Uint32Array }],
  [5, { bytes: 4, read: (from) => from.int32(), list: Int32Array }],
  [6, { bytes: 4, read: (from) => from.float32(), list: Float32Array }],
  [BOOL, { bytes: 1, read: (from) => from.uint8(), list: Uint8Array }],
  [10, { bytes: 8, read: (from) => from.uint64(), list: BigUint64Array }],
  [11, { bytes: 8, read: (from) => from.int64(), list: BigInt64Array }],
  [12, { bytes: 8, read: (from) => from.float64(), list: Float64Array }],
]);

/**
 * Reads the keys and their values.
 * @throws BrokenCheckpoint for an entry that is damaged or beyond the limits
 */
export async function readMetadata(bytes: HeaderBytes, entries: number, budget: GgufBudget): Promise<Metadata> {
  if (entries > GGUF_LIMITS.entries)
    throw new BrokenCheckpoint(`has ${entries} entries of metadata; at most ${GGUF_LIMITS.entries} are allowed`);
  bytes.expect(entries * LEAST_ENTRY);
  const metadata = new Map<string, MetadataValue>();
  for (let entry = 0; entry < entries; entry++) {
    if (!bytes.has(AHEAD)) await bytes.ahead(AHEAD);
    const key = nameFrom(bytes, 'a key of its metadata');
    if (metadata.has(key)) throw new BrokenCheckpoint(`is damaged: its metadata has two ${quoted(key)}`);
    const type = bytes.uint32();
    metadata.set(key, await new ValueReader(key, bytes, budget).value(type));
  }
  return metadata;
}

/** A key, or the name of a tensor, whose bytes are in memory. */
export function nameFrom(bytes: HeaderBytes, subject: string): string {
  const length = bytes.count();
  if (length > GGUF_LIMITS.name)
    throw new BrokenCheckpoint(`is damaged: ${subject} has ${length} bytes; at most ${GGUF_LIMITS.name} are allowed`);
  const name = bytes.text(length, true);
  if (name === undefined) throw new BrokenCheckpoint(`is damaged: ${subject} is not UTF-8`);
  return name;
}

/** Reads the value of one key. */
class ValueReader {
  readonly #key: string;
  readonly #bytes: HeaderBytes;
  readonly #budget: GgufBudget;

  constructor(key: string, bytes: HeaderBytes, budget: GgufBudget) {
    this.#key = key;
    this.#bytes = bytes;
    this.#budget = budget;
  }

  async value(type: number): Promise<MetadataValue> {
    if (type === STRING) return await this.#text();
    if (type === ARRAY) return await this.#array(0);
    const value = this.#kind(type).read(this.#bytes);
    return type === BOOL ? this.#flag(Number(value)) : value;
  }

  async #array(depth: number): Promise<MetadataArray> {
    const bytes = this.#bytes;
    await bytes.ahead(ARRAY_HEAD);
    const [type, count] = [bytes.uint32(), bytes.count()];
    this.#budget.elements -= count;
    if (this.#budget.elements < 0)
      throw this.#fault(`exceeds the limit of ${GGUF_LIMITS.elements} elements for the arrays of a model`);
    if (type === STRING) return await this.#texts(count);
    if (type === ARRAY) return await this.#arrays(count, depth + 1);
    const { bytes: size, list: List } = this.#kind(type);
    const content = await bytes.copy(count * size);
    if (type === BOOL) for (const one of content) this.#flag(one);
    return new List(content.buffer);
  }

  /** Waits only where the bytes are not in memory: a vocabulary has half a million texts. */
  async #texts(count: number): Promise<string[]> {
    const bytes = this.#bytes;
    bytes.expect(count * LENGTH);
    const texts: string[] = [];
    for (let at = 0; at < count; at++) {
      if (!bytes.has(LENGTH)) await bytes.ahead(LENGTH);
      const length = this.#length();
      texts.push(
        bytes.has(length) && length <= MOST_AT_ONCE ? this.#decoded(length, at) : await this.#long(length, at),
      );
    }
    return texts;
  }

  async #text(): Promise<string> {
    await this.#bytes.ahead(LENGTH);
    return await this.#long(this.#length());
  }

  #length(): number {
    const length = this.#bytes.count();
    if (length > GGUF_LIMITS.text) throw this.#fault(`has a text of more than ${GGUF_LIMITS.text} bytes`);
    return length;
  }

  /**
   * A text that may not be in memory.
   * @param at index in an array
   */
  async #long(length: number, at?: number): Promise<string> {
    if (length > MOST_AT_ONCE) return this.#checked(await this.#bytes.longText(length, this.#isExact), at);
    await this.#bytes.ahead(length);
    return this.#decoded(length, at);
  }

  #decoded(length: number, at?: number): string {
    return this.#checked(this.#bytes.text(length, this.#isExact), at);
  }

  get #isExact(): boolean {
    return this.#key.startsWith(EXACT);
  }

  #checked(text: string | undefined, at?: number): string {
    if (text === undefined) throw this.#fault(`${at === undefined ? '' : `has the text ${at}, which `}is not UTF-8`);
    return text;
  }

  async #arrays(count: number, depth: number): Promise<MetadataArray[]> {
    if (depth > GGUF_LIMITS.depth) throw this.#fault(`nests deeper than ${GGUF_LIMITS.depth} levels`);
    this.#budget.nested -= count;
    if (this.#budget.nested < 0) throw this.#fault(`has more than ${GGUF_LIMITS.nested} arrays inside of arrays`);
    this.#bytes.expect(count * ARRAY_HEAD);
    const arrays: MetadataArray[] = [];
    for (let at = 0; at < count; at++) arrays.push(await this.#array(depth));
    return arrays;
  }

  #kind(type: number): NumberKind {
    const kind = NUMBERS.get(type);
    if (kind === undefined) throw this.#fault(`has a value of the unknown type ${type}`);
    return kind;
  }

  #flag(value: number): boolean {
    if (value > 1) throw this.#fault(`has the boolean ${value}; allowed: 0 and 1`);
    return value === 1;
  }

  #fault(fault: string): BrokenCheckpoint {
    return new BrokenCheckpoint(`is damaged: ${quoted(this.#key)} in its metadata ${fault}`);
  }
}

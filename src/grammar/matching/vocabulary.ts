/**
 * The tokens of a model as bytes, prepared for masks. The worker builds the data, the engine uses it. Pure.
 */
import { type ByteStrings, type ByteTrie, buildTrie } from './byte-trie.ts';
import { plainChars } from './bytes/text-bytes.ts';

/** Typed arrays that cross the process boundary: about 5 MB for 128 k tokens. */
export interface VocabularyData {
  /** Number of ids. */
  readonly size: number;
  /** The bytes of each token; empty for ids that a grammar never allows by their text. */
  readonly texts: ByteStrings;
  /** All tokens with a text. */
  readonly trie: ByteTrie;
  /** The tokens that can leave a string of JSON, or that do not begin at a character. */
  readonly special: ByteTrie;
  /** For ids with equal texts: the id before it; -1 for the first. */
  readonly same: Int32Array;
  /** All other tokens, which stay inside of any string: those with the fewest characters first. */
  readonly plain: Int32Array;
  /** Number of plain tokens with at most this many characters. */
  readonly plainEnds: Int32Array;
}

/** Tokens between two rests of the preparation. */
const TOKENS_IN_TURN = 256;
/** Longer tokens are never allowed: no model has them, and the trie counts depths in 16 bits. */
const MAX_TOKEN_BYTES = 4_096;

/**
 * Prepares a vocabulary. Yields about every half a millisecond.
 * @param size number of ids
 * @param bytesOf the bytes that an id adds to a text; undefined for special tokens and ids without a text
 */
export function* buildVocabulary(
  size: number,
  bytesOf: (id: number) => ArrayLike<number> | undefined,
): Generator<void, VocabularyData, void> {
  const ends = new Uint32Array(size);
  let bytes = new Uint8Array(8 * size + MAX_TOKEN_BYTES);
  let end = 0;
  const ids: number[] = [];
  const special: number[] = [];
  const plain: number[][] = [];
  for (let id = 0; id < size; id += 1) {
    const text = bytesOf(id);
    if (text && text.length > 0 && text.length <= MAX_TOKEN_BYTES) {
      if (end + text.length > bytes.length) bytes = doubled(bytes);
      bytes.set(text, end);
      end += text.length;
      ids.push(id);
      const chars = plainChars(text);
      if (chars < 0) special.push(id);
      else {
        plain[chars] ??= [];
        plain[chars].push(id);
      }
    }
    ends[id] = end;
    if (id % TOKENS_IN_TURN === 0) yield;
  }
  const texts = { bytes: bytes.slice(0, end), ends };
  const same = new Int32Array(size).fill(-1);
  const trie = yield* buildTrie(texts, ids, same);
  const specialTrie = yield* buildTrie(texts, special);
  const lists = Array.from(plain, (list) => list ?? []);
  let sum = 0;
  const plainEnds = Int32Array.from(lists, (list) => (sum += list.length));
  return { size, texts, trie, special: specialTrie, same, plain: Int32Array.from(lists.flat()), plainEnds };
}

function doubled(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const wider = new Uint8Array(2 * bytes.length);
  wider.set(bytes);
  return wider;
}

export class Vocabulary {
  readonly data: VocabularyData;
  /** Words of a bit set of all ids. */
  readonly words: number;
  readonly #plainBits: Uint32Array;

  constructor(data: VocabularyData) {
    this.data = data;
    this.words = Math.ceil(data.size / 32);
    this.#plainBits = new Uint32Array(this.words);
    for (const id of data.plain) addBit(this.#plainBits, id);
  }

  /** The bytes of a token. Empty if it has no text. */
  bytesOf(id: number): Uint8Array {
    const { bytes, ends } = this.data.texts;
    return bytes.subarray(id === 0 ? 0 : (ends[id - 1] ?? 0), ends[id] ?? 0);
  }

  /**
   * Sets the bits of the tokens that stay inside of a string with at most this many more characters.
   * @returns how many they are
   */
  addPlain(bits: Uint32Array, chars: number): number {
    const { plain, plainEnds } = this.data;
    const count = chars >= plainEnds.length ? plain.length : (plainEnds[chars] ?? 0);
    if (2 * count < plain.length) for (let at = 0; at < count; at += 1) addBit(bits, plain[at] ?? 0);
    else {
      for (let word = 0; word < bits.length; word += 1) bits[word] = (bits[word] ?? 0) | (this.#plainBits[word] ?? 0);
      // The others are few, and a state that allows plain characters allows no longer ones.
      for (let at = count; at < plain.length; at += 1) removeBit(bits, plain[at] ?? 0);
    }
    return count;
  }

  /** The longest token that this text begins with; -1 if there is none. */
  longestIn(text: Uint8Array): number {
    const { bytes, depths, skips, ids } = this.data.trie;
    let best = -1;
    for (let at = 0, depth = 0; at < bytes.length && depths[at] === depth; ) {
      if (bytes[at] !== text[depth]) {
        at = skips[at] ?? bytes.length;
        continue;
      }
      const id = ids[at] ?? -1;
      if (id >= 0) best = id;
      at += 1;
      depth += 1;
    }
    return best;
  }
}

export const addBit = (bits: Uint32Array, id: number): void => {
  bits[id >>> 5] = (bits[id >>> 5] ?? 0) | (1 << (id & 31));
};
export const removeBit = (bits: Uint32Array, id: number): void => {
  bits[id >>> 5] = (bits[id >>> 5] ?? 0) & ~(1 << (id & 31));
};
export const hasBit = (bits: Uint32Array, id: number): boolean => (((bits[id >>> 5] ?? 0) >>> (id & 31)) & 1) === 1;

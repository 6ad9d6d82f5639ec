/**
 * The tokens of a model as bytes, prepared for masks. The worker builds the data, the engine uses it. Pure.
 */
import { type ByteStrings, type ByteTrie, buildTrie } from './byte-trie.ts';
import { wayInString } from './bytes/text-bytes.ts';

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
  /** Those of them that have a backslash before the first quote. */
  readonly escaped: ByteTrie;
  /** Those of them that have plain characters before a quote. */
  readonly endings: TokenEndings;
  /** For ids with equal texts: the id before it; -1 for the first. */
  readonly same: Int32Array;
  /** All other tokens, which stay inside of any string: those with the fewest characters first. */
  readonly plain: Int32Array;
  /** Number of plain tokens with at most this many characters. */
  readonly plainEnds: Int32Array;
}

/** Tokens that end a string of JSON: plain characters, a quote, and possibly more. */
export interface TokenEndings {
  /** The texts from the quote on. Its ids are indices of `tokens`. */
  readonly trie: ByteTrie;
  /** For indices of equal texts: the index before it; -1 for the first. */
  readonly same: Int32Array;
  readonly tokens: Int32Array;
  /** Characters of each token before the quote. */
  readonly chars: Int32Array;
}

/** Tokens between two rests of the preparation. */
const TOKENS_IN_TURN = 256;
/** Longer tokens are never allowed: no model has them, and a walk makes a call for each byte of a token. */
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
  const parts = new Parts();
  for (let id = 0; id < size; id += 1) {
    const text = bytesOf(id);
    if (text && text.length > 0 && text.length <= MAX_TOKEN_BYTES) {
      if (end + text.length > bytes.length) bytes = doubled(bytes);
      bytes.set(text, end);
      end += text.length;
      ids.push(id);
      parts.add(id, text);
    }
    ends[id] = end;
    if (id % TOKENS_IN_TURN === 0) yield;
  }
  const texts = { bytes: bytes.slice(0, end), ends };
  const same = new Int32Array(size).fill(-1);
  const trie = yield* buildTrie(texts, ids, same);
  const special = yield* buildTrie(texts, parts.special);
  const escaped = yield* buildTrie(texts, parts.escaped);
  return { size, texts, trie, special, escaped, endings: yield* parts.endings(), same, ...parts.plain() };
}

/** The tokens by their way through a string of JSON. */
class Parts {
  readonly special: number[] = [];
  readonly escaped: number[] = [];
  readonly #plain: number[][] = [];
  readonly #endings: { readonly id: number; readonly chars: number; readonly rest: ArrayLike<number> }[] = [];

  add(id: number, text: ArrayLike<number>): void {
    const { kind, chars, bytes } = wayInString(text);
    if (kind === 'plain') {
      this.#plain[chars] ??= [];
      this.#plain[chars].push(id);
      return;
    }
    this.special.push(id);
    if (kind === 'escapes') this.escaped.push(id);
    if (kind === 'ends') this.#endings.push({ id, chars, rest: Array.from(text).slice(bytes) });
  }

  plain(): Pick<VocabularyData, 'plain' | 'plainEnds'> {
    const lists = Array.from(this.#plain, (list) => list ?? []);
    let sum = 0;
    const plainEnds = Int32Array.from(lists, (list) => (sum += list.length));
    return { plain: Int32Array.from(lists.flat()), plainEnds };
  }

  *endings(): Generator<void, TokenEndings, void> {
    const all = this.#endings;
    let sum = 0;
    const ends = Uint32Array.from(all, ({ rest }) => (sum += rest.length));
    const bytes = Uint8Array.from(all.flatMap(({ rest }) => Array.from(rest)));
    const same = new Int32Array(all.length).fill(-1);
    const trie = yield* buildTrie({ bytes, ends }, [...all.keys()], same);
    return {
      trie,
      same,
      tokens: Int32Array.from(all, ({ id }) => id),
      chars: Int32Array.from(all, ({ chars }) => chars),
    };
  }
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
    const { bytes, children, ids } = this.data.trie;
    let best = -1;
    let node = 0;
    for (const byte of text) {
      const end = children[node + 1] ?? 0;
      let child = children[node] ?? end;
      while (child < end && bytes[child] !== byte) child += 1;
      if (child === end) break;
      const id = ids[child] ?? -1;
      if (id >= 0) best = id;
      node = child;
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

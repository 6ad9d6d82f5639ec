/** A mask, and a mask while it is computed. Pure. */
import { addBit, hasBit, type Vocabulary } from './vocabulary.ts';

/** The ids that may come next: a list in ascending order if they are few, otherwise a set of bits. */
export type Mask = { readonly ids: Int32Array } | { readonly bits: Uint32Array };

/** Masks of at most this many ids are lists. */
export const MAX_LISTED = 64;

/** A mask while it is computed. */
export class Found {
  readonly left: number;
  count = 0;
  farthest = 0;
  readonly ends: number[] = [];
  /** The most tokens to the end behind a token of the mask, and the fewest behind another one. */
  least = 0;
  beyond = Number.POSITIVE_INFINITY;
  /** Bytes of the longest text of the walk, and the last token that was noted with that many bytes. */
  longest = 0;
  longestId = -1;
  /** Shared with other masks: all bits are 0 before and after. */
  readonly #bits: Uint32Array;
  /** The first ids, in the order of the walk. */
  readonly #ids: number[] = [];

  constructor(scratch: Uint32Array, left: number) {
    this.#bits = scratch;
    this.left = left;
  }

  /**
   * Takes the number of tokens to the end behind a token.
   * @returns true if they are left
   */
  isNear(tokens: number): boolean {
    if (tokens <= this.left) this.least = Math.max(this.least, tokens);
    else this.beyond = Math.min(this.beyond, tokens);
    return tokens <= this.left;
  }

  add(id: number): void {
    if (hasBit(this.#bits, id)) return;
    addBit(this.#bits, id);
    this.count += 1;
    if (this.#ids.length <= MAX_LISTED) this.#ids.push(id);
  }

  /**
   * Notes a token of the walk.
   * @param bytes of its text in the trie
   * @param rest bytes from its state to the end of the text
   */
  reach(id: number, bytes: number, rest: number): void {
    if (bytes >= this.longest) {
      this.longest = bytes;
      this.longestId = id;
    }
    if (rest > this.farthest) this.farthest = rest;
  }

  /** Must be the first addition. */
  addPlain(vocabulary: Vocabulary, chars: number): void {
    this.count = vocabulary.addPlain(this.#bits, chars);
    for (let id = 0; id < vocabulary.data.size && this.#ids.length < Math.min(this.count, MAX_LISTED + 1); id += 1)
      if (hasBit(this.#bits, id)) this.#ids.push(id);
  }

  /** The mask. Clears the shared bits. */
  take(): Mask {
    if (this.count > MAX_LISTED) {
      const bits = this.#bits.slice();
      this.#bits.fill(0);
      return { bits };
    }
    for (const id of this.#ids) this.#bits[id >>> 5] = 0;
    const ids = new Int32Array(this.#ids);
    return { ids: ids.length > 1 ? ids.sort() : ids };
  }
}

/** The ids of a set of bits in ascending order. */
export function idsIn(bits: Uint32Array, count: number): Int32Array {
  const ids = new Int32Array(count);
  let at = 0;
  for (let word = 0; word < bits.length && at < count; word += 1)
    for (let rest = bits[word] ?? 0; rest !== 0; rest &= rest - 1) {
      ids[at] = word * 32 + 31 - Math.clz32(rest & -rest);
      at += 1;
    }
  return ids;
}

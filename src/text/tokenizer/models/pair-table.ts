/**
 * A map from pairs of small numbers to a number: the merges of a BPE vocabulary by their two tokens, the edges of a trie by node and
 * character. Three typed arrays with open addressing, because a Map with made-up keys costs four times the memory and time. Touches nothing.
 */
const EMPTY = -1;
/** The table doubles when it is fuller than half. */
const SLOTS_PER_PAIR = 2;

export class PairTable {
  #left: Int32Array;
  #right: Int32Array;
  #value: Int32Array;
  #mask: number;
  #size = 0;

  /** @param expected pairs that will be put in; more is slower, not wrong. */
  constructor(expected: number) {
    let capacity = 16;
    while (capacity < expected * SLOTS_PER_PAIR) capacity *= 2;
    this.#left = new Int32Array(capacity).fill(EMPTY);
    this.#right = new Int32Array(capacity);
    this.#value = new Int32Array(capacity);
    this.#mask = capacity - 1;
  }

  /** The value of a pair of numbers from 0 to 2³¹ − 1; −1 if it has none. */
  get(left: number, right: number): number {
    const slot = this.#slotOf(left, right);
    return this.#left[slot] === EMPTY ? -1 : (this.#value[slot] ?? -1);
  }

  /** Puts a pair in; a later value wins. */
  set(left: number, right: number, value: number): void {
    const slot = this.#slotOf(left, right);
    if (this.#left[slot] === EMPTY) this.#size += 1;
    this.#left[slot] = left;
    this.#right[slot] = right;
    this.#value[slot] = value;
    if (this.#size * SLOTS_PER_PAIR > this.#mask) this.#grow();
  }

  /** Where a pair is, or would be put. */
  #slotOf(left: number, right: number): number {
    let slot = (Math.imul(left, 0x9e3779b1) ^ Math.imul(right, 0x85ebca6b)) >>> 0;
    slot = (slot ^ (slot >>> 15)) & this.#mask;
    while (this.#left[slot] !== EMPTY && (this.#left[slot] !== left || this.#right[slot] !== right)) {
      slot = (slot + 1) & this.#mask;
    }
    return slot;
  }

  #grow(): void {
    const larger = new PairTable(this.#mask + 1);
    for (let slot = 0; slot <= this.#mask; slot++) {
      const left = this.#left[slot] ?? EMPTY;
      if (left !== EMPTY) larger.set(left, this.#right[slot] ?? 0, this.#value[slot] ?? 0);
    }
    this.#left = larger.#left;
    this.#right = larger.#right;
    this.#value = larger.#value;
    this.#mask = larger.#mask;
  }
}

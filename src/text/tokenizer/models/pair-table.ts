/**
 * Maps a pair of small numbers to a number: BPE merges by their two tokens, trie edges by node and character.
 * Three typed arrays with open addressing: a Map with combined keys costs four times the memory and time.
 * Pure.
 */
const EMPTY = -1;
/** The table grows when more than half of its slots are used. */
const SLOTS_PER_PAIR = 2;

export class PairTable {
  #left: Int32Array;
  #right: Int32Array;
  #value: Int32Array;
  #mask: number;
  #size = 0;

  /** @param expected number of pairs that will be added; more pairs make the table slower, not wrong */
  constructor(expected: number) {
    let capacity = 16;
    while (capacity < expected * SLOTS_PER_PAIR) capacity *= 2;
    this.#left = new Int32Array(capacity).fill(EMPTY);
    this.#right = new Int32Array(capacity);
    this.#value = new Int32Array(capacity);
    this.#mask = capacity - 1;
  }

  /** Value of a pair of numbers from 0 to 2³¹ − 1; −1 if the pair is absent. */
  get(left: number, right: number): number {
    const slot = this.#slotOf(left, right);
    return this.#left[slot] === EMPTY ? -1 : (this.#value[slot] ?? -1);
  }

  /** Adds a pair or replaces its value. */
  set(left: number, right: number, value: number): void {
    const slot = this.#slotOf(left, right);
    if (this.#left[slot] === EMPTY) this.#size += 1;
    this.#left[slot] = left;
    this.#right[slot] = right;
    this.#value[slot] = value;
    if (this.#size * SLOTS_PER_PAIR > this.#mask) this.#grow();
  }

  /** Slot that holds a pair, or the free slot for it. */
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

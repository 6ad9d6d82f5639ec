/**
 * A seeded random generator for one sequence: the same seed gives the same numbers on every platform,
 * whatever other sequences run. xoshiro128** 1.1, seeded by splitmix64: Blackman and Vigna,
 * https://prng.di.unimi.it. Not for cryptography. Pure.
 */

const rotateLeft = (x: number, k: number): number => (x << k) | (x >>> (32 - k));

/**
 * Expands a seed to four 32-bit integers, which are never all zero: two outputs of splitmix64, the low half
 * of each first.
 */
export function splitmix(seed: number): [number, number, number, number] {
  let state = BigInt(seed);
  const next = (): bigint => {
    state = BigInt.asUintN(64, state + 0x9e3779b97f4a7c15n);
    let z = state;
    z = BigInt.asUintN(64, (z ^ (z >> 30n)) * 0xbf58476d1ce4e5b9n);
    z = BigInt.asUintN(64, (z ^ (z >> 27n)) * 0x94d049bb133111ebn);
    return z ^ (z >> 31n);
  };
  const [a, b] = [next(), next()];
  const low = (word: bigint): number => Number(BigInt.asUintN(32, word));
  return [low(a), low(a >> 32n), low(b), low(b >> 32n)];
}

export class Random {
  #a: number;
  #b: number;
  #c: number;
  #d: number;

  /** @param state four 32-bit integers, not all zero. */
  constructor(state: readonly [number, number, number, number]) {
    [this.#a, this.#b, this.#c, this.#d] = state;
  }

  /** @param seed 0 … 2⁵³−1. */
  static seeded(seed: number): Random {
    return new Random(splitmix(seed));
  }

  /** The next integer: 0 … 2³²−1. */
  next(): number {
    const result = Math.imul(rotateLeft(Math.imul(this.#b, 5), 7), 9);
    const shifted = this.#b << 9;
    this.#c ^= this.#a;
    this.#d ^= this.#b;
    this.#b ^= this.#c;
    this.#a ^= this.#d;
    this.#c ^= shifted;
    this.#d = rotateLeft(this.#d, 11);
    return result >>> 0;
  }

  /** A uniform number in [0, 1) with 53 bits, from two integers. */
  uniform(): number {
    const high = this.next() >>> 5;
    const low = this.next() >>> 6;
    return (high * 2 ** 26 + low) / 2 ** 53;
  }
}

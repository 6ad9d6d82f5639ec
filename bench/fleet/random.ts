/** Random numbers with a seed: equal seeds give equal runs on every machine. */

/** The generator sfc32 (Chris Doty-Humphrey), of the suite PractRand. */
export class Random {
  #a: number;
  #b: number;
  #c: number;
  #count = 1;

  constructor(seed: number) {
    this.#a = seed | 0;
    this.#b = Math.imul(seed, 0x9e3779b1) | 0;
    this.#c = 0x1f123bb5;
    // The first numbers of near seeds resemble each other.
    for (let round = 0; round < 16; round += 1) this.next();
  }

  /** From 0, below 1. */
  next(): number {
    const sum = (((this.#a + this.#b) | 0) + this.#count) | 0;
    this.#count = (this.#count + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + sum) | 0;
    return (sum >>> 0) / 2 ** 32;
  }

  /** A whole number from 0, below `count`. */
  below(count: number): number {
    return Math.floor(this.next() * count);
  }

  /** Exponentially distributed, with this mean. */
  exponential(mean: number): number {
    return -mean * Math.log(1 - this.next());
  }

  /** A whole number of at least `least`: the excess is exponential. */
  tokens(mean: number, least: number): number {
    return least + Math.round(this.exponential(mean - least));
  }
}

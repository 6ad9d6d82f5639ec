/** Measures on samples how far converted weights are from the weights of the file. */
import { type ConvertedParts, dequantized, reconstructed } from './dequantize.ts';
import type { ConversionTask } from './plan/conversion-plan.ts';
import { kindKey, kindOf, type WeightsKind } from './plan/weights-kind.ts';

/** Weights in a sample: one block of the K formats. A piece of 2^20 weights has one, which costs no time. */
const SAMPLE = 256;

interface Sums {
  squares: number;
  differences: number;
}

export class Differences {
  readonly #sums = new Map<string, Sums>();

  /**
   * Compares the first weights of a piece.
   * @param bytes the piece in the file, at least `SAMPLE` weights or all of a matrix.
   */
  add(
    { from, form }: ConversionTask,
    bytes: Uint8Array,
    { parts, count }: { parts: ConvertedParts; count: number },
  ): void {
    const sampled = Math.min(SAMPLE, count);
    const expected = dequantized(from, bytes, sampled);
    const actual = reconstructed(form, parts, sampled);
    const sums = this.#sumsOf(kindOf({ from, form }));
    for (const [index, weight] of expected.entries()) {
      sums.squares += weight * weight;
      sums.differences += (weight - (actual[index] ?? 0)) ** 2;
    }
  }

  /** Root mean square of the differences, relative to the root mean square of the weights. */
  of(weights: WeightsKind): number {
    const { squares, differences } = this.#sumsOf(weights);
    return differences === 0 ? 0 : Math.sqrt(differences / squares);
  }

  #sumsOf(kind: WeightsKind): Sums {
    const key = kindKey(kind);
    const sums = this.#sums.get(key) ?? { squares: 0, differences: 0 };
    this.#sums.set(key, sums);
    return sums;
  }
}

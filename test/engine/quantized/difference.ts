/** Compares the log-probabilities of an engine with expected logits. */
import type { TokenReport } from '../../../src/protocol/messages.ts';

/** The sums of squares of logits and of their differences. */
export class Difference {
  #squares = 0;
  #differences = 0;

  /** @param top the log-probabilities of all ids. Only the differences between ids count. */
  add(top: TokenReport['top'] = [], expected: readonly number[]): void {
    const found = new Float64Array(expected.length).fill(Number.NaN);
    for (const { id, logprob } of top) found[id] = logprob;
    const mean = (values: readonly number[] | Float64Array): number =>
      [...values].reduce((sum, value) => sum + value, 0) / values.length;
    const [foundMean, expectedMean] = [mean(found), mean(expected)];
    for (const [id, logit] of expected.entries()) {
      const value = logit - expectedMean;
      this.#squares += value ** 2;
      this.#differences += ((found[id] ?? Number.NaN) - foundMean - value) ** 2;
    }
  }

  /** Root mean square, relative to that of the logits. */
  get relative(): number {
    return Math.sqrt(this.#differences / this.#squares);
  }
}

/**
 * The delay between two attempts of a network call: doubles with each failure, with a limit and random
 * jitter. Pure.
 */

/** Times in milliseconds. */
export interface BackoffLimits {
  /** Delay after the first failure, before jitter. */
  readonly firstMs: number;
  /** Longest delay, before jitter. */
  readonly longestMs: number;
}

/**
 * The delay after `failures` failed attempts in a row (1 or more), in milliseconds. The jitter is a factor
 * from 0.75 to 1.25, so that clients that failed together do not retry together.
 * @param random returns a number from 0 to 1, like Math.random.
 */
export function backoffDelay(
  failures: number,
  { firstMs, longestMs }: BackoffLimits,
  random: () => number = Math.random,
): number {
  return Math.min(firstMs * 2 ** (failures - 1), longestMs) * (0.75 + random() / 2);
}

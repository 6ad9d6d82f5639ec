/**
 * The size of a table of random inputs. `npm test` runs a part of it, `npm run test:long` the whole table.
 */

/** True in the long suite. */
const whole = process.env['LONG_TESTS'] !== undefined;

/** `count` in the long suite, otherwise `short`. */
export function sampleSize(count: number, short: number): number {
  return whole ? count : short;
}

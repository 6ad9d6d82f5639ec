/** The delays of the ready callback and of the hub connection: they double up to a limit, with jitter. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { backoffDelay } from '../../src/protocol/backoff.ts';

const LIMITS = { firstMs: 1000, longestMs: 30_000 };
const middle = (): number => 0.5;

test('doubles with each failure up to the limit', () => {
  const delays = [1, 2, 3, 4, 5, 6, 7, 2000].map((failures) => backoffDelay(failures, LIMITS, middle));
  expect(delays).toEqual([1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000]);
});

test('jitter scales the delay by a factor from 0.75 to 1.25', () => {
  expect(backoffDelay(1, LIMITS, () => 0)).toBe(750);
  expect(backoffDelay(1, LIMITS, () => 1)).toBe(1250);
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 50 }), fc.double({ min: 0, max: 1, noNaN: true }), (failures, draw) => {
      const factor = backoffDelay(failures, LIMITS, () => draw) / backoffDelay(failures, LIMITS, middle);
      expect(factor).toBeGreaterThanOrEqual(0.75);
      expect(factor).toBeLessThanOrEqual(1.25);
    }),
  );
});

test('draws new jitter for every delay', () => {
  expect(new Set(Array.from({ length: 20 }, () => backoffDelay(3, LIMITS))).size).toBeGreaterThan(1);
});

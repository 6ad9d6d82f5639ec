import { expect, it } from 'vitest';
import { Random, splitmix } from '../../../src/engine/sampling/random.ts';

it('gives the reference sequence of xoshiro128** 1.1', () => {
  const random = new Random([1, 2, 3, 4]);
  const words = Array.from({ length: 8 }, () => random.next());
  expect(words).toEqual([11520, 0, 5927040, 70819200, 2031721883, 1637235492, 1287239034, 3734860849]);
});

it('takes its state from the reference sequence of splitmix64', () => {
  const [a, b, c, d] = splitmix(1234567);
  expect((BigInt(b) << 32n) | BigInt(a)).toBe(6457827717110365317n);
  expect((BigInt(d) << 32n) | BigInt(c)).toBe(3203168211198807973n);
});

it('gives uniform numbers in [0, 1) with 53 bits', () => {
  const random = Random.seeded(9);
  const tenths = Array(10).fill(0);
  let odd = 0;
  let least = 1;
  let most = 0;
  for (let draw = 0; draw < 100_000; draw++) {
    const uniform = random.uniform();
    least = Math.min(least, uniform);
    most = Math.max(most, uniform);
    tenths[Math.floor(uniform * 10)]++;
    odd += Number((BigInt(uniform * 2 ** 53) & 1n) === 1n);
  }
  expect(least).toBeGreaterThanOrEqual(0);
  expect(most).toBeLessThan(1);
  for (const count of tenths) expect(Math.abs(count - 10_000)).toBeLessThan(500);
  expect(Math.abs(odd - 50_000)).toBeLessThan(800);
});

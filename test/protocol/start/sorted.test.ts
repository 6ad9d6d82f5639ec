/** Sorting in steps gives the order of the native sort. */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { finished } from '../../../src/protocol/start/slices.ts';
import { sorted } from '../../../src/protocol/start/sorted.ts';

type Entry = readonly [key: number, place: number];
const byKey = (one: Entry, other: Entry): number => one[0] - other[0];
const entriesOf = (keys: readonly number[]): Entry[] => keys.map((key, place) => [key, place]);

it('keeps the order of equal elements, for lists of any length', () => {
  const keys = fc.array(fc.nat(20), { maxLength: 12_000, size: 'max' });
  fc.assert(
    fc.property(keys, (some) => {
      const entries = entriesOf(some);
      expect(finished(sorted(entries, byKey))).toEqual(entries.toSorted(byKey));
    }),
    { numRuns: 30 },
  );
});

it.each([0, 1, 2047, 2048, 2049, 4096, 10_000])(
  'sorts %i elements that are in order, or in the opposite one',
  (count) => {
    const entries = entriesOf(Array.from({ length: count }, (_, at) => at));
    expect(finished(sorted(entries, byKey))).toEqual(entries);
    expect(finished(sorted(entries.toReversed(), byKey))).toEqual(entries);
  },
);

it('takes many steps, and changes no list that it is given', () => {
  const entries = entriesOf(Array.from({ length: 20_000 }, (_, at) => (at * 7919) % 20_000));
  const before = [...entries];
  const steps = sorted(entries, byKey);
  let count = 0;
  for (let { done } = steps.next(); !done; { done } = steps.next()) count += 1;
  expect(count).toBeGreaterThan(30);
  expect(entries).toEqual(before);
});

/** Sorting in steps: a native sort of 256 000 elements takes longer than the event loop may wait. */
import type { Steps } from './slices.ts';

/** Elements that are sorted, merged or copied at once. */
const PART = 2048;

type Compare<T> = (one: T, other: T) => number;

/** A sorted copy, as `toSorted` gives it: equal elements keep their order. Takes n log n steps. */
export function* sorted<T>(values: readonly T[], compare: Compare<T>): Steps<T[]> {
  let runs: T[][] = [];
  for (let at = 0; at < values.length; at += PART) {
    runs.push(values.slice(at, at + PART).sort(compare));
    yield;
  }
  while (runs.length > 1) {
    const merged: T[][] = [];
    for (let at = 0; at < runs.length; at += 2)
      merged.push(yield* mergedRuns(runs[at] ?? [], runs[at + 1] ?? [], compare));
    runs = merged;
  }
  return runs[0] ?? [];
}

/** The elements of two sorted lists in order; of equal ones, those of the first list come first. */
function* mergedRuns<T>(left: readonly T[], right: readonly T[], compare: Compare<T>): Steps<T[]> {
  const merged: T[] = [];
  let [fromLeft, fromRight] = [0, 0];
  while (merged.length < left.length + right.length) {
    const takesLeft =
      fromRight >= right.length || (fromLeft < left.length && compare(left[fromLeft] as T, right[fromRight] as T) <= 0);
    merged.push((takesLeft ? left[fromLeft++] : right[fromRight++]) as T);
    if (merged.length % PART === 0) yield;
  }
  return merged;
}

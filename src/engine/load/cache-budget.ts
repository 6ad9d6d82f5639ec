/**
 * The memory of a KV cache: the budget that its rows share, and the memory that a run needs in addition.
 * Pure.
 */
import type { CacheGrowth } from '../ort/cache/growth.ts';

/**
 * Memory that a run of a row needs besides its new room, as a part of this room. A growing cache reads the
 * row that it replaces, which is nearly as long; a row that doubles is copied from one of half its size.
 */
const EXTRA: Readonly<Record<CacheGrowth, number>> = { pages: 0, doubling: 1 / 2, runs: 1, none: 0 };

/**
 * The budget that rows can share within the memory of the cache, so that a run has room in addition. All
 * sizes in bytes.
 * @param row the largest row
 */
export function budgetIn(growth: CacheGrowth, cache: number, row: number): number {
  const extra = EXTRA[growth];
  return Math.floor(Math.max(cache / (1 + extra), cache - extra * row));
}

/** The memory of the cache whose rows share this budget. */
export const cacheFor = (growth: CacheGrowth, budget: number, row: number): number =>
  Math.ceil(budget + EXTRA[growth] * Math.min(budget, row));

/**
 * The highest integer of a range for which `holds` is true, by binary search: `holds` is true up to some
 * integer and false above it. Undefined if it is true for none.
 */
export function highest(min: number, max: number, holds: (value: number) => boolean): number | undefined {
  if (max < min || !holds(min)) return undefined;
  let [low, high] = [min, max];
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (holds(middle)) low = middle;
    else high = middle - 1;
  }
  return low;
}

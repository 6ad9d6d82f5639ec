/**
 * How a KV cache takes memory, and the bytes that a row takes. The plan of the memory and the caches use the
 * same functions, so that a row that is planned to fit does fit. Pure.
 */
import type { Device } from '../../devices/device.ts';
import { bytesOf, type CacheTensor, rowOf } from '../signature.ts';

/**
 * `pages`: all rows are address space, which becomes memory as it is used. `doubling`: the tensors of a row
 * grow to twice their size. `runs`: each run returns a longer cache. `none`: all rows are allocated at once.
 */
export type CacheGrowth = 'pages' | 'doubling' | 'runs' | 'none';

interface CacheUse {
  /** Each run returns a longer cache. */
  readonly appends: boolean;
  readonly canMap: boolean;
  /** Rows run together also on a device without addresses inside a buffer. */
  readonly together?: boolean;
}

/** How the cache of a model on a device takes memory. */
export function growthOf(
  { ownMemory, rowViews }: Pick<Device, 'ownMemory' | 'rowViews'>,
  { appends, canMap, together = false }: CacheUse,
): CacheGrowth {
  if (appends) return 'runs';
  if (!rowViews) return together ? 'none' : 'doubling';
  return canMap && !ownMemory ? 'pages' : 'none';
}

/** Tokens of the smallest row that grows by doubling. */
const SMALLEST_ROW = 256;

/** Tokens for which a row that grows by doubling has space, if it holds this many. */
export function sizeClass(tokens: number, capacity: number): number {
  let size = SMALLEST_ROW;
  while (size < tokens) size *= 2;
  return Math.min(size, capacity);
}

/**
 * Rows besides those of the slots, which only store prefixes. As address space they cost nothing until they
 * are used. Where all rows are allocated at once, and where a row cannot keep a part of its tokens, there are
 * none.
 */
export const storedRows = (growth: CacheGrowth): number => (growth === 'pages' || growth === 'doubling' ? 48 : 0);

/** Bytes of one token of one head. */
export const tokenBytes = ({ type, shape }: CacheTensor): number => bytesOf(type, shape.slice(-1));

/** Number of heads in one row of a tensor. */
export const headsOf = ({ shape }: CacheTensor): number =>
  rowOf(shape, 1)
    .slice(0, -1)
    .reduce((product, size) => product * size, 1);

export const roundUp = (value: number, step: number): number => Math.ceil(value / step) * step;

/** Bytes of the pages that the first `tokens` tokens of a row use: each head begins a page of its own. */
export const pagedBytes = (caches: readonly CacheTensor[], tokens: number, page: number): number =>
  caches.reduce((sum, cache) => sum + headsOf(cache) * roundUp(tokens * tokenBytes(cache), page), 0);

/**
 * The smallest capacity, at least `tokens`, with which every head begins a page.
 * @param page a power of two
 */
export function pagedCapacity(caches: readonly CacheTensor[], tokens: number, page: number): number {
  const steps = caches.map((cache) => page / Math.min(page, powerOfTwoIn(tokenBytes(cache))));
  return roundUp(tokens, Math.max(1, ...steps));
}

/** The largest power of two that divides a number. */
const powerOfTwoIn = (value: number): number => Number(BigInt(value) & -BigInt(value));

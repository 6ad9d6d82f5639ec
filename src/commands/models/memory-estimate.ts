/**
 * The memory that a model needs on the CPU with one slot, before it is opened. An estimate: the worker plans
 * with the shapes of the graph, and refuses a model that does not fit. Pure.
 */
import type { CacheShape } from '../../model/spec/cache-shape.ts';

/** Sizes in bytes. */
export interface MemoryEstimate {
  readonly weights: number;
  /** The KV cache of one slot with the whole context. */
  readonly cache: number;
  /** Memory of the runtime besides weights and cache. */
  readonly work: number;
  readonly total: number;
  /** Tokens of the slot. */
  readonly context: number;
  /** Free memory of the machine, within the limits of the container. */
  readonly available: number;
  readonly fits: boolean;
  /** The longest context that fits, if a shorter one does. */
  readonly fittingContext?: number;
}

/** As the engine plans for memory of the host. */
const WORK_BYTES = 64 * 2 ** 20;
/** Bytes of a number in the cache. */
const [FULL_BYTES, HALF_BYTES] = [4, 2];
/** A suggested context is a multiple of this, and at least `LEAST_CONTEXT`. */
const CONTEXT_STEP = 256;
const LEAST_CONTEXT = 512;

/** @param dtype of the weights: with half floats, the cache has half floats too */
export function estimateMemory(
  { bytes: weights, dtype }: { readonly bytes: number; readonly dtype: string },
  { perToken, context }: CacheShape,
  available: number,
): MemoryEstimate {
  const tokenBytes = perToken * (dtype.includes('16') ? HALF_BYTES : FULL_BYTES);
  const cache = tokenBytes * context;
  const total = weights + cache + WORK_BYTES;
  const room = Math.floor((available - weights - WORK_BYTES) / tokenBytes / CONTEXT_STEP) * CONTEXT_STEP;
  const shorter = total > available && room >= LEAST_CONTEXT;
  return {
    ...{ weights, cache, work: WORK_BYTES, total, context, available },
    fits: total <= available,
    ...(shorter && { fittingContext: room }),
  };
}

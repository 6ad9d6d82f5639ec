/**
 * The memory of a model's KV cache, as a session uses it. CacheInPlace and CacheGrowing implement this
 * interface.
 */
import type { Pointer } from '../ffi.ts';

/** Consecutive rows of the KV cache. */
export interface Rows {
  readonly first: number;
  readonly count: number;
}

export interface CacheMemory {
  /** True if one run can contain several rows. */
  readonly batchesRows: boolean;
  /** True if a row can drop its last tokens and keep those before them. */
  readonly truncates: boolean;
  /**
   * Allocates `rows` rows of `capacity` tokens each. Called once.
   * @throws OrtError if the memory is not available.
   */
  reserve(rows: number, capacity: number, allocator: Pointer): void;
  /**
   * Called before a run: returns an IO binding with the cache of `rows` bound, for `past` tokens in each row.
   * @throws Error if a row that cannot drop tokens does not contain exactly `past` tokens; OrtError.
   */
  begin(rows: Rows, past: number): Pointer;
  /** Called after a run. `tokens`: tokens in each row now; undefined if the run failed. */
  end(rows: Rows, binding: Pointer, tokens: number | undefined): void;
  /** Drops the content of a row. */
  forget(row: number): void;
  release(): void;
}

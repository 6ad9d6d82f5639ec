/** The memory of a model's cache, as a session uses it. Two classes implement this interface. */
import type { Pointer } from '../ffi.ts';

/** Consecutive rows of the cache. */
export interface Rows {
  readonly first: number;
  readonly count: number;
}

export interface CacheMemory {
  /** True if one run can contain several rows. */
  readonly together: boolean;
  /** True if a row can drop its last tokens and keep those before them. */
  readonly truncates: boolean;
  /**
   * Allocates `rows` rows with a capacity of `capacity` tokens.
   * @throws OrtError if the memory is not available.
   */
  reserve(rows: number, capacity: number, allocator: Pointer): void;
  /**
   * A binding that contains the cache of `rows`, with `past` tokens in each.
   * @throws Error if a row that cannot drop tokens contains another number of them.
   */
  begin(rows: Rows, past: number): Pointer;
  /** Called after a run: each row contains `tokens` tokens; undefined if the run failed. */
  end(rows: Rows, binding: Pointer, tokens: number | undefined): void;
  /** Drops the content of a row. */
  forget(row: number): void;
  release(): void;
}

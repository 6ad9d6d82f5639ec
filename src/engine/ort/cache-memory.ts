/** Where a model's cache is between runs: what a session wants of it. */
import type { Pointer } from '../ffi.ts';
import type { TensorMemory } from './tensors.ts';

/** Consecutive rows of the cache. */
export interface Rows {
  readonly first: number;
  readonly count: number;
}

export interface CacheMemory {
  /** Whether several rows can be in one run. */
  readonly together: boolean;
  /** Whether a row can forget its last tokens and keep those before them. */
  readonly truncates: boolean;
  /**
   * Makes room for `rows` rows of `capacity` tokens.
   * @throws OrtError when the memory is not to be had.
   */
  reserve(rows: number, capacity: number, allocator: Pointer): void;
  /**
   * A binding in which the cache of `rows` is bound, with `past` tokens in each.
   * @throws Error when a row that cannot forget holds another number of them.
   */
  begin(rows: Rows, past: number): Pointer;
  /** After a run with the binding: `tokens` are in each row now; undefined when the run failed, and what the rows hold is not known. */
  end(rows: Rows, binding: Pointer, tokens: number | undefined): void;
  /** What the row holds is not wanted any more. */
  forget(row: number): void;
  /** Memory that was reserved. */
  buffers(): readonly TensorMemory[];
  release(): void;
}

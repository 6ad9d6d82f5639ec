/**
 * The memory of a model's KV cache, as a session uses it. CacheInPlace and CacheGrowing implement this
 * interface.
 */
import { copyMemory, type Pointer } from '../../ffi.ts';
import { bytesOf, type CacheTensor, rowOf } from '../signature.ts';

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
  /**
   * Replaces the content of a row by the first `tokens` tokens of another row. Only for a cache in host
   * memory.
   * @throws OrtError if the memory is not available. The row then keeps its content.
   */
  copy(from: number, to: number, tokens: number): void;
  /** Drops the content of a row. */
  forget(row: number): void;
  release(): void;
}

/** One cache tensor of one row in host memory. */
export interface RowMemory {
  readonly pointer: Pointer;
  /** Tokens for which the tensor has space. */
  readonly capacity: number;
}

/**
 * Copies the first `tokens` tokens of a row's tensor to that of another row. Tokens are the second last
 * dimension: each head has its tokens one after another.
 * @param shape shape of one row, with -1 for the tokens.
 */
export function copyTokens(
  from: RowMemory,
  to: RowMemory,
  tokens: number,
  { type, shape }: Pick<CacheTensor, 'type' | 'shape'>,
): void {
  const token = bytesOf(type, shape.slice(-1));
  const heads = rowOf(shape, 1).slice(0, -1);
  const count = heads.reduce((product, size) => product * size, 1);
  for (let head = 0; head < count; head++)
    copyMemory(
      to.pointer + BigInt(head * to.capacity * token),
      from.pointer + BigInt(head * from.capacity * token),
      tokens * token,
    );
}

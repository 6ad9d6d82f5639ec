/**
 * The memory of a model's KV cache, as a session uses it. The other files of this folder implement this
 * interface.
 */
import { copyMemory, type Pointer } from '../../ffi.ts';
import type { OrtApi } from '../api.ts';
import type { CacheTensor } from '../signature.ts';
import type { Tensors } from '../tensors.ts';
import { headsOf, tokenBytes } from './growth.ts';

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
  /** True if the content of a row can be copied to another one. */
  readonly copiesRows: boolean;
  /**
   * Makes room for `rows` rows of `capacity` tokens each. Called until it succeeds, and not again.
   * @throws MappingError if the address space is not available, OrtError if the memory is not.
   */
  reserve(rows: number, capacity: number, allocator: Pointer): void;
  /**
   * Called before a run: returns an IO binding with the cache of `rows` bound.
   * @param lengths tokens in each row after the run
   * @param tokens number of tokens of each row in this run
   * @throws Error if a row that cannot drop tokens does not contain exactly the tokens before the run;
   * OrtError. The rows then keep their content.
   */
  begin(rows: Rows, lengths: readonly number[], tokens: number): Pointer;
  /** Called after a run. `tokens`: tokens in each row now; undefined if the run failed. */
  end(rows: Rows, binding: Pointer, tokens: number | undefined): void;
  /**
   * Replaces the content of a row by the first `tokens` tokens of another row. Only if `copiesRows`.
   * @throws OrtError: the content of the row is then undefined.
   */
  copy(from: number, to: number, tokens: number): void;
  /** Drops the content of a row. */
  forget(row: number): void;
  /** Bytes of memory that a row takes while its first `tokens` tokens are used. */
  bytesFor(tokens: number): number;
  /**
   * Gives back the memory of a row past its first `tokens` tokens, as far as possible.
   * @returns the bytes that the row still takes, in the measure of `bytesFor`
   */
  releaseRow(row: number, tokens: number): number;
  release(): void;
}

/** The rows of a step, in the order of their places in its tensors. */
export interface Arrangement {
  readonly rows: readonly number[];
  /** Names the memory of the run: equal keys have the same rows of the same tensors. */
  readonly key: string;
}

/** A cache whose tensors keep their addresses, so that a recorded run stays valid. */
export interface FixedCache extends CacheMemory {
  /**
   * Gives each of `rows` a place in the tensors of a step. Places between them belong to other rows. The
   * number of places of several rows is a power of two, or that of all rows, so that few different steps are
   * recorded.
   * @throws OrtError: the rows then keep their content
   */
  arrange(rows: readonly number[]): Arrangement;
  /**
   * Creates an IO binding with the cache of an arrangement bound. The caller releases it. @throws OrtError
   */
  bind(arrangement: Arrangement): Pointer;
}

/** Number of places of a step. @param most number of all rows */
export const placesFor = (rows: number, most: number): number => Math.min(2 ** Math.ceil(Math.log2(rows)), most);

/** The parts of a session that a cache updated in place uses. */
export interface InPlaceParts {
  readonly api: OrtApi;
  readonly session: Pointer;
  readonly tensors: Tensors;
  /** The cache tensors of the model. */
  readonly caches: readonly CacheTensor[];
  /** The runtime's description of the cache's memory (`OrtMemoryInfo`). */
  readonly memoryInfo: Pointer;
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
 */
export function copyTokens(from: RowMemory, to: RowMemory, tokens: number, cache: CacheTensor): void {
  const token = tokenBytes(cache);
  for (let head = 0; head < headsOf(cache); head++)
    copyMemory(
      to.pointer + BigInt(head * to.capacity * token),
      from.pointer + BigInt(head * from.capacity * token),
      tokens * token,
    );
}

/**
 * The KV cache of a model whose attention updates it in place: made once, and bound as past and as present at
 * the same address, on a device that supports addresses inside a buffer: all rows are in one tensor, and
 * several rows run together. In host memory, the rows are address space that becomes memory as it is used.
 */
import type { Pointer } from '../../ffi.ts';
import { MappedMemory, pageBytes } from '../../host/mapped-memory.ts';
import type { OrtApi } from '../api.ts';
import { bytesOf, type CacheTensor, rowOf } from '../signature.ts';
import type { Tensors } from '../tensors.ts';
import { type CacheGrowth, headsOf, pagedBytes, pagedCapacity, roundUp, tokenBytes } from './growth.ts';
import {
  type Arrangement,
  copyTokens,
  type FixedCache,
  type InPlaceParts,
  placesFor,
  type RowMemory,
  type Rows,
} from './memory.ts';

/**
 * Maximum number of IO bindings to keep. Each references all cache tensors, and many slots give many sets of
 * rows.
 */
const MAX_BINDINGS = 64;

interface CacheParts extends InPlaceParts {
  /** True if this process can copy the memory. */
  readonly copiesRows: boolean;
  readonly growth: CacheGrowth;
}

/** Memory of the rows of one cache tensor. */
interface RowsMemory {
  readonly pointer: Pointer;
}

export class CacheInPlace implements FixedCache {
  readonly batchesRows = true;
  readonly copiesRows: boolean;
  readonly truncates = true;
  readonly #api: OrtApi;
  readonly #session: Pointer;
  readonly #tensors: Tensors;
  readonly #caches: readonly CacheTensor[];
  readonly #memoryInfo: Pointer;
  /** IO bindings with the cache bound. Key: first row and count. Least recently used first. */
  readonly #bindings = new Map<string, Pointer>();
  /** One per cache tensor, `[rows, kvHeads, capacity, headDim]`. */
  #buffers: readonly RowsMemory[] = [];
  /** The same memory if it is address space; otherwise empty. */
  #mappings: readonly MappedMemory[] = [];
  /** Bytes of a page of that address space; 0 for other memory. */
  readonly #page: number;
  #capacity = 0;
  /** The largest number of tokens of each row since its memory was released. */
  #held: number[] = [];

  constructor({ api, session, tensors, caches, memoryInfo, copiesRows, growth }: CacheParts) {
    this.#api = api;
    this.copiesRows = copiesRows;
    this.#page = growth === 'pages' ? pageBytes() : 0;
    this.#session = session;
    this.#tensors = tensors;
    this.#caches = caches;
    this.#memoryInfo = memoryInfo;
  }

  /** Does not clear the rows: attention reads only the part that it has written. */
  reserve(rows: number, capacity: number, allocator: Pointer): void {
    this.#held = Array.from({ length: rows }, () => 0);
    if (this.#page > 0) {
      this.#capacity = pagedCapacity(this.#caches, capacity, this.#page);
      this.#map(rows);
      return;
    }
    this.#capacity = capacity;
    this.#buffers = this.#caches.map(({ type, shape }) =>
      this.#tensors.allocate(allocator, type, this.#shape(shape, rows)),
    );
  }

  /** One mapping for each cache tensor, or none if the system refuses one of them. */
  #map(rows: number): void {
    const mappings: MappedMemory[] = [];
    try {
      for (const { type, shape } of this.#caches)
        mappings.push(new MappedMemory(bytesOf(type, this.#shape(shape, rows))));
    } catch (error) {
      for (const mapping of mappings) mapping.release();
      throw error;
    }
    this.#mappings = mappings;
    this.#buffers = mappings;
  }

  /** The IO binding of these rows, created at first use. */
  begin(rows: Rows, lengths: readonly number[]): Pointer {
    for (const [index, length] of lengths.entries()) this.#hold(rows.first + index, length);
    const key = `${rows.first}+${rows.count}`;
    const known = this.#bindings.get(key);
    if (known !== undefined) {
      this.#bindings.delete(key);
      this.#bindings.set(key, known);
      return known;
    }
    this.#forgetOldest();
    const binding = this.#bindRows(rows);
    this.#bindings.set(key, binding);
    return binding;
  }

  /** The rows have fixed places: several rows are a step over all rows up to the last of them. */
  arrange(rows: readonly number[]): Arrangement {
    const [only = 0] = rows;
    if (rows.length === 1) return { rows, key: `${only}+1` };
    const count = placesFor(Math.max(...rows) + 1, this.#held.length);
    return { rows: Array.from({ length: count }, (_, row) => row), key: `0+${count}` };
  }

  bind({ rows: [first = 0, ...others] }: Arrangement): Pointer {
    return this.#bindRows({ first, count: 1 + others.length });
  }

  #bindRows(rows: Rows): Pointer {
    const binding = this.#api.createIoBinding(this.#session);
    try {
      this.#bindCaches(binding, rows);
      return binding;
    } catch (error) {
      this.#api.releaseIoBinding(binding);
      throw error;
    }
  }

  #bindCaches(binding: Pointer, { first, count }: Rows): void {
    const memoryInfo = this.#memoryInfo;
    for (const [index, { past, present, type, shape }] of this.#caches.entries()) {
      const rows = this.#shape(shape, count);
      const pointer = this.#address(index, first, bytesOf(type, this.#shape(shape, 1)));
      this.#tensors.bind(binding, this.#api.bindInput, { name: past, type, pointer, memoryInfo }, rows);
      this.#tensors.bind(binding, this.#api.bindOutput, { name: present, type, pointer, memoryInfo }, rows);
    }
  }

  end(): void {
    // Nothing to do: the next run reads the appended tokens at the same address.
  }

  copy(from: number, to: number, tokens: number): void {
    for (const [index, cache] of this.#caches.entries()) {
      const bytes = bytesOf(cache.type, this.#shape(cache.shape, 1));
      const memoryOf = (row: number): RowMemory => ({
        pointer: this.#address(index, row, bytes),
        capacity: this.#capacity,
      });
      copyTokens(memoryOf(from), memoryOf(to), tokens, cache);
    }
    this.#hold(to, tokens);
  }

  forget(): void {
    // Nothing to do: the next tokens overwrite the content.
  }

  bytesFor(tokens: number): number {
    if (this.#page > 0) return pagedBytes(this.#caches, tokens, this.#page);
    if (tokens === 0) return 0;
    return this.#caches.reduce((sum, { type, shape }) => sum + bytesOf(type, this.#shape(shape, 1)), 0);
  }

  releaseRow(row: number, tokens: number): number {
    const held = this.#held[row] ?? 0;
    const kept = Math.min(held, tokens);
    if (this.#page > 0 && kept < held) this.#drop(row, kept, held);
    this.#held[row] = kept;
    return this.bytesFor(kept);
  }

  release(): void {
    this.#buffers = [];
    for (const binding of this.#bindings.values()) this.#api.releaseIoBinding(binding);
    this.#bindings.clear();
    for (const mapping of this.#mappings) mapping.release();
    this.#mappings = [];
  }

  #hold(row: number, tokens: number): void {
    this.#held[row] = Math.max(this.#held[row] ?? 0, tokens);
  }

  /** Gives back the pages of a row that contain only tokens from index `from` to index `to`. */
  #drop(row: number, from: number, to: number): void {
    for (const [index, cache] of this.#caches.entries()) {
      const [token, heads] = [tokenBytes(cache), headsOf(cache)];
      const [start, end] = [from, to].map((tokens) => roundUp(tokens * token, this.#page)) as [number, number];
      if (start === end) continue;
      for (let head = 0; head < heads; head++)
        this.#mappings[index]?.drop((row * heads + head) * this.#capacity * token + start, end - start);
    }
  }

  /** Shape of `count` rows. */
  #shape(shape: readonly number[], count: number): number[] {
    return [count, ...rowOf(shape, this.#capacity).slice(1)];
  }

  #address(cache: number, row: number, rowBytes: number): Pointer {
    return (this.#buffers[cache]?.pointer ?? 0n) + BigInt(row * rowBytes);
  }

  #forgetOldest(): void {
    for (const [oldest, binding] of this.#bindings) {
      if (this.#bindings.size < MAX_BINDINGS) break;
      this.#bindings.delete(oldest);
      this.#api.releaseIoBinding(binding);
    }
  }
}

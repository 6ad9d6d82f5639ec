/**
 * The KV cache of a model whose attention returns a longer tensor in each run. The cache outputs of a run
 * stay in device memory, where the runtime allocated them, and are the inputs of the next run. Each row runs
 * alone. A row cannot drop its last tokens, only all tokens.
 */
import type { Pointer } from '../../ffi.ts';
import type { OrtApi } from '../api.ts';
import { bytesOf, type CacheTensor, rowOf } from '../signature.ts';
import { type CacheMemory, copyTokens, type RowMemory, type Rows } from './memory.ts';

/** The content of a row: one `OrtValue` per cache tensor, and the number of tokens in each. */
interface GrownRow {
  readonly values: readonly Pointer[];
  readonly tokens: number;
}

interface GrowingParts {
  readonly api: OrtApi;
  readonly session: Pointer;
  /** The cache tensors of the model. */
  readonly caches: readonly CacheTensor[];
  /** The runtime's description of the cache's memory (`OrtMemoryInfo`). */
  readonly memoryInfo: Pointer;
  /** True if this process can copy the memory. */
  readonly copiesRows: boolean;
}

export class CacheGrowing implements CacheMemory {
  readonly batchesRows = false;
  readonly truncates = false;
  readonly copiesRows: boolean;
  readonly #api: OrtApi;
  readonly #session: Pointer;
  readonly #caches: readonly CacheTensor[];
  readonly #memoryInfo: Pointer;
  #allocator: Pointer = 0n;
  #rows: (GrownRow | undefined)[] = [];

  constructor({ api, session, caches, memoryInfo, copiesRows }: GrowingParts) {
    this.#api = api;
    this.#session = session;
    this.#caches = caches;
    this.#memoryInfo = memoryInfo;
    this.copiesRows = copiesRows;
  }

  /** Allocates nothing: runs allocate their outputs. */
  reserve(rows: number, _capacity: number, allocator: Pointer): void {
    this.#allocator = allocator;
    this.#rows = Array.from({ length: rows }, () => undefined);
  }

  begin({ first }: Rows, lengths: readonly number[], tokens: number): Pointer {
    const past = Math.max(...lengths) - tokens;
    if (past === 0) this.forget(first);
    const row = this.#rows[first] ?? this.#begin(first);
    if (row.tokens !== past)
      throw new Error(`Row ${first} contains ${row.tokens} tokens, not ${past}: a growing cache cannot drop tokens`);
    const binding = this.#api.createIoBinding(this.#session);
    try {
      for (const [index, { past: name, present }] of this.#caches.entries()) {
        this.#api.bindInput(binding, name, row.values[index] ?? 0n);
        this.#api.bindOutputToDevice(binding, present, this.#memoryInfo);
      }
    } catch (error) {
      this.#api.releaseIoBinding(binding);
      throw error;
    }
    return binding;
  }

  end({ first }: Rows, binding: Pointer, tokens: number | undefined): void {
    this.forget(first);
    try {
      if (tokens === undefined) return;
      // `begin` binds the caches before all other outputs, so their values come first.
      const values = this.#api.getBoundOutputValues(binding, this.#api.getAllocatorWithDefaultOptions());
      for (const other of values.slice(this.#caches.length)) this.#api.releaseValue(other);
      this.#rows[first] = { values: values.slice(0, this.#caches.length), tokens };
    } finally {
      this.#api.releaseIoBinding(binding);
    }
  }

  copy(from: number, to: number, tokens: number): void {
    const source = this.#rows[from];
    if (!source || source.tokens < tokens)
      throw new Error(`Row ${from} contains ${source?.tokens ?? 0} tokens, not ${tokens}`);
    const values: Pointer[] = [];
    try {
      for (const [index, cache] of this.#caches.entries()) {
        const value = this.#create(cache, tokens);
        values.push(value);
        copyTokens(this.#memoryOf(source.values[index], source.tokens), this.#memoryOf(value, tokens), tokens, cache);
      }
    } catch (error) {
      for (const value of values) this.#api.releaseValue(value);
      throw error;
    }
    this.forget(to);
    this.#rows[to] = { values, tokens };
  }

  forget(row: number): void {
    for (const value of this.#rows[row]?.values ?? []) this.#api.releaseValue(value);
    this.#rows[row] = undefined;
  }

  bytesFor(tokens: number): number {
    return this.#caches.reduce((sum, { type, shape }) => sum + bytesOf(type, rowOf(shape, tokens)), 0);
  }

  /** A row cannot drop its last tokens: its memory is given back only without any of them. */
  releaseRow(row: number, tokens: number): number {
    if (tokens === 0) this.forget(row);
    return this.bytesFor(this.#rows[row]?.tokens ?? 0);
  }

  release(): void {
    for (const row of this.#rows.keys()) this.forget(row);
  }

  /**
   * Makes a row without tokens. After a failure, the values created so far stay in the row, and are released
   * with it.
   */
  #begin(row: number): GrownRow {
    const values: Pointer[] = [];
    const begun = { values, tokens: 0 };
    this.#rows[row] = begun;
    for (const cache of this.#caches) values.push(this.#create(cache, 0));
    return begun;
  }

  /** The host memory of a tensor. */
  #memoryOf(value: Pointer | undefined, capacity: number): RowMemory {
    return { pointer: this.#api.getTensorMutableData(value ?? 0n), capacity };
  }

  /** A tensor of one row, with space for `tokens` tokens. */
  #create({ type, shape }: CacheTensor, tokens: number): Pointer {
    const row = rowOf(shape, tokens);
    return this.#api.createTensor(this.#allocator, BigInt64Array.from(row, BigInt), row.length, type);
  }
}

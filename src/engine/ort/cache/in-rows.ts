/**
 * The KV cache of a model whose attention updates it in place, on a device without addresses inside a buffer
 * (WebGPU): each row has tensors of its own and runs alone. A row begins small and grows to twice its size:
 * new memory, a copy on the device, and the end of the old memory.
 */
import type { Pointer } from '../../ffi.ts';
import { bytesOf, rowOf } from '../signature.ts';
import type { TensorMemory } from '../tensors.ts';
import { sizeClass } from './growth.ts';
import type { CacheMemory, InPlaceParts, Rows } from './memory.ts';
import type { RowCopier } from './row-copier.ts';

interface CacheParts extends InPlaceParts {
  readonly copier: RowCopier;
}

/** The memory of a row: one tensor for each cache tensor of the model, with space for as many tokens. */
interface RoomyRow {
  readonly tensors: readonly TensorMemory[];
  readonly capacity: number;
  /** The IO binding with these tensors, from the first run on. */
  binding?: Pointer;
}

export class CacheInRows implements CacheMemory {
  readonly batchesRows = false;
  readonly truncates = true;
  readonly copiesRows = true;
  readonly #parts: CacheParts;
  #allocator: Pointer = 0n;
  #capacity = 0;
  #rows: (RoomyRow | undefined)[] = [];

  constructor(parts: CacheParts) {
    this.#parts = parts;
  }

  /** Allocates nothing: a row gets its memory with its first tokens. */
  reserve(rows: number, capacity: number, allocator: Pointer): void {
    this.#allocator = allocator;
    this.#capacity = capacity;
    this.#rows = Array.from({ length: rows }, () => undefined);
  }

  begin({ first }: Rows, lengths: readonly number[], tokens: number): Pointer {
    const length = Math.max(...lengths);
    const row = this.#roomFor(first, length, length - tokens);
    row.binding ??= this.#bind(row);
    return row.binding;
  }

  end(): void {
    // Nothing to do: the next run reads the appended tokens in the same tensors.
  }

  copy(from: number, to: number, tokens: number): void {
    const source = this.#rows[from];
    if (!source || source.capacity < tokens) throw new Error(`Row ${from} does not contain ${tokens} tokens`);
    this.#replace(to, this.#copied(source, this.#sizeFor(tokens), tokens));
  }

  forget(): void {
    // Nothing to do: the next tokens overwrite the content.
  }

  bytesFor(tokens: number): number {
    return tokens === 0 ? 0 : this.#bytesOf(this.#sizeFor(tokens));
  }

  /** A row does not shrink: its memory is given back only without any tokens. */
  releaseRow(row: number, tokens: number): number {
    if (tokens === 0) this.#replace(row, undefined);
    const held = this.#rows[row];
    return held ? this.#bytesOf(held.capacity) : 0;
  }

  /** The tensors are released with all others of the session. */
  release(): void {
    for (const row of this.#rows) if (row?.binding !== undefined) this.#parts.api.releaseIoBinding(row.binding);
    this.#rows = [];
  }

  /** The row with space for `length` tokens, of which the first `past` tokens stay. */
  #roomFor(index: number, length: number, past: number): RoomyRow {
    const row = this.#rows[index];
    if (row && row.capacity >= length) return row;
    const size = this.#sizeFor(length);
    const grown = row && past > 0 ? this.#copied(row, size, past) : this.#allocate(size);
    this.#replace(index, grown);
    return grown;
  }

  /** A row with the first tokens of another one. @throws OrtError; the other row does not change. */
  #copied(source: RoomyRow, capacity: number, tokens: number): RoomyRow {
    const { caches, copier } = this.#parts;
    const made = this.#allocate(capacity);
    try {
      for (const [index, cache] of caches.entries()) {
        const [from, to] = [source, made].map((row) => ({
          pointer: row.tensors[index]?.pointer ?? 0n,
          capacity: row.capacity,
        })) as [RowTensor, RowTensor];
        copier.copy(cache, from, to, tokens);
      }
      return made;
    } catch (error) {
      this.#free(made);
      throw error;
    }
  }

  #allocate(capacity: number): RoomyRow {
    const { caches, tensors } = this.#parts;
    const made: TensorMemory[] = [];
    try {
      for (const { type, shape } of caches) made.push(tensors.allocate(this.#allocator, type, rowOf(shape, capacity)));
      return { tensors: made, capacity };
    } catch (error) {
      for (const tensor of made) tensors.free(tensor);
      throw error;
    }
  }

  #replace(index: number, row: RoomyRow | undefined): void {
    const previous = this.#rows[index];
    this.#rows[index] = row;
    if (previous) this.#free(previous);
  }

  #free({ tensors, binding }: RoomyRow): void {
    if (binding !== undefined) this.#parts.api.releaseIoBinding(binding);
    for (const tensor of tensors) this.#parts.tensors.free(tensor);
  }

  #bind(row: RoomyRow): Pointer {
    const { api, session, tensors, caches, memoryInfo } = this.#parts;
    const binding = api.createIoBinding(session);
    try {
      for (const [index, { past, present, type, shape }] of caches.entries()) {
        const memory = { type, pointer: row.tensors[index]?.pointer ?? 0n, memoryInfo };
        tensors.bind(binding, api.bindInput, { ...memory, name: past }, rowOf(shape, row.capacity));
        tensors.bind(binding, api.bindOutput, { ...memory, name: present }, rowOf(shape, row.capacity));
      }
      return binding;
    } catch (error) {
      api.releaseIoBinding(binding);
      throw error;
    }
  }

  #sizeFor(tokens: number): number {
    return sizeClass(tokens, this.#capacity);
  }

  #bytesOf(capacity: number): number {
    return this.#parts.caches.reduce((sum, { type, shape }) => sum + bytesOf(type, rowOf(shape, capacity)), 0);
  }
}

type RowTensor = Parameters<RowCopier['copy']>[1];

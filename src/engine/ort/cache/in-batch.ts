/**
 * The KV cache of a model whose attention updates it in place, on a device without addresses inside a buffer
 * (WebGPU), for rows that decode together: one tensor for all rows, made once. A step computes the first
 * places of this tensor, and a row can be moved to another place. A run of several tokens after earlier ones
 * must have one row: this row is moved out into tensors of one row, and back in before it decodes with
 * others. The row in the first place needs no move, because this place alone is a tensor of one row.
 */
import type { Pointer } from '../../ffi.ts';
import { bytesOf, type CacheTensor, rowOf } from '../signature.ts';
import type { TensorMemory } from '../tensors.ts';
import { type Arrangement, type FixedCache, type InPlaceParts, placesFor, type Rows } from './memory.ts';
import type { RowMover, RowTensors } from './row-mover.ts';

interface CacheParts extends InPlaceParts {
  readonly moverFor: (all: RowTensors, one: RowTensors) => RowMover;
}

/** The key of a run in the tensors of one row. */
const APART = 'apart';

export class CacheInBatch implements FixedCache {
  /** Only steps contain several rows. */
  readonly batchesRows = false;
  readonly truncates = true;
  readonly copiesRows = true;
  readonly #parts: CacheParts;
  #capacity = 0;
  #all: readonly TensorMemory[] = [];
  #one: readonly TensorMemory[] = [];
  #mover: RowMover | undefined;
  /** The row in each place of the tensors of all rows. */
  #rows: number[] = [];
  /** True for a row with content. */
  #isUsed: boolean[] = [];
  /** The row whose content is in the tensors of one row. */
  #apart: number | undefined;
  /** The bindings of runs, by the key of their memory. */
  readonly #bindings = new Map<string, Pointer>();

  constructor(parts: CacheParts) {
    this.#parts = parts;
  }

  /** Does not clear the rows: attention reads only the part that it has written. */
  reserve(rows: number, capacity: number, allocator: Pointer): void {
    const { caches, tensors, moverFor } = this.#parts;
    this.#capacity = capacity;
    const allocate = (count: number): TensorMemory[] =>
      caches.map((cache) => tensors.allocate(allocator, cache.type, this.#shape(cache, count)));
    this.#all = allocate(rows);
    this.#rows = Array.from({ length: rows }, (_, row) => row);
    this.#isUsed = this.#rows.map(() => false);
    if (rows === 1) return;
    this.#one = allocate(1);
    this.#mover = moverFor(
      { tensors: this.#all, shapeOf: (cache) => this.#shape(cache, rows) },
      { tensors: this.#one, shapeOf: (cache) => this.#shape(cache, 1) },
    );
  }

  /** One row. */
  begin({ first: row }: Rows, lengths: readonly number[], tokens: number): Pointer {
    if (Math.max(...lengths) === tokens) this.forget(row);
    const arrangement = this.arrange([row]);
    const binding = this.#bindings.get(arrangement.key) ?? this.bind(arrangement);
    this.#bindings.set(arrangement.key, binding);
    return binding;
  }

  end(): void {
    // Nothing to do: the next run reads the appended tokens in the same tensors.
  }

  arrange(rows: readonly number[]): Arrangement {
    const [row = 0] = rows;
    if (rows.length === 1) return this.#arrangeOne(row);
    const count = placesFor(rows.length, this.#rows.length);
    for (const row of rows) if (this.#placeOf(row) >= count) this.#bringForward(row, rows, count);
    if (this.#apart !== undefined && this.#placeOf(this.#apart) < count) this.#moveBack();
    for (const row of rows) this.#isUsed[row] = true;
    return { rows: this.#rows.slice(0, count), key: `${count}` };
  }

  bind({ rows, key }: Arrangement): Pointer {
    const { api, session, tensors, caches, memoryInfo } = this.#parts;
    const memory = key === APART ? this.#one : this.#all;
    const binding = api.createIoBinding(session);
    try {
      for (const [index, cache] of caches.entries()) {
        const { past, present, type } = cache;
        const shape = this.#shape(cache, rows.length);
        const part = { type, pointer: memory[index]?.pointer ?? 0n, memoryInfo };
        tensors.bind(binding, api.bindInput, { ...part, name: past }, shape);
        tensors.bind(binding, api.bindOutput, { ...part, name: present }, shape);
      }
      return binding;
    } catch (error) {
      api.releaseIoBinding(binding);
      throw error;
    }
  }

  copy(from: number, to: number): void {
    const [source, target] = [this.#placeOf(from), this.#placeOf(to)];
    if (this.#apart === from) this.#mover?.moveIn(target);
    else this.#mover?.moveWithin(source, target);
    if (this.#apart === to) this.#apart = undefined;
    this.#isUsed[to] = true;
  }

  forget(row: number): void {
    if (this.#apart === row) this.#apart = undefined;
    this.#isUsed[row] = false;
  }

  bytesFor(tokens: number): number {
    if (tokens === 0) return 0;
    return this.#parts.caches.reduce((sum, cache) => sum + bytesOf(cache.type, this.#shape(cache, 1)), 0);
  }

  /** The memory of the rows stays until the end of the session. */
  releaseRow(row: number, tokens: number): number {
    if (tokens === 0) this.forget(row);
    return this.bytesFor(tokens);
  }

  /** The tensors are released with all others of the session. */
  release(): void {
    for (const binding of this.#bindings.values()) this.#parts.api.releaseIoBinding(binding);
    this.#bindings.clear();
    this.#mover?.release();
  }

  #arrangeOne(row: number): Arrangement {
    if (this.#placeOf(row) > 0 && this.#apart !== row) {
      this.#moveBack();
      if (this.#isUsed[row]) this.#mover?.moveOut(this.#placeOf(row));
      this.#apart = row;
    }
    this.#isUsed[row] = true;
    return { rows: [row], key: this.#apart === row ? APART : '1' };
  }

  /** Exchanges the place of a row with one of the first places, whose row is not one of `rows`. */
  #bringForward(row: number, rows: readonly number[], count: number): void {
    const place = this.#rows.findIndex((other, index) => index < count && !rows.includes(other));
    const previous = this.#placeOf(row);
    const other = this.#rows[place];
    if (other === undefined) return;
    const isHere = (one: number): boolean => one !== this.#apart && this.#isUsed[one] === true;
    if (isHere(row)) {
      if (isHere(other)) {
        this.#moveBack();
        this.#mover?.moveOut(place);
        this.#apart = other;
      }
      this.#mover?.moveWithin(previous, place);
    } else if (isHere(other)) this.#mover?.moveWithin(place, previous);
    this.#rows[place] = row;
    this.#rows[previous] = other;
  }

  /** Moves the row that is apart back to its place. */
  #moveBack(): void {
    if (this.#apart !== undefined) this.#mover?.moveIn(this.#placeOf(this.#apart));
    this.#apart = undefined;
  }

  #placeOf(row: number): number {
    return this.#rows.indexOf(row);
  }

  #shape({ shape }: CacheTensor, rows: number): number[] {
    return [rows, ...rowOf(shape, this.#capacity).slice(1)];
  }
}

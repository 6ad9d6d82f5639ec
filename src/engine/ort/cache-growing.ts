/**
 * The cache of a model whose attention appends to it by making a longer one: what a run gives is kept where the runtime put it, on the
 * device, and is the next run's input. A row is run by itself, and cannot forget its last tokens, only all of them.
 */
import type { Pointer } from '../ffi.ts';
import type { OrtApi } from './api.ts';
import type { CacheMemory, Rows } from './cache-memory.ts';
import { type CachePort, rowOf } from './signature.ts';
import type { TensorMemory } from './tensors.ts';

/** What a row holds: a value of the runtime for each port, and how many tokens are in each. */
interface GrownRow {
  readonly values: readonly Pointer[];
  readonly tokens: number;
}

export class CacheGrowing implements CacheMemory {
  readonly together = false;
  readonly truncates = false;
  readonly #api: OrtApi;
  readonly #session: Pointer;
  readonly #ports: readonly CachePort[];
  readonly #memoryInfo: Pointer;
  #allocator: Pointer = 0n;
  #rows: (GrownRow | undefined)[] = [];

  constructor(api: OrtApi, session: Pointer, ports: readonly CachePort[], memoryInfo: Pointer) {
    this.#api = api;
    this.#session = session;
    this.#ports = ports;
    this.#memoryInfo = memoryInfo;
  }

  /** Nothing is allocated before it is needed. */
  reserve(rows: number, _capacity: number, allocator: Pointer): void {
    this.#allocator = allocator;
    this.#rows = Array.from({ length: rows }, () => undefined);
  }

  begin({ first }: Rows, past: number): Pointer {
    if (past === 0) this.forget(first);
    const held = this.#rows[first] ?? this.#begin(first);
    if (held.tokens !== past)
      throw new Error(`Row ${first} holds ${held.tokens} tokens, not ${past}: a cache that grows forgets nothing`);
    const binding = this.#api.createIoBinding(this.#session);
    try {
      for (const [index, { past: name, present }] of this.#ports.entries()) {
        this.#api.bindInput(binding, name, held.values[index] ?? 0n);
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
      // The caches were bound before anything else: they come first.
      const values = this.#api.getBoundOutputValues(binding, this.#api.getAllocatorWithDefaultOptions());
      for (const other of values.slice(this.#ports.length)) this.#api.releaseValue(other);
      this.#rows[first] = { values: values.slice(0, this.#ports.length), tokens };
    } finally {
      this.#api.releaseIoBinding(binding);
    }
  }

  forget(row: number): void {
    for (const value of this.#rows[row]?.values ?? []) this.#api.releaseValue(value);
    this.#rows[row] = undefined;
  }

  buffers(): readonly TensorMemory[] {
    return [];
  }

  release(): void {
    for (const row of this.#rows.keys()) this.forget(row);
  }

  /** A row without tokens; what was made of it is kept, and released, also when the rest cannot be made. */
  #begin(row: number): GrownRow {
    const values: Pointer[] = [];
    const held = { values, tokens: 0 };
    this.#rows[row] = held;
    for (const port of this.#ports) values.push(this.#empty(port));
    return held;
  }

  #empty({ type, shape }: CachePort): Pointer {
    const empty = rowOf(shape, 0);
    return this.#api.createTensor(this.#allocator, BigInt64Array.from(empty, BigInt), empty.length, type);
  }
}

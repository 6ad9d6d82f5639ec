/**
 * The cache of a model whose attention appends to it in place: allocated once on the device, and bound as past and as present at the same
 * address. Rows lie behind one another in one tensor, so that several run together, where the device has addresses within a buffer;
 * elsewhere each row has tensors of its own.
 */
import type { Pointer } from '../ffi.ts';
import type { OrtApi } from './api.ts';
import type { CacheMemory, Rows } from './cache-memory.ts';
import { bytesOf, type CachePort, rowOf } from './signature.ts';
import type { TensorMemory, Tensors } from './tensors.ts';

/** Bindings kept: each holds a reference for every cache of the model, and many slots have many sets of rows. */
const MOST_BINDINGS = 64;

export class CacheInPlace implements CacheMemory {
  readonly together: boolean;
  readonly truncates = true;
  readonly #api: OrtApi;
  readonly #session: Pointer;
  readonly #tensors: Tensors;
  readonly #ports: readonly CachePort[];
  readonly #memoryInfo: Pointer;
  /** Key: first row and count. The cache is bound in it for good. The one used longest ago comes first. */
  readonly #bindings = new Map<string, Pointer>();
  /** One for each port: `[rows, kvHeads, capacity, headDim]`; or, without addresses within a buffer, rows · ports of one row each. */
  #buffers: readonly TensorMemory[] = [];
  #capacity = 0;

  /** @param together whether an address within a buffer of this memory is one too. */
  constructor(
    api: OrtApi,
    session: Pointer,
    tensors: Tensors,
    ports: readonly CachePort[],
    memoryInfo: Pointer,
    together: boolean,
  ) {
    this.#api = api;
    this.#session = session;
    this.#tensors = tensors;
    this.#ports = ports;
    this.#memoryInfo = memoryInfo;
    this.together = together;
  }

  /** The cache is left as the allocator gives it: attention reads only what it has written. */
  reserve(rows: number, capacity: number, allocator: Pointer): void {
    const together = this.together ? rows : 1;
    const turns = this.together ? 1 : rows;
    this.#capacity = capacity;
    this.#buffers = Array.from({ length: turns }, () =>
      this.#ports.map(({ type, shape }) => this.#tensors.allocate(allocator, type, this.#shape(shape, together))),
    ).flat();
  }

  /** The binding of these rows, made at first use. */
  begin({ first, count }: Rows): Pointer {
    const key = `${first}+${count}`;
    const known = this.#bindings.get(key);
    if (known !== undefined) {
      this.#bindings.delete(key);
      this.#bindings.set(key, known);
      return known;
    }
    this.#forgetOldest();
    const binding = this.#api.createIoBinding(this.#session);
    try {
      this.#bindCaches(binding, { first, count });
    } catch (error) {
      this.#api.releaseIoBinding(binding);
      throw error;
    }
    this.#bindings.set(key, binding);
    return binding;
  }

  #bindCaches(binding: Pointer, { first, count }: Rows): void {
    for (const [index, { past, present, type, shape }] of this.#ports.entries()) {
      const rows = this.#shape(shape, count);
      const pointer = this.#address(index, first, bytesOf(type, this.#shape(shape, 1)));
      this.#tensors.bind(binding, this.#api.bindInput, past, type, pointer, rows, this.#memoryInfo);
      this.#tensors.bind(binding, this.#api.bindOutput, present, type, pointer, rows, this.#memoryInfo);
    }
  }

  end(): void {
    // What attention appended is where the next run reads it.
  }

  forget(): void {
    // What a row holds is overwritten; its memory is reserved.
  }

  buffers(): readonly TensorMemory[] {
    return this.#buffers;
  }

  release(): void {
    this.#buffers = [];
    for (const binding of this.#bindings.values()) this.#api.releaseIoBinding(binding);
    this.#bindings.clear();
  }

  /** Of `count` rows. */
  #shape(shape: readonly number[], count: number): number[] {
    return [count, ...rowOf(shape, this.#capacity).slice(1)];
  }

  #address(port: number, row: number, rowBytes: number): Pointer {
    const buffer = this.#buffers[this.together ? port : row * this.#ports.length + port];
    return (buffer?.pointer ?? 0n) + (this.together ? BigInt(row * rowBytes) : 0n);
  }

  #forgetOldest(): void {
    for (const [oldest, binding] of this.#bindings) {
      if (this.#bindings.size < MOST_BINDINGS) break;
      this.#bindings.delete(oldest);
      this.#api.releaseIoBinding(binding);
    }
  }
}

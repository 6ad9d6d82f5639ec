/**
 * Tensors in memory with a fixed address: allocated once, bound many times, released together. Owns the
 * runtime's objects of a session.
 */
import type { Pointer } from '../ffi.ts';
import type { OrtApi } from './api.ts';
import { bytesOf } from './signature.ts';

/** Memory of a tensor. In device memory the pointer is an address of the device. */
export interface TensorMemory {
  /** The `OrtValue` that owns the memory. */
  readonly value: Pointer;
  readonly pointer: Pointer;
  readonly bytes: number;
}

/** Memory to bind under the name of an input or output. */
export interface NamedMemory {
  readonly name: string;
  /** `ONNXTensorElementDataType`. */
  readonly type: number;
  readonly pointer: Pointer;
  /** The runtime's description of the memory (`OrtMemoryInfo`). */
  readonly memoryInfo: Pointer;
}

export class Tensors {
  readonly #api: OrtApi;
  /** The release function of each object of the runtime, in order of creation. */
  readonly #releases = new Map<Pointer, () => void>();

  constructor(api: OrtApi) {
    this.#api = api;
  }

  /** Takes ownership of an object of the runtime; `release` releases it with the others. */
  own(pointer: Pointer, release: (pointer: Pointer) => void): Pointer {
    this.#releases.set(pointer, () => release(pointer));
    return pointer;
  }

  /** Allocates a tensor of this type and shape. @throws OrtError if the memory is not available. */
  allocate(allocator: Pointer, type: number, shape: readonly number[]): TensorMemory {
    const dimensions = BigInt64Array.from(shape, BigInt);
    const value = this.own(this.#api.createTensor(allocator, dimensions, shape.length, type), this.#api.releaseValue);
    return { value, pointer: this.#api.getTensorMutableData(value), bytes: bytesOf(type, shape) };
  }

  /** Releases the memory of one tensor. Views of it must not be used any more. */
  free({ value }: Pick<TensorMemory, 'value'>): void {
    this.#releases.get(value)?.();
    this.#releases.delete(value);
  }

  /**
   * Binds memory under a name as a tensor of this shape. The binding holds a reference, so the value is
   * released at once.
   * @param bindAs the call for an input or for an output.
   */
  bind(binding: Pointer, bindAs: OrtApi['bindInput'], memory: NamedMemory, shape: readonly number[]): void {
    const { name, type, pointer, memoryInfo } = memory;
    const dimensions = BigInt64Array.from(shape, BigInt);
    const bytes = bytesOf(type, shape);
    const value = this.#api.createTensorWithData(memoryInfo, pointer, bytes, dimensions, shape.length, type);
    try {
      bindAs(binding, name, value);
    } finally {
      this.#api.releaseValue(value);
    }
  }

  /** Releases everything in reverse order. */
  release(): void {
    const releases = [...this.#releases.values()].reverse();
    this.#releases.clear();
    for (const release of releases) release();
  }
}

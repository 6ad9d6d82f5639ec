/** Tensors in memory with a fixed address: allocated once, bound any number of times, released together. */
import type { Pointer } from '../ffi.ts';
import type { OrtApi } from './api.ts';
import { bytesOf } from './signature.ts';

/** Memory of a tensor. On a device the address is the device's own. */
export interface TensorMemory {
  readonly pointer: Pointer;
  readonly bytes: number;
}

/** A name of the model and the memory to bind under it. */
export interface NamedMemory {
  readonly name: string;
  /** `ONNXTensorElementDataType`. */
  readonly type: number;
  readonly pointer: Pointer;
  /** Describes where the memory is. */
  readonly memoryInfo: Pointer;
}

export class Tensors {
  readonly #api: OrtApi;
  /** One function per object of the runtime, in the order of creation. */
  readonly #releases: (() => void)[] = [];

  constructor(api: OrtApi) {
    this.#api = api;
  }

  /** Takes over an object of the runtime, to be released with the others. */
  own(pointer: Pointer, release: (pointer: Pointer) => void): Pointer {
    this.#releases.push(() => release(pointer));
    return pointer;
  }

  /** @throws OrtError if the memory is not available. */
  allocate(allocator: Pointer, type: number, shape: readonly number[]): TensorMemory {
    const dimensions = BigInt64Array.from(shape, BigInt);
    const value = this.own(this.#api.createTensor(allocator, dimensions, shape.length, type), this.#api.releaseValue);
    return { pointer: this.#api.getTensorMutableData(value), bytes: bytesOf(type, shape) };
  }

  /**
   * Binds memory under a name as a tensor of this shape. The binding keeps its own reference to the value.
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
    for (const release of this.#releases.splice(0).reverse()) release();
  }
}

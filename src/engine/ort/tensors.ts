/**
 * Tensors in memory that stays where it is: allocated once, bound under a name as often as wanted, released together.
 */
import type { Pointer } from '../ffi.ts';
import type { OrtApi } from './api.ts';
import { bytesOf } from './signature.ts';

/** Memory of a tensor. On a device the address is the device's own. */
export interface TensorMemory {
  readonly pointer: Pointer;
  readonly bytes: number;
}

export class Tensors {
  readonly #api: OrtApi;
  /** What to release, in the order it was made. */
  readonly #made: (() => void)[] = [];

  constructor(api: OrtApi) {
    this.#api = api;
  }

  /** Takes what the runtime made into this one's care. */
  own(pointer: Pointer, release: (pointer: Pointer) => void): Pointer {
    this.#made.push(() => release(pointer));
    return pointer;
  }

  /** @throws OrtError when the memory is not to be had. */
  allocate(allocator: Pointer, type: number, shape: readonly number[]): TensorMemory {
    const dimensions = BigInt64Array.from(shape, BigInt);
    const value = this.own(this.#api.createTensor(allocator, dimensions, shape.length, type), this.#api.releaseValue);
    return { pointer: this.#api.getTensorMutableData(value), bytes: bytesOf(type, shape) };
  }

  /** Binds memory at an address under a name. The binding keeps its own reference of the value. */
  bind(
    binding: Pointer,
    bindAs: OrtApi['bindInput'],
    name: string,
    type: number,
    pointer: Pointer,
    shape: readonly number[],
    memoryInfo: Pointer,
  ): void {
    const dimensions = BigInt64Array.from(shape, BigInt);
    const bytes = bytesOf(type, shape);
    const value = this.#api.createTensorWithData(memoryInfo, pointer, bytes, dimensions, shape.length, type);
    try {
      bindAs(binding, name, value);
    } finally {
      this.#api.releaseValue(value);
    }
  }

  /** Releases everything, the last first. */
  release(): void {
    for (const undo of this.#made.splice(0).reverse()) undo();
  }
}

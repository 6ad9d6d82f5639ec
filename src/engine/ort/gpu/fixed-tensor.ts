/**
 * A tensor in memory of a device that never moves, and its staging tensor in memory of the host. A recorded
 * run reads and writes the device's memory at the same address in every replay. The host reads and writes the
 * staging tensor.
 */
import { type Pointer, viewMemory } from '../../ffi.ts';
import type { OrtApi } from '../api.ts';
import { bytesOf } from '../signature.ts';
import type { TensorMemory, Tensors } from '../tensors.ts';
import type { TensorPair } from './transfer.ts';

/** The memories of a device and of the host. */
export interface Memories {
  readonly api: OrtApi;
  readonly tensors: Tensors;
  /** Allocates in memory of the device. */
  readonly allocator: Pointer;
  /** The runtime's descriptions of the two memories (`OrtMemoryInfo`). */
  readonly deviceInfo: Pointer;
  readonly hostInfo: Pointer;
}

export interface TensorForm {
  /** The name of the input or output. */
  readonly name: string;
  /** `ONNXTensorElementDataType`. */
  readonly type: number;
  /** Rows for which there is memory. */
  readonly rows: number;
  /** Shape of one row: `[1, vocab]` for logits `[rows, 1, vocab]`. */
  readonly row: readonly number[];
}

export class FixedTensor {
  readonly form: TensorForm;
  /** The bytes of the staging tensor. */
  readonly bytes: ArrayBuffer;
  readonly #memories: Memories;
  readonly #device: TensorMemory;
  readonly #host: TensorMemory;
  /** The values of the first rows, by the number of rows. */
  readonly #pairs = new Map<number, TensorPair>();

  /** @throws OrtError if the memory is not available */
  constructor(memories: Memories, form: TensorForm) {
    const { api, tensors, allocator } = memories;
    const shape = [form.rows, ...form.row];
    this.form = form;
    this.#memories = memories;
    this.#device = tensors.allocate(allocator, form.type, shape);
    this.#host = tensors.allocate(api.getAllocatorWithDefaultOptions(), form.type, shape);
    this.bytes = viewMemory(this.#host.pointer, this.#host.bytes);
  }

  /** The first `rows` rows in both memories; default: all. The session releases the values. */
  first(rows = this.form.rows): TensorPair {
    const known = this.#pairs.get(rows);
    if (known) return known;
    const { deviceInfo, hostInfo } = this.#memories;
    const made = {
      device: this.#part(this.#device, deviceInfo, rows),
      host: this.#part(this.#host, hostInfo, rows),
    };
    this.#pairs.set(rows, made);
    return made;
  }

  #part({ pointer }: TensorMemory, info: Pointer, rows: number): TensorMemory {
    const { api, tensors } = this.#memories;
    const { type, row } = this.form;
    const shape = [rows, ...row];
    const bytes = bytesOf(type, shape);
    const sizes = BigInt64Array.from(shape, BigInt);
    const value = api.createTensorWithData(info, pointer, bytes, sizes, shape.length, type);
    return { value: tensors.own(value, api.releaseValue), pointer, bytes };
  }
}

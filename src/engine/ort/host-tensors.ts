/**
 * What a run reads and writes on the host, in memory that stays: ids, mask, positions, how many logits are wanted, and the logits. Bound anew
 * for each run, since their shapes change; copied never.
 */

import { widen } from '../../onnx/half-float.ts';
import { FLOAT32, INT64 } from '../../onnx/types.ts';
import { hostMemoryInfo } from '../devices/device.ts';
import { type Pointer, viewMemory } from '../ffi.ts';
import type { OrtApi } from './api.ts';
import { bytesOf, type Signature } from './signature.ts';
import type { TensorMemory, Tensors } from './tensors.ts';

/** How much is to be room for, in elements. */
export interface HostRoom {
  readonly ids: number;
  readonly mask: number;
  /** Places of one vocabulary each. */
  readonly logits: number;
}

interface Numbers {
  readonly pointer: Pointer;
  readonly values: BigInt64Array;
}

const NOTHING: TensorMemory = { pointer: 0n, bytes: 0 };
const NO_NUMBERS: Numbers = { pointer: 0n, values: new BigInt64Array(0) };
const NO_LOGITS = new Float32Array(0);

export class HostTensors {
  readonly #api: OrtApi;
  readonly #tensors: Tensors;
  readonly #signature: Signature;
  /** Describes memory that this process reads and writes. */
  readonly #memoryInfo: Pointer;
  #ids = NO_NUMBERS;
  /** `[rows, width]`: a row's ones are its length after the run. */
  #mask = NO_NUMBERS;
  /** Where each id is in its row. */
  #positions = NO_NUMBERS;
  /** How many last positions the run gives logits of: one number. */
  #keep = NO_NUMBERS;
  #logits = NOTHING;
  /** Where a model of half floats writes them first. */
  #halves: Uint16Array = new Uint16Array(0);
  logits: Float32Array = NO_LOGITS;

  constructor(api: OrtApi, tensors: Tensors, signature: Signature) {
    this.#api = api;
    this.#tensors = tensors;
    this.#signature = signature;
    this.#memoryInfo = tensors.own(hostMemoryInfo(api), api.releaseMemoryInfo);
  }

  get ids(): BigInt64Array {
    return this.#ids.values;
  }

  get mask(): BigInt64Array {
    return this.#mask.values;
  }

  /** @throws OrtError when the memory is not to be had. */
  reserve(room: HostRoom): void {
    const { logits, vocabSize } = this.#signature;
    const elements = room.logits * vocabSize;
    this.#ids = this.#allocate(room.ids);
    this.#positions = this.#allocate(room.ids);
    this.#mask = this.#allocate(room.mask);
    this.#keep = this.#allocate(1);
    this.#logits = this.#tensors.allocate(this.#api.getAllocatorWithDefaultOptions(), logits.type, [elements]);
    const written = viewMemory(this.#logits.pointer, this.#logits.bytes);
    this.#halves = new Uint16Array(written);
    this.logits = logits.type === FLOAT32 ? new Float32Array(written) : new Float32Array(elements);
  }

  /** Fills mask and positions by the rows' `lengths` after the run, and binds all that goes in. */
  bindInputs(binding: Pointer, lengths: readonly number[], tokens: number, positions: number): void {
    const { ids, mask, positions: places, keep } = this.#signature;
    const [rows, width] = [lengths.length, Math.max(...lengths)];
    this.#bind(binding, ids, this.#ids, [rows, tokens]);
    this.mask.fill(0n, 0, rows * width);
    for (const [row, length] of lengths.entries()) this.mask.fill(1n, row * width, row * width + length);
    this.#bind(binding, mask, this.#mask, [rows, width]);
    if (places !== undefined) {
      for (const [row, length] of lengths.entries())
        for (let token = 0; token < tokens; token++)
          this.#positions.values[row * tokens + token] = BigInt(length - tokens + token);
      this.#bind(binding, places, this.#positions, [rows, tokens]);
    }
    if (keep) {
      this.#keep.values[0] = BigInt(positions);
      this.#bind(binding, keep.name, this.#keep, keep.shape);
    }
  }

  /** Logits are written from `place` on. */
  bindLogits(binding: Pointer, place: number, shape: readonly number[]): void {
    const { logits, vocabSize } = this.#signature;
    const pointer = this.#logits.pointer + BigInt(place * bytesOf(logits.type, [vocabSize]));
    this.#tensors.bind(binding, this.#api.bindOutput, logits.name, logits.type, pointer, shape, this.#memoryInfo);
  }

  /** Makes float32 of what a model of half floats has written to `count` places. */
  widen(place: number, count: number): void {
    const { logits, vocabSize } = this.#signature;
    if (logits.type === FLOAT32) return;
    widen(logits.type, this.#halves, this.logits, place * vocabSize, (place + count) * vocabSize);
  }

  /** Before the memory is released. */
  dropViews(): void {
    this.#ids = NO_NUMBERS;
    this.#positions = NO_NUMBERS;
    this.#mask = NO_NUMBERS;
    this.#keep = NO_NUMBERS;
    this.#halves = new Uint16Array(0);
    this.logits = NO_LOGITS;
  }

  #allocate(count: number): Numbers {
    const allocator = this.#api.getAllocatorWithDefaultOptions();
    const { pointer, bytes } = this.#tensors.allocate(allocator, INT64, [count]);
    return { pointer, values: new BigInt64Array(viewMemory(pointer, bytes)) };
  }

  #bind(binding: Pointer, name: string, { pointer }: Numbers, shape: readonly number[]): void {
    this.#tensors.bind(binding, this.#api.bindInput, name, INT64, pointer, shape, this.#memoryInfo);
  }
}

/**
 * The inputs and outputs of a run in host memory with a fixed address: ids, lengths, positions, number of
 * logits, and the logits. They are bound again for each run, because their shapes change, and never copied.
 */

import { widen } from '../../onnx/half-float.ts';
import { FLOAT32, INT32, INT64 } from '../../onnx/types.ts';
import { hostMemoryInfo } from '../devices/device.ts';
import { type Pointer, viewMemory } from '../ffi.ts';
import type { OrtApi } from './api.ts';
import { bytesOf, type Signature } from './signature.ts';
import type { NamedMemory, TensorMemory, Tensors } from './tensors.ts';

/** Capacities, in elements. */
export interface HostCapacity {
  readonly ids: number;
  /** The most that a run can need: the memory of the mask grows as runs need it. */
  readonly mask: number;
  /** In positions `[vocab]`. */
  readonly logits: number;
}

/** An input of the model. */
interface Numbers<T> extends NamedMemory {
  /** The `OrtValue` that owns the memory. */
  readonly value: Pointer;
  readonly values: T;
}
type Int64s = Numbers<BigInt64Array>;
type Int32s = Numbers<Int32Array>;

/** The mask begins with room for 16 rows of 512 tokens. */
const FIRST_MASK = 2 ** 13;

const NO_MEMORY: TensorMemory = { value: 0n, pointer: 0n, bytes: 0 };
const NOTHING = { name: '', value: 0n, pointer: 0n, memoryInfo: 0n } as const;
const NO_NUMBERS: Int64s = { ...NOTHING, type: INT64, values: new BigInt64Array(0) };
const NO_LENGTHS: Int32s = { ...NOTHING, type: INT32, values: new Int32Array(0) };
const NO_LOGITS = new Float32Array(0);

export class HostTensors {
  readonly #api: OrtApi;
  readonly #tensors: Tensors;
  readonly #signature: Signature;
  /** The runtime's description of host memory (`OrtMemoryInfo`). */
  readonly #memoryInfo: Pointer;
  #ids = NO_NUMBERS;
  /** `[rows, width]`: 1 for each token of a row after the run, then 0. */
  #mask = NO_NUMBERS;
  #maskLimit = 0;
  /** `[rows]`: position of the last token of each row after the run. */
  #last = NO_LENGTHS;
  /** One number: tokens in the longest row after the run. */
  #longest = NO_LENGTHS;
  /** `[rows, tokens]`: the position of each id in its row. */
  #positions = NO_NUMBERS;
  /** One number: how many last positions get logits; negated for a graph that takes the first position. */
  #keep = NO_NUMBERS;
  #logits = NO_MEMORY;
  /** The same memory as 16-bit floats, for a model with 16-bit logits. */
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

  /** Allocates the memory, once. @throws OrtError if the memory is not available. */
  reserve(capacity: HostCapacity): void {
    const { ids, lengths, positions = '', keep } = this.#signature;
    this.#ids = this.#allocate(ids, capacity.ids);
    this.#positions = this.#allocate(positions, capacity.ids);
    if (typeof lengths === 'string') {
      this.#maskLimit = capacity.mask;
      this.#mask = this.#allocate(lengths, Math.min(FIRST_MASK, capacity.mask));
    } else {
      this.#last = this.#allocateInt32(lengths.last, capacity.ids);
      this.#longest = this.#allocateInt32(lengths.longest, 1);
    }
    this.#keep = this.#allocate(keep?.name ?? '', 1);
    this.reserveLogits(capacity.logits);
  }

  /**
   * Allocates memory for the logits of this many positions, and releases the previous one. Views of that
   * memory must not be used any more.
   * @throws OrtError if the memory is not available. The previous memory then stays.
   */
  reserveLogits(positions: number): void {
    const { logits, vocabSize } = this.#signature;
    const elements = positions * vocabSize;
    const previous = this.#logits;
    this.#logits = this.#tensors.allocate(this.#api.getAllocatorWithDefaultOptions(), logits.type, [elements]);
    const written = viewMemory(this.#logits.pointer, this.#logits.bytes);
    this.#halves = new Uint16Array(written);
    this.logits = logits.type === FLOAT32 ? new Float32Array(written) : new Float32Array(elements);
    this.#tensors.free(previous);
  }

  /**
   * Fills the lengths and positions, and binds all inputs except the KV cache.
   * @throws OrtError if there is no memory for a larger mask. RangeError for a larger one than was reserved.
   * @param lengths tokens in each row after the run.
   * @param tokens number of tokens of each row in this run.
   * @param keep number of last positions that get logits.
   */
  bindInputs(binding: Pointer, lengths: readonly number[], tokens: number, keep: number): void {
    const rows = lengths.length;
    this.#bind(binding, this.#ids, [rows, tokens]);
    if (typeof this.#signature.lengths === 'string') this.#bindMask(binding, lengths);
    else this.#bindLengths(binding, lengths);
    if (this.#signature.positions !== undefined) {
      for (const [row, length] of lengths.entries())
        for (let token = 0; token < tokens; token++)
          this.#positions.values[row * tokens + token] = BigInt(length - tokens + token);
      this.#bind(binding, this.#positions, [rows, tokens]);
    }
    const input = this.#signature.keep;
    if (input) {
      this.#keep.values[0] = BigInt(input.negated ? -keep : keep);
      this.#bind(binding, this.#keep, input.shape);
    }
  }

  #bindMask(binding: Pointer, lengths: readonly number[]): void {
    const [rows, width] = [lengths.length, Math.max(...lengths)];
    this.#growMask(rows * width);
    const { values } = this.#mask;
    values.fill(0n, 0, rows * width);
    for (const [row, length] of lengths.entries()) values.fill(1n, row * width, row * width + length);
    this.#bind(binding, this.#mask, [rows, width]);
  }

  #bindLengths(binding: Pointer, lengths: readonly number[]): void {
    for (const [row, length] of lengths.entries()) this.#last.values[row] = length - 1;
    this.#longest.values[0] = Math.max(...lengths);
    this.#bind(binding, this.#last, [lengths.length]);
    this.#bind(binding, this.#longest, [1]);
  }

  /** Binds the output of logits, starting at position `at`. */
  bindLogits(binding: Pointer, at: number, shape: readonly number[]): void {
    const { vocabSize, logits } = this.#signature;
    const { name, type } = logits;
    const pointer = this.#logits.pointer + BigInt(at * bytesOf(type, [vocabSize]));
    this.#tensors.bind(binding, this.#api.bindOutput, { name, type, pointer, memoryInfo: this.#memoryInfo }, shape);
  }

  /**
   * Widens the 16-bit logits of `count` positions, starting at `at`, to float32. Does nothing for float32
   * logits.
   */
  widen(at: number, count: number): void {
    const { logits, vocabSize } = this.#signature;
    if (logits.type === FLOAT32) return;
    widen(logits.type, this.#halves, this.logits, { start: at * vocabSize, end: (at + count) * vocabSize });
  }

  /** Doubles the memory of the mask until a run of this many elements fits. */
  #growMask(elements: number): void {
    let { length } = this.#mask.values;
    if (elements <= length) return;
    if (elements > this.#maskLimit) throw new RangeError('The mask of the run exceeds the reserved memory');
    while (length < elements) length *= 2;
    const previous = this.#mask;
    this.#mask = this.#allocate(previous.name, Math.min(length, this.#maskLimit));
    this.#tensors.free(previous);
  }

  /** Drops all views. Must be called before the memory is released. */
  dropViews(): void {
    this.#ids = NO_NUMBERS;
    this.#positions = NO_NUMBERS;
    this.#mask = NO_NUMBERS;
    this.#last = NO_LENGTHS;
    this.#longest = NO_LENGTHS;
    this.#keep = NO_NUMBERS;
    this.#halves = new Uint16Array(0);
    this.logits = NO_LOGITS;
  }

  #allocate(name: string, count: number): Int64s {
    const { memory, view } = this.#memoryFor(name, INT64, count);
    return { ...memory, values: new BigInt64Array(view) };
  }

  #allocateInt32(name: string, count: number): Int32s {
    const { memory, view } = this.#memoryFor(name, INT32, count);
    return { ...memory, values: new Int32Array(view) };
  }

  #memoryFor(name: string, type: number, count: number) {
    const allocator = this.#api.getAllocatorWithDefaultOptions();
    const { value, pointer, bytes } = this.#tensors.allocate(allocator, type, [count]);
    return { memory: { name, type, value, pointer, memoryInfo: this.#memoryInfo }, view: viewMemory(pointer, bytes) };
  }

  #bind(binding: Pointer, numbers: NamedMemory, shape: readonly number[]): void {
    this.#tensors.bind(binding, this.#api.bindInput, numbers, shape);
  }
}

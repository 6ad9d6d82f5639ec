/**
 * Copies tokens from a cache tensor of one row to that of another row, within the memory of a device, also if
 * the two have space for different numbers of tokens. The provider of the device runs a graph for it.
 */
import { COPY, copyGraph } from '../../../onnx/copy-graph.ts';
import { INT64 } from '../../../onnx/types.ts';
import { type Device, hostMemoryInfo, type MemoryUse } from '../../devices/device.ts';
import { type Pointer, viewMemory } from '../../ffi.ts';
import type { OrtApi } from '../api.ts';
import { type CacheTensor, rowOf } from '../signature.ts';
import type { NamedMemory, Tensors } from '../tensors.ts';

interface CopierParts {
  readonly api: OrtApi;
  readonly env: Pointer;
  readonly tensors: Tensors;
  readonly device: Pick<Device, 'appendProvider'>;
  readonly use: MemoryUse;
  /** The runtime's description of the cache's memory (`OrtMemoryInfo`). */
  readonly memoryInfo: Pointer;
}

/** One cache tensor of one row in memory of the device. */
export interface DeviceRow {
  readonly pointer: Pointer;
  /** Tokens for which the tensor has space. */
  readonly capacity: number;
}

/** A small input in host memory. */
interface Numbers extends NamedMemory {
  readonly values: BigInt64Array;
}

export class RowCopier {
  readonly #parts: CopierParts;
  readonly #runOptions: Pointer;
  readonly #hostInfo: Pointer;
  /** One session for each element type and axis. */
  readonly #sessions = new Map<string, Pointer>();
  readonly #numbers = new Map<string, Numbers>();

  constructor(parts: CopierParts) {
    const { api, tensors } = parts;
    this.#parts = parts;
    this.#runOptions = tensors.own(api.createRunOptions(), api.releaseRunOptions);
    this.#hostInfo = tensors.own(hostMemoryInfo(api), api.releaseMemoryInfo);
  }

  /**
   * Copies the first `tokens` tokens. The content of the target after them is zero.
   * @throws OrtError: the content of the target is then undefined.
   */
  copy(cache: CacheTensor, from: DeviceRow, to: DeviceRow, tokens: number): void {
    const { api, tensors, memoryInfo } = this.#parts;
    const { type, shape } = cache;
    const axis = shape.indexOf(-1);
    const session = this.#sessionFor(type, axis);
    const count = this.#numbersFor(COPY.count, 1);
    count.values[0] = BigInt(tokens);
    const padding = this.#numbersFor(COPY.padding, 2 * shape.length);
    padding.values.fill(0n);
    padding.values[shape.length + axis] = BigInt(to.capacity - tokens);
    const [source, target] = [
      { name: COPY.source, type, memoryInfo, pointer: from.pointer },
      { name: COPY.target, type, memoryInfo, pointer: to.pointer },
    ];
    const binding = api.createIoBinding(session);
    try {
      tensors.bind(binding, api.bindInput, source, rowOf(shape, from.capacity));
      tensors.bind(binding, api.bindInput, count, [1]);
      tensors.bind(binding, api.bindInput, padding, [2 * shape.length]);
      tensors.bind(binding, api.bindOutput, target, rowOf(shape, to.capacity));
      api.runWithBinding(session, this.#runOptions, binding);
    } finally {
      api.releaseIoBinding(binding);
    }
  }

  #sessionFor(type: number, axis: number): Pointer {
    const key = `${type} ${axis}`;
    const known = this.#sessions.get(key);
    if (known !== undefined) return known;
    const { api, env, tensors, device, use } = this.#parts;
    const options = tensors.own(api.createSessionOptions(), api.releaseSessionOptions);
    device.appendProvider(api, options, use);
    const bytes = copyGraph(type, axis);
    const made = tensors.own(api.createSessionFromArray(env, bytes, bytes.length, options), api.releaseSession);
    this.#sessions.set(key, made);
    return made;
  }

  #numbersFor(name: string, length: number): Numbers {
    const key = `${name} ${length}`;
    const known = this.#numbers.get(key);
    if (known) return known;
    const { api, tensors } = this.#parts;
    const { pointer, bytes } = tensors.allocate(api.getAllocatorWithDefaultOptions(), INT64, [length]);
    const values = new BigInt64Array(viewMemory(pointer, bytes));
    const made = { name, type: INT64, pointer, memoryInfo: this.#hostInfo, values };
    this.#numbers.set(key, made);
    return made;
  }
}

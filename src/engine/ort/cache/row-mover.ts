/**
 * Moves rows of the KV cache within the memory of a device: between the tensors of all rows and tensors of
 * one row, and from one row to another. The provider of the device runs a graph for it.
 */
import { ROW, type RowMove, rowGraph } from '../../../onnx/row-graph.ts';
import { INT64 } from '../../../onnx/types.ts';
import { type Device, hostMemoryInfo, type MemoryUse } from '../../devices/device.ts';
import { type Pointer, viewMemory } from '../../ffi.ts';
import type { OrtApi } from '../api.ts';
import type { CacheTensor } from '../signature.ts';
import type { TensorMemory, Tensors } from '../tensors.ts';

interface MoverParts {
  readonly api: OrtApi;
  readonly env: Pointer;
  readonly tensors: Tensors;
  readonly device: Pick<Device, 'appendProvider'>;
  readonly use: MemoryUse;
  readonly caches: readonly CacheTensor[];
  /** The runtime's description of the cache's memory (`OrtMemoryInfo`). */
  readonly memoryInfo: Pointer;
}

/** The tensors of the cache, of all rows or of one row, all of the same capacity. */
export interface RowTensors {
  readonly tensors: readonly Pick<TensorMemory, 'pointer'>[];
  readonly shapeOf: (cache: CacheTensor) => readonly number[];
}

/** A graph that is open, and the binding of its inputs and outputs. */
interface OpenMove {
  readonly session: Pointer;
  readonly binding: Pointer;
}

export class RowMover {
  readonly #parts: MoverParts;
  readonly #all: RowTensors;
  readonly #one: RowTensors;
  readonly #runOptions: Pointer;
  readonly #hostInfo: Pointer;
  /** The indices `from` and `to`, in memory of the host. */
  readonly #indices: Readonly<Record<'from' | 'to', BigInt64Array>>;
  readonly #pointers: Readonly<Record<'from' | 'to', Pointer>>;
  readonly #moves = new Map<RowMove, OpenMove>();

  /**
   * @param all the tensors of all rows
   * @param one the tensors of one row
   */
  constructor(parts: MoverParts, all: RowTensors, one: RowTensors) {
    const { api, tensors } = parts;
    this.#parts = parts;
    this.#all = all;
    this.#one = one;
    this.#runOptions = tensors.own(api.createRunOptions(), api.releaseRunOptions);
    this.#hostInfo = tensors.own(hostMemoryInfo(api), api.releaseMemoryInfo);
    const allocate = (): TensorMemory => tensors.allocate(api.getAllocatorWithDefaultOptions(), INT64, [1]);
    const [from, to] = [allocate(), allocate()];
    const view = ({ pointer, bytes }: TensorMemory) => new BigInt64Array(viewMemory(pointer, bytes));
    this.#indices = { from: view(from), to: view(to) };
    this.#pointers = { from: from.pointer, to: to.pointer };
  }

  /**
   * Copies the tensors of one row into this row. @throws OrtError: the content of the row is then undefined.
   */
  moveIn(to: number): void {
    this.#run('in', 0, to);
  }

  /** Copies this row into the tensors of one row. @throws OrtError: their content is then undefined. */
  moveOut(from: number): void {
    this.#run('out', from, 0);
  }

  /** Copies a row to another row. @throws OrtError: the content of the other row is then undefined. */
  moveWithin(from: number, to: number): void {
    this.#run('within', from, to);
  }

  /** Releases the bindings. The sessions are released with all other objects of the engine's session. */
  release(): void {
    for (const { binding } of this.#moves.values()) this.#parts.api.releaseIoBinding(binding);
    this.#moves.clear();
  }

  #run(move: RowMove, from: number, to: number): void {
    const { session, binding } = this.#moveFor(move);
    const { api, tensors } = this.#parts;
    this.#indices.from[0] = BigInt(from);
    this.#indices.to[0] = BigInt(to);
    const memoryInfo = this.#hostInfo;
    const bind = (name: 'from' | 'to', shape: readonly number[]): void => {
      const memory = { name: ROW[name], type: INT64, pointer: this.#pointers[name], memoryInfo };
      tensors.bind(binding, api.bindInput, memory, shape);
    };
    // The runtime copies an input from the host when it is bound.
    if (move !== 'in') bind('from', [1]);
    if (move !== 'out') bind('to', [1, 1]);
    api.runWithBinding(session, this.#runOptions, binding);
  }

  #moveFor(move: RowMove): OpenMove {
    const known = this.#moves.get(move);
    if (known) return known;
    const { api, env, tensors, device, use, caches, memoryInfo } = this.#parts;
    const options = tensors.own(api.createSessionOptions(), api.releaseSessionOptions);
    device.appendProvider(api, options, use);
    const rank = caches[0]?.shape.length ?? 0;
    const types = caches.map(({ type }) => type);
    const bytes = rowGraph(move, types, rank);
    const session = tensors.own(api.createSessionFromArray(env, bytes, bytes.length, options), api.releaseSession);
    const binding = api.createIoBinding(session);
    const bind = (call: OrtApi['bindInput'], prefix: string, { tensors: memory, shapeOf }: RowTensors): void => {
      for (const [index, cache] of caches.entries()) {
        const pointer = memory[index]?.pointer ?? 0n;
        tensors.bind(
          binding,
          call,
          { name: `${prefix}${index}`, type: cache.type, pointer, memoryInfo },
          shapeOf(cache),
        );
      }
    };
    try {
      bind(api.bindInput, ROW.all, this.#all);
      if (move === 'in') bind(api.bindInput, ROW.one, this.#one);
      bind(api.bindOutput, ROW.moved, move === 'out' ? this.#one : this.#all);
    } catch (error) {
      api.releaseIoBinding(binding);
      throw error;
    }
    const made = { session, binding };
    this.#moves.set(move, made);
    return made;
  }
}

/**
 * Steps of decoding on a GPU: one token for each of several rows. Inputs and results are in tensors that
 * never move, so that a step can be recorded once and replayed: the host then makes one call for the step, in
 * place of one for each operator. Results stay on the device, except for the best logits of each row; the
 * host gets all logits when it asks for them.
 */
import { widen } from '../../../onnx/half-float.ts';
import { FLOAT32, INT32, INT64 } from '../../../onnx/types.ts';
import type { Capture } from '../../devices/device.ts';
import { type Pointer, viewMemory } from '../../ffi.ts';
import type { TopLogits } from '../../sampling/top-logits.ts';
import type { Arrangement, FixedCache } from '../cache/memory.ts';
import type { LengthInputs, Signature } from '../signature.ts';
import { FixedTensor, type Memories } from './fixed-tensor.ts';
import type { TensorPair, Transfer } from './transfer.ts';

/** Recorded steps are kept up to this number; the least recently used one is dropped first. */
export const MAX_RECORDED = 48;
/** Run option that selects a recorded run, and the value for a run that is not recorded. */
export const GRAPH_ID = 'gpu_graph_id';
export const NO_GRAPH = '-1';

export interface StepParts extends Memories {
  readonly session: Pointer;
  readonly signature: Signature & { readonly lengths: LengthInputs };
  readonly cache: FixedCache;
  readonly transfer: Transfer;
  /** How the device records steps; absent = it does not. */
  readonly capture?: Capture;
  /** Rows that take part in runs. */
  readonly slots: number;
  /** Tokens in a row. */
  readonly capacity: number;
}

/** The logits of one position. */
export interface Logits {
  /** The best logits as the device selected them; absent = the device does not select them. */
  readonly top?: TopLogits;
  /** All logits `[vocab]`, until the next run. Copies them from the device if necessary. @throws OrtError */
  readonly all: () => Float32Array;
}

/** A row of a step. */
export interface StepRow {
  readonly row: number;
  /** The id to append. */
  readonly id: number;
  /** Tokens in the row after the step. */
  readonly length: number;
}

/** Input of the rows of a step in which no sequence decodes. */
const PAD_ID = 0;

/** A step that can be run again: its IO binding, and its run options. */
interface Step {
  readonly binding: Pointer;
  readonly runOptions: Pointer;
  /** The number of the recorded run; absent = the step is not recorded. */
  readonly graph?: number;
  /** True after the first run without an error. */
  isProven?: boolean;
}

export class DecodeSteps {
  readonly #parts: StepParts;
  readonly #ids: FixedTensor;
  readonly #last: FixedTensor;
  readonly #longest: FixedTensor;
  readonly #positions: FixedTensor | undefined;
  /** The number of positions that get logits. */
  readonly #kept: { readonly name: string; readonly value: Pointer } | undefined;
  readonly #logits: FixedTensor;
  readonly #top: Readonly<Record<'values' | 'ids' | 'sum', FixedTensor>> | undefined;
  /** All logits of the last step, as float32. */
  readonly #wide: Float32Array;
  /** By the key of their arrangement. Least recent first. */
  readonly #steps = new Map<string, Step>();
  #lastGraph = 0;
  /** True if a recording can be released before the session. */
  readonly #releasesGraphs: boolean;
  /** The rows of the last step, by their places. */
  #rows: readonly number[] = [];
  #isCopied = false;

  /** Allocates the tensors. @throws OrtError if the memory is not available */
  constructor(parts: StepParts) {
    const { signature, slots } = parts;
    const { ids, lengths, positions, keep, logits, top, vocabSize } = signature;
    const tensor = (name: string, type: number, row: readonly number[], rows = slots): FixedTensor =>
      new FixedTensor(parts, { name, type, rows, row });
    this.#parts = parts;
    this.#releasesGraphs = parts.capture?.releases === true && parts.api.offers('releaseCapturedGraph');
    this.#ids = tensor(ids, INT64, [1]);
    this.#last = tensor(lengths.last, INT32, []);
    this.#longest = tensor(lengths.longest, INT32, [], 1);
    this.#positions = positions === undefined ? undefined : tensor(positions, INT64, [1]);
    this.#kept = keep && { name: keep.name, value: this.#number(keep.shape, keep.negated ? -1n : 1n) };
    this.#logits = tensor(logits.name, logits.type, [1, vocabSize]);
    this.#top = top && {
      values: tensor(top.logits, FLOAT32, [1, top.count]),
      ids: tensor(top.ids, INT32, [1, top.count]),
      sum: tensor(top.sum, FLOAT32, [1, 1]),
    };
    const { bytes } = this.#logits;
    this.#wide = logits.type === FLOAT32 ? new Float32Array(bytes) : new Float32Array(slots * vocabSize);
  }

  /** Number of recorded steps. */
  get recorded(): number {
    return [...this.#steps.values()].filter(({ graph }) => graph !== undefined).length;
  }

  /**
   * One step: appends an id to each of some rows.
   * @param rows the rows that decode
   * @param padLength tokens in another row after a pad id behind its content: the step may contain other rows
   * @throws OrtError: the content of the rows past their previous lengths is then undefined. The step is
   * recorded again when it is run again.
   */
  run(rows: readonly StepRow[], padLength: (row: number) => number): void {
    const { cache } = this.#parts;
    const arrangement = cache.arrange(rows.map(({ row }) => row));
    const placed = arrangement.rows.map(
      (row) => rows.find((one) => one.row === row) ?? { row, id: PAD_ID, length: padLength(row) },
    );
    const longest = this.#boundOf(Math.max(...placed.map(({ length }) => length)));
    const step = this.#stepFor(arrangement);
    this.#write(placed, longest);
    try {
      this.#execute(step, arrangement);
      step.isProven = true;
    } catch (error) {
      // A device can refuse to record what it computes. The step is then run without a recording.
      if (step.graph === undefined || step.isProven) throw error;
      this.#execute(this.#keep(arrangement, this.#make(arrangement, false)), arrangement);
    }
    this.#rows = arrangement.rows;
    this.#isCopied = false;
  }

  /** The logits of a row of the last step. */
  result(row: number): Logits {
    const index = this.#rows.indexOf(row);
    if (index < 0) throw new RangeError(`Row ${row} is not part of the step`);
    const { top, vocabSize } = this.#parts.signature;
    const all = (): Float32Array => this.#all().subarray(index * vocabSize, (index + 1) * vocabSize);
    if (!this.#top || !top) return { all };
    const { values, ids, sum } = this.#top;
    const [from, to] = [index * top.count, (index + 1) * top.count];
    return {
      all,
      top: {
        values: new Float32Array(values.bytes).subarray(from, to),
        ids: new Int32Array(ids.bytes).subarray(from, to),
        sum: new Float32Array(sum.bytes)[index] ?? Number.NaN,
      },
    };
  }

  /** Drops all steps, and closes the transfer. Must be called before the session is released. */
  release(): void {
    for (const key of [...this.#steps.keys()]) this.#drop(key);
    this.#parts.transfer.close();
  }

  /** The inputs that change from step to step: not the length of the longest row if a recording keeps it. */
  get #inputs(): readonly FixedTensor[] {
    const others = [this.#positions, this.#parts.capture?.longestIn === 'host' ? undefined : this.#longest];
    return [this.#ids, this.#last, ...others.filter((one) => one !== undefined)];
  }

  /**
   * The length of the longest row for the runtime. A recorded step keeps a number that the host gave: it must
   * be at least the length in all of its replays. Attention on CUDA reads the lengths of the rows on the
   * device, and divides its work by the capacity: the bound does not change its time.
   */
  #boundOf(longest: number): number {
    const { capture, capacity } = this.#parts;
    return capture?.longestIn === 'host' ? capacity : longest;
  }

  #write(rows: readonly StepRow[], longest: number): void {
    new BigInt64Array(this.#ids.bytes).set(rows.map(({ id }) => BigInt(id)));
    const last = rows.map(({ length }) => length - 1);
    new Int32Array(this.#last.bytes).set(last);
    new Int32Array(this.#longest.bytes)[0] = longest;
    if (this.#positions) new BigInt64Array(this.#positions.bytes).set(last.map(BigInt));
  }

  #all(): Float32Array {
    const { transfer, signature } = this.#parts;
    const { type } = signature.logits;
    if (this.#isCopied) return this.#wide;
    const count = this.#rows.length;
    transfer.toHost([this.#logits.first(count)]);
    const end = count * signature.vocabSize;
    if (type !== FLOAT32) widen(type, new Uint16Array(this.#logits.bytes), this.#wide, { start: 0, end });
    this.#isCopied = true;
    return this.#wide;
  }

  /** Drops the step if it fails: it is recorded again then. @throws OrtError */
  #execute({ binding, runOptions }: Step, { key, rows: { length: count } }: Arrangement): void {
    const { api, session, transfer, capture } = this.#parts;
    try {
      if (capture) transfer.toDevice(this.#inputs.map((input) => this.#part(input, count)));
      else this.#bindInputs(binding, count, 'host');
      api.runWithBinding(session, runOptions, binding);
      if (this.#top) transfer.toHost(Object.values(this.#top).map((tensor) => tensor.first(count)));
    } catch (error) {
      this.#drop(key);
      throw error;
    }
  }

  #stepFor(arrangement: Arrangement): Step {
    const { capture } = this.#parts;
    return this.#keep(arrangement, this.#steps.get(arrangement.key) ?? this.#make(arrangement, capture !== undefined));
  }

  /** Keeps a step as the most recently used one. */
  #keep({ key }: Arrangement, step: Step): Step {
    this.#steps.delete(key);
    this.#steps.set(key, step);
    const [oldest] = this.#steps.keys();
    // To drop a recording that cannot be released would free no memory.
    const mayDrop = this.#releasesGraphs || this.#parts.capture === undefined;
    if (mayDrop && this.#steps.size > MAX_RECORDED && oldest !== undefined) this.#drop(oldest);
    return step;
  }

  /** @param records false: a step that is run without a recording */
  #make(arrangement: Arrangement, records: boolean): Step {
    const { api, cache, capture } = this.#parts;
    const binding = cache.bind(arrangement);
    let runOptions: Pointer | undefined;
    try {
      this.#bind(binding, arrangement.rows.length);
      runOptions = api.createRunOptions();
      if (!capture) return { binding, runOptions };
      if (records) this.#lastGraph += 1;
      const graph = records ? { graph: this.#lastGraph } : {};
      api.addRunConfigEntry(runOptions, GRAPH_ID, records ? String(this.#lastGraph) : NO_GRAPH);
      return { binding, runOptions, ...graph };
    } catch (error) {
      api.releaseIoBinding(binding);
      if (runOptions !== undefined) api.releaseRunOptions(runOptions);
      throw error;
    }
  }

  #bind(binding: Pointer, count: number): void {
    const { api } = this.#parts;
    if (this.#parts.capture) this.#bindInputs(binding, count, 'device');
    if (this.#parts.capture?.longestIn === 'host')
      api.bindInput(binding, this.#longest.form.name, this.#longest.first().host.value);
    if (this.#kept) api.bindInput(binding, this.#kept.name, this.#kept.value);
    const outputs = [this.#logits, ...(this.#top ? Object.values(this.#top) : [])];
    for (const output of outputs) api.bindOutput(binding, output.form.name, output.first(count).device.value);
  }

  /**
   * Binds the inputs. The runtime copies inputs of the host in this call, to the memory that the first
   * operators read: that of the device or of the host.
   */
  #bindInputs(binding: Pointer, count: number, from: keyof TensorPair): void {
    for (const input of this.#inputs)
      this.#parts.api.bindInput(binding, input.form.name, this.#part(input, count)[from].value);
  }

  /** The memory of an input for this number of rows. The length of the longest row is one number. */
  #part(input: FixedTensor, rows: number): TensorPair {
    return input.first(input === this.#longest ? 1 : rows);
  }

  /** A number int64 in memory of the host. */
  #number(shape: readonly number[], value: bigint): Pointer {
    const { api, tensors } = this.#parts;
    const memory = tensors.allocate(api.getAllocatorWithDefaultOptions(), INT64, shape);
    new BigInt64Array(viewMemory(memory.pointer, memory.bytes))[0] = value;
    return memory.value;
  }

  /** Never throws: after an error of the device, its calls fail too. */
  #drop(key: string): void {
    const step = this.#steps.get(key);
    if (!step) return;
    const { api, session } = this.#parts;
    this.#steps.delete(key);
    api.releaseIoBinding(step.binding);
    api.releaseRunOptions(step.runOptions);
    if (step.graph === undefined || !this.#releasesGraphs) return;
    try {
      api.releaseCapturedGraph(session, step.graph);
    } catch {
      // The recording is released with the session.
    }
  }
}

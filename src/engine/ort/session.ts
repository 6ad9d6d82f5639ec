/**
 * One model open on one device, and the memory that its runs read and write. `reserve` allocates the memory
 * once: small tensors on the host, the KV cache of all rows on the device. A run binds only the small tensors
 * again. Knows rows only: no sequences, no slots, no sampling.
 */
import type { GpuGraph, TensorNames } from '../../protocol/loading.ts';
import type { Device } from '../devices/device.ts';
import type { Pointer } from '../ffi.ts';
import { canMap } from '../host/mapped-memory.ts';
import { sizeOf } from '../load/read-ahead.ts';
import type { OrtApi } from './api.ts';
import { cacheFor, type MadeCache } from './cache/cache-for.ts';
import { type CacheGrowth, growthOf } from './cache/growth.ts';
import type { CacheMemory, Rows } from './cache/memory.ts';
import { type DecodeSteps, GRAPH_ID, NO_GRAPH } from './gpu/decode-steps.ts';
import { openSteps } from './gpu/open-steps.ts';
import { HostTensors } from './host-tensors.ts';
import { type ModelFile, openModel, updatesInPlace } from './model-file.ts';
import { readSessionIo } from './session-io.ts';
import { readSignature, type Signature } from './signature.ts';
import { Tensors } from './tensors.ts';
import { configureThreads, threadsFor } from './threads.ts';

/**
 * The runtime writes its warnings and errors to stderr. On a GPU only errors, because each load would warn
 * that shapes are computed on the host, which is intended.
 */
const LOG_WARNINGS = 2;
const LOG_ERRORS = 3;

/**
 * Bounds the logits of a run that scores a prompt: their memory, and the number of positions, each of which
 * is reported with its alternatives. 170 positions with a vocabulary of 49 k, 55 with one of 152 k.
 */
export const MAX_SCORED_BYTES = 32 * 2 ** 20;
export const MAX_SCORED_POSITIONS = 256;

/** Sizes of the memory to reserve. */
export interface Capacity {
  /** Rows of the KV cache. */
  readonly rows: number;
  /** The first rows, which take part in runs; default: all. The others only store tokens, for `copyRow`. */
  readonly slots?: number;
  /** Tokens per row. */
  readonly capacity: number;
  /** Maximum number of tokens of one row in one run. */
  readonly chunk: number;
  /** Maximum number of last positions of one row that get logits. */
  readonly keep: number;
}

/** One run of the model. */
export interface Run {
  readonly rows: Rows;
  /** Tokens in each row after the run. */
  readonly lengths: readonly number[];
  /** Tokens of each row in this run. */
  readonly tokens: number;
  /** Index in `logits` of the first position `[vocab]` to write. */
  readonly logitsAt: number;
  /**
   * Number of last positions of each row that need logits, at least 1. A model without an input for this
   * number computes all positions.
   */
  readonly keep: number;
}

interface OpenOptions {
  readonly names?: TensorNames;
  /** Threads on the CPU; default: `auto` for the size of the model's own file. */
  readonly threads?: number;
  /** How the device decodes; default: `off`. */
  readonly gpuGraph?: GpuGraph;
  /** True: the runtime writes no warnings. */
  readonly logsErrorsOnly?: boolean;
  /** Changes the runtime's options before the model is opened. */
  readonly configure?: (api: OrtApi, sessionOptions: Pointer) => void;
}

interface SessionParts {
  readonly api: OrtApi;
  readonly model: ModelFile;
  readonly device: Device;
  readonly tensors: Tensors;
  readonly options: OpenOptions;
}

export class Session {
  readonly signature: Signature;
  /** The model computes ids below this number: its embedding can have fewer rows than the logits have. */
  readonly idLimit: number;
  /** How the KV cache takes memory. */
  readonly growth: CacheGrowth;
  readonly #api: OrtApi;
  readonly #device: Device;
  readonly #tensors: Tensors;
  readonly #session: Pointer;
  readonly #runOptions: Pointer;
  readonly #cacheInfo: Pointer;
  readonly #cache: CacheMemory;
  readonly #fixed: MadeCache['fixed'];
  readonly #env: Pointer;
  readonly #mode: GpuGraph;
  readonly #host: HostTensors;
  /** Steps with inputs and results on the device; absent: a step is a run like all others. */
  #steps: DecodeSteps | undefined;
  #capacity: Required<Capacity> = { rows: 0, slots: 0, capacity: 0, chunk: 0, keep: 0 };

  /**
   * Opens the model. Releases everything if it throws.
   * @throws OrtError with the runtime's message; Error that names the unsupported input or output of the
   * model.
   */
  static open(api: OrtApi, model: ModelFile, device: Device, options: OpenOptions = {}): Session {
    const tensors = new Tensors(api);
    try {
      return new Session({ api, model, device, tensors, options });
    } catch (error) {
      tensors.release();
      throw error;
    }
  }

  private constructor({ api, model, device, tensors, options }: SessionParts) {
    this.#api = api;
    this.#device = device;
    this.#tensors = tensors;
    const level = device.ownMemory || options.logsErrorsOnly === true ? LOG_ERRORS : LOG_WARNINGS;
    const env = tensors.own(api.createEnv(level, 'engine'), api.releaseEnv);
    const sessionOptions = tensors.own(api.createSessionOptions(), api.releaseSessionOptions);
    configureThreads(api, sessionOptions, options.threads ?? threadsFor('auto', sizeOf(model.path)).count);
    // The runtime would keep a memory pattern for each shape, and a mask has a new shape in every step.
    // Runs are not slower without patterns.
    api.disableMemPattern(sessionOptions);
    options.configure?.(api, sessionOptions);
    const inPlace = updatesInPlace(model, options.names ?? {});
    this.#mode = options.gpuGraph ?? 'off';
    const use = { free: device.freeBytes(), grows: !inPlace, gpuGraph: this.#mode };
    device.appendProvider(api, sessionOptions, use);
    const session = tensors.own(
      openModel(api, env, sessionOptions, { ...model, opensOnce: device.ownMemory }),
      api.releaseSession,
    );
    this.#session = session;
    this.signature = readSignature(readSessionIo(api, session), options.names);
    this.idLimit = Math.min(this.signature.vocabSize, model.edited?.embeddingRows ?? Number.POSITIVE_INFINITY);
    this.#runOptions = tensors.own(api.createRunOptions(), api.releaseRunOptions);
    if (this.#mode === 'captured') api.addRunConfigEntry(this.#runOptions, GRAPH_ID, NO_GRAPH);
    this.#host = new HostTensors(api, tensors, this.signature);
    const memoryInfo = tensors.own(device.memoryInfo(api), api.releaseMemoryInfo);
    this.#cacheInfo = memoryInfo;
    const { caches } = this.signature;
    this.growth = growthOf(device, { appends: !inPlace, canMap, together: this.#mode !== 'off' });
    const { growth } = this;
    const made = cacheFor({ api, session, tensors, caches, memoryInfo, env, device, use, growth });
    this.#cache = made.cache;
    this.#fixed = made.fixed;
    this.#env = env;
  }

  /**
   * Ids of the next run, `[rows, tokens]` from index 0; capacity `max(slots, chunk)`. The caller writes them.
   */
  get ids(): BigInt64Array {
    return this.#host.ids;
  }

  /**
   * Logits of the runs, with a capacity of `rowLogits + slots` positions `[vocab]`. The next run overwrites
   * them.
   */
  get logits(): Float32Array {
    return this.#host.logits;
  }

  /** Rows that take part in runs. */
  get slots(): number {
    return this.#capacity.slots;
  }

  /** True if one run can contain several consecutive rows. */
  get batchesRows(): boolean {
    return this.#cache.batchesRows;
  }

  /**
   * Steps of decoding, with inputs and results on the device; undefined if the device does not decode so: a
   * step is then a run.
   */
  get steps(): DecodeSteps | undefined {
    return this.#steps;
  }

  /**
   * True if the KV cache is updated in place: a row can then drop its last tokens and keep the tokens before
   * them.
   */
  get truncates(): boolean {
    return this.#cache.truncates;
  }

  /** True if the content of a row can be copied to another row. */
  get copiesRows(): boolean {
    return this.#cache.copiesRows;
  }

  /** Maximum number of positions with logits of a run of one row, after `reserveScores`. */
  get scoredPositions(): number {
    const { keep, vocabSize } = this.signature;
    const fit = Math.floor(MAX_SCORED_BYTES / (vocabSize * Float32Array.BYTES_PER_ELEMENT));
    const most = Math.min(fit, MAX_SCORED_POSITIONS);
    if (!keep) return Math.max(1, Math.min(this.rowLogits, Math.max(2, most)));
    return Math.max(this.#capacity.keep, Math.min(this.#capacity.chunk, most));
  }

  /**
   * Number of positions at the start of `logits` that runs of one row use. Decode steps use the positions
   * after them, one for each row.
   */
  get rowLogits(): number {
    const { positions } = this.signature.logits;
    return positions ?? (this.signature.keep ? this.#capacity.keep : this.#capacity.chunk);
  }

  /**
   * Reserves the memory of all runs, before the first run.
   * @throws MappingError if the address space for the rows is not available: a call with fewer or shorter
   * rows may succeed. OrtError if the memory is not available: the session must then be closed.
   */
  reserve(capacity: Capacity): void {
    const { rows, slots = rows, chunk } = capacity;
    const allocator = this.#allocator();
    this.#cache.reserve(rows, capacity.capacity, allocator);
    this.#capacity = { ...capacity, slots };
    this.#host.reserve({
      ids: Math.max(slots, chunk),
      mask: slots * capacity.capacity,
      logits: this.rowLogits + slots,
    });
    this.#steps = openSteps({
      ...{ api: this.#api, tensors: this.#tensors, env: this.#env, device: this.#device, mode: this.#mode },
      ...{ session: this.#session, signature: this.signature, cache: this.#fixed, deviceInfo: this.#cacheInfo },
      ...{ allocator, slots, capacity: capacity.capacity },
    });
  }

  /**
   * Allocates the memory for the logits of `scoredPositions` positions, at the first call. Views of `logits`
   * must not be used any more.
   * @returns that number.
   * @throws OrtError if the memory is not available.
   */
  reserveScores(): number {
    const positions = this.scoredPositions;
    if (this.signature.keep && positions > this.#capacity.keep) {
      this.#host.reserveLogits(positions + this.#capacity.slots);
      this.#capacity = { ...this.#capacity, keep: positions };
    }
    return positions;
  }

  /**
   * One run over `rows`: reads `ids` as `[rows, tokens]`, appends to the KV cache of the rows, and writes
   * logits `[rows, positions, vocab]`. A run of several rows has one token per row. Without `batchesRows`,
   * every run has one row.
   * @returns number of positions written for each row; the last position belongs to the last token. It is the
   * smaller of `keep` and `tokens`. A model without an input for the number writes all `tokens`, or always 1.
   * @throws OrtError: the KV cache of the rows past their previous lengths is then undefined. RangeError if
   * ids, lengths or logits exceed their capacity, so that the runtime would read or write past their end.
   */
  run({ rows, lengths, tokens, logitsAt, keep }: Run): number {
    const { signature } = this;
    const positions = signature.logits.positions ?? (signature.keep ? Math.min(keep, tokens) : tokens);
    const width = Math.max(...lengths);
    const shape = [rows.count, positions, signature.vocabSize];
    if ((logitsAt + rows.count * positions) * signature.vocabSize > this.logits.length)
      throw new RangeError('The logits of the run exceed the reserved memory');
    if (rows.count * tokens > this.ids.length) throw new RangeError('The ids of the run exceed the reserved memory');
    if (width > this.#capacity.capacity) throw new RangeError('The lengths of the run exceed the reserved memory');
    if (rows.count > 1 && (!this.batchesRows || tokens > 1))
      throw new RangeError('A run of several rows has one token per row and a cache in one tensor');
    if (rows.first + rows.count > this.#capacity.slots) throw new RangeError('A row of the run only stores tokens');
    const binding = this.#cache.begin(rows, lengths, tokens);
    let after: number | undefined;
    try {
      this.#host.bindInputs(binding, lengths, tokens, positions);
      this.#host.bindLogits(binding, logitsAt, shape);
      this.#api.runWithBinding(this.#session, this.#runOptions, binding);
      after = width;
    } finally {
      this.#cache.end(rows, binding, after);
    }
    this.#host.widen(logitsAt, rows.count * positions);
    return positions;
  }

  /** The logits `[vocab]` at a position index of `logits`. */
  logitsAt(index: number): Float32Array {
    const { vocabSize } = this.signature;
    return this.logits.subarray(index * vocabSize, (index + 1) * vocabSize);
  }

  /**
   * Replaces the content of a row by the first `tokens` tokens of another row.
   * @throws OrtError: the content of the other row is then undefined. Error without `copiesRows`.
   */
  copyRow(from: number, to: number, tokens: number): void {
    if (!this.copiesRows) throw new Error('The KV cache is in memory that cannot be copied');
    this.#cache.copy(from, to, tokens);
  }

  /**
   * Bytes of memory that a row takes while its first `tokens` tokens are used. Address space: the pages of
   * each head. Rows of their own: the size that these tokens need, a power of two. A growing cache: the bytes
   * of these tokens. A cache that is allocated at once: the share of one row, and 0 for an empty row.
   */
  bytesFor(tokens: number): number {
    return this.#cache.bytesFor(tokens);
  }

  /**
   * Gives back the memory of a row past its first `tokens` tokens, as far as possible. These tokens stay.
   * @returns the bytes that the row still takes, in the measure of `bytesFor`
   */
  releaseRow(row: number, tokens: number): number {
    return this.#cache.releaseRow(row, tokens);
  }

  /** Drops the content of a row. */
  forget(row: number): void {
    this.#cache.forget(row);
  }

  /** Releases everything. Views of the session's memory must not be used any more. */
  close(): void {
    this.#host.dropViews();
    this.#steps?.release();
    this.#cache.release();
    this.#tensors.release();
  }

  /** The allocator of the memory that contains the KV cache. */
  #allocator(): Pointer {
    const api = this.#api;
    if (!this.#device.ownMemory) return api.getAllocatorWithDefaultOptions();
    return this.#tensors.own(api.createAllocator(this.#session, this.#cacheInfo), api.releaseAllocator);
  }
}

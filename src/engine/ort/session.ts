/**
 * One model open on one device, and the memory its runs read and write, which stays where it is from `reserve` to `close`: small tensors on
 * the host, the cache of all rows on the device. A run binds the small ones again and nothing else. Only numbers: no sequences, no slots.
 */
import type { TensorNames } from '../../protocol/loading.ts';
import type { Device } from '../devices/device.ts';
import { type Pointer, viewMemory } from '../ffi.ts';
import { sizeOf } from '../load/read-ahead.ts';
import type { OrtApi } from './api.ts';
import { CacheGrowing } from './cache-growing.ts';
import { CacheInPlace } from './cache-in-place.ts';
import type { CacheMemory, Rows } from './cache-memory.ts';
import { HostTensors } from './host-tensors.ts';
import { type ModelFile, openModel, updatesInPlace } from './model-file.ts';
import { endProfile, type Profiled } from './profile.ts';
import { readSessionIo } from './session-io.ts';
import { readSignature, type Signature } from './signature.ts';
import { Tensors } from './tensors.ts';
import { configureThreads } from './threads.ts';

/** The runtime's own warnings and errors go to stderr. On a GPU each load would warn that shapes are computed on the host, which is meant. */
const LOG_WARNINGS = 2;
const LOG_ERRORS = 3;

/** Sizes of the memory to reserve. */
export interface Capacity {
  /** Rows of the cache: sequences that can be decoded together. */
  readonly rows: number;
  /** Tokens per row. */
  readonly capacity: number;
  /** Most tokens of one row in one run. */
  readonly chunk: number;
  /** Most last positions of one row that logits are wanted of. */
  readonly keep: number;
}

/** What the caller of `open` may say beside what is opened. */
interface OpenOptions {
  readonly names?: TensorNames;
  /** Of all files of the model; those of its own file where nothing is said. */
  readonly weightBytes?: number;
  readonly profiled?: Profiled;
}

export class Session {
  readonly signature: Signature;
  readonly #api: OrtApi;
  readonly #device: Device;
  readonly #tensors: Tensors;
  readonly #session: Pointer;
  readonly #runOptions: Pointer;
  readonly #cacheInfo: Pointer;
  readonly #cache: CacheMemory;
  readonly #host: HostTensors;
  #room: Capacity = { rows: 0, capacity: 0, chunk: 0, keep: 0 };

  /**
   * Opens the model. Nothing is left behind when it throws.
   * @throws OrtError with the runtime's message; Error for a model that is not a known decoder.
   */
  static open(api: OrtApi, model: ModelFile, device: Device, asked: OpenOptions = {}): Session {
    const tensors = new Tensors(api);
    try {
      return new Session(api, model, device, tensors, asked);
    } catch (error) {
      tensors.release();
      throw error;
    }
  }

  private constructor(api: OrtApi, model: ModelFile, device: Device, tensors: Tensors, asked: OpenOptions) {
    this.#api = api;
    this.#device = device;
    this.#tensors = tensors;
    const env = tensors.own(api.createEnv(device.ownMemory ? LOG_ERRORS : LOG_WARNINGS, 'engine'), api.releaseEnv);
    const options = tensors.own(api.createSessionOptions(), api.releaseSessionOptions);
    configureThreads(api, options, asked.weightBytes ?? sizeOf(model.path));
    // A pattern is kept for every shape met, and the mask's width makes each step a new one. No difference in speed.
    api.disableMemPattern(options);
    if (asked.profiled) api.enableProfiling(options, asked.profiled.prefix);
    const inPlace = updatesInPlace(model, asked.names ?? {});
    device.appendProvider(api, options, { free: device.freeBytes(), grows: !inPlace });
    this.#session = tensors.own(openModel(api, env, options, model), api.releaseSession);
    this.signature = readSignature(readSessionIo(api, this.#session), asked.names);
    this.#runOptions = tensors.own(api.createRunOptions(), api.releaseRunOptions);
    this.#host = new HostTensors(api, tensors, this.signature);
    this.#cacheInfo = tensors.own(device.memoryInfo(api), api.releaseMemoryInfo);
    const { caches } = this.signature;
    this.#cache = inPlace
      ? new CacheInPlace(api, this.#session, tensors, caches, this.#cacheInfo, device.rowViews)
      : new CacheGrowing(api, this.#session, caches, this.#cacheInfo);
  }

  /** Ids of the next run, `[rows, tokens]` from the start; room for `max(rows, chunk)`. */
  get ids(): BigInt64Array {
    return this.#host.ids;
  }

  /** Where runs write, one vocabulary per place; room for `rowPlaces + rows` places. */
  get logits(): Float32Array {
    return this.#host.logits;
  }

  /** Whether several rows can be in one run. */
  get together(): boolean {
    return this.#cache.together;
  }

  /** Whether the cache is updated in place: then a row can forget its last tokens and keep those before them. */
  get truncates(): boolean {
    return this.#cache.truncates;
  }

  /** Places of the logits of one row's run. Those behind them are for runs of one token of all rows. */
  get rowPlaces(): number {
    const { positions } = this.signature.logits;
    return positions ?? (this.signature.keep ? this.#room.keep : this.#room.chunk);
  }

  /**
   * Allocates the memory of all runs, once.
   * @throws OrtError when the memory is not to be had; the session can only be closed then.
   */
  reserve(room: Capacity): void {
    const { rows, capacity, chunk } = room;
    this.#room = room;
    this.#reserveCache(room);
    this.#host.reserve({ ids: Math.max(rows, chunk), mask: rows * capacity, logits: this.rowPlaces + rows });
  }

  /**
   * One run over `rows`: reads `ids` as `[rows, tokens]`, appends to the rows' cache, and writes logits `[rows, positions, vocab]` from
   * `place` on. More than one token is for one row only, and so is every run of a cache that is not `together`.
   * @param lengths tokens in each row after the run.
   * @param keep last positions of each row that logits are wanted of, at least 1; a model that cannot choose gives those of all tokens.
   * @returns positions written of each row, the last of them that of the last token: `keep`, or `tokens` when they are fewer or all, or what
   * the model gives whatever is asked.
   * @throws OrtError; the cache past the rows' former lengths is undefined then. RangeError for ids, a mask or logits that have no room:
   * the runtime would read or write past them.
   */
  run(rows: Rows, lengths: readonly number[], tokens: number, place: number, keep: number): number {
    const { signature } = this;
    const positions = signature.logits.positions ?? (signature.keep ? Math.min(keep, tokens) : tokens);
    const width = Math.max(...lengths);
    const shape = [rows.count, positions, signature.vocabSize];
    if ((place + rows.count * positions) * signature.vocabSize > this.logits.length)
      throw new RangeError('No room for so many logits');
    if (rows.count * tokens > this.ids.length) throw new RangeError('No room for so many ids');
    if (rows.count * width > this.#host.mask.length) throw new RangeError('No room for so wide a mask');
    if (rows.count > 1 && (!this.together || tokens > 1)) throw new RangeError('No run for so many rows');
    const binding = this.#cache.begin(rows, width - tokens);
    let after: number | undefined;
    try {
      this.#host.bindInputs(binding, lengths, tokens, positions);
      this.#host.bindLogits(binding, place, shape);
      this.#api.runWithBinding(this.#session, this.#runOptions, binding);
      after = width;
    } finally {
      this.#cache.end(rows, binding, after);
    }
    this.#host.widen(place, rows.count * positions);
    return positions;
  }

  /** The memory of one cache, for tests that spoil it. In-place caches on the host only. */
  viewCache(index: number): Float32Array {
    const cache = this.#cache.buffers()[index];
    return cache ? new Float32Array(viewMemory(cache.pointer, cache.bytes)) : new Float32Array(0);
  }

  /** Of a session that was opened with it: the path of what was written about its runs. */
  endProfile(): string {
    return endProfile(this.#api, this.#session);
  }

  /** What the row holds is not wanted any more. */
  forget(row: number): void {
    this.#cache.forget(row);
  }

  /** Releases everything. Views of the session's memory must not be used any more. */
  close(): void {
    this.#host.dropViews();
    this.#cache.release();
    this.#tensors.release();
  }

  #reserveCache({ rows, capacity }: Capacity): void {
    const allocator = this.#device.ownMemory
      ? this.#tensors.own(this.#api.createAllocator(this.#session, this.#cacheInfo), this.#api.releaseAllocator)
      : this.#api.getAllocatorWithDefaultOptions();
    this.#cache.reserve(rows, capacity, allocator);
  }
}

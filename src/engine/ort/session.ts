/**
 * One model open on one device, and the memory its runs read and write, which stays where it is from `reserve` to `close`:
 * ids, mask, positions and logits on the host, the cache of all rows on the device. A run binds the small tensors again and nothing else.
 * Only numbers: no sequences, no slots.
 */
import type { PortNames } from '../../bridge/opening.ts';
import { type Pointer, viewMemory } from '../native.ts';
import { FLOAT32, INT64, type OrtApi } from './api.ts';
import { CacheGrowing } from './cache-growing.ts';
import { CacheInPlace } from './cache-in-place.ts';
import type { CacheMemory, Rows } from './cache-memory.ts';
import { type Device, hostMemoryInfo } from './device.ts';
import { widen } from './halves.ts';
import { type ModelFile, openModel } from './model-file.ts';
import { readPorts } from './ports.ts';
import { endProfile, type Profiled } from './profile.ts';
import { bytesOf, readSignature, type Signature } from './signature.ts';
import { type Buffer, Tensors } from './tensors.ts';
import { configureThreads } from './threads.ts';

/** The runtime's own warnings and errors go to stderr. On a GPU each load would warn that shapes are computed on the host, which is meant. */
const LOG_WARNINGS = 2;
const LOG_ERRORS = 3;

/** Sizes of the memory to reserve. */
export interface Room {
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
interface Asked {
  readonly names: PortNames;
  readonly profiled: Profiled | undefined;
}

const NOTHING: Buffer = { pointer: 0n, bytes: 0 };
const NO_IDS = new BigInt64Array(0);
const NO_LOGITS = new Float32Array(0);

export class Session {
  readonly signature: Signature;
  readonly #api: OrtApi;
  readonly #device: Device;
  readonly #tensors: Tensors;
  readonly #session: Pointer;
  readonly #runOptions: Pointer;
  /** Describes memory that this process reads and writes. */
  readonly #hostInfo: Pointer;
  readonly #cacheInfo: Pointer;
  readonly #cache: CacheMemory;
  #room: Room = { rows: 0, capacity: 0, chunk: 0, keep: 0 };
  #idsBuffer = NOTHING;
  #maskBuffer = NOTHING;
  #positionsBuffer = NOTHING;
  #keepBuffer = NOTHING;
  #logitsBuffer = NOTHING;

  /** Ids of the next run, `[rows, tokens]` from the start; room for `max(rows, chunk)`. */
  ids: BigInt64Array = NO_IDS;
  /** `[rows, width]`: a row's ones are its length after the run; room for `rows · capacity`. */
  #mask: BigInt64Array = NO_IDS;
  /** Where each id is in its row; as many as ids. */
  #positions: BigInt64Array = NO_IDS;
  /** How many last positions the next run gives logits of: one number. */
  #keep: BigInt64Array = NO_IDS;
  /** Where runs write, one vocabulary per place; room for `rowPlaces + rows` places. */
  logits: Float32Array = NO_LOGITS;
  /** Where a model of half floats writes them first. */
  #halves: Uint16Array = new Uint16Array(0);

  /**
   * Opens the model. Nothing is left behind when it throws.
   * @throws OrtError with the runtime's message; Error for a model that is not a known decoder.
   */
  static open(api: OrtApi, model: ModelFile, device: Device, names: PortNames = {}, profiled?: Profiled): Session {
    const tensors = new Tensors(api);
    try {
      return new Session(api, model, device, tensors, { names, profiled });
    } catch (error) {
      tensors.release();
      throw error;
    }
  }

  private constructor(api: OrtApi, model: ModelFile, device: Device, tensors: Tensors, { names, profiled }: Asked) {
    this.#api = api;
    this.#device = device;
    this.#tensors = tensors;
    const env = tensors.own(api.createEnv(device.ownMemory ? LOG_ERRORS : LOG_WARNINGS, 'engine'), api.releaseEnv);
    const options = tensors.own(api.createSessionOptions(), api.releaseSessionOptions);
    configureThreads(api, options, model.path);
    // A pattern is kept for every shape met, and the mask's width makes each step a new one. No difference in speed.
    api.disableMemPattern(options);
    if (profiled) api.enableProfiling(options, profiled.prefix);
    device.appendProvider(api, options, device.freeBytes());
    this.#session = tensors.own(openModel(api, env, options, model), api.releaseSession);
    this.signature = readSignature(readPorts(api, this.#session), names);
    this.#runOptions = tensors.own(api.createRunOptions(), api.releaseRunOptions);
    this.#hostInfo = tensors.own(hostMemoryInfo(api), api.releaseMemoryInfo);
    this.#cacheInfo = tensors.own(device.memoryInfo(api), api.releaseMemoryInfo);
    const { caches } = this.signature;
    const inPlace = caches.every(({ present }) => model.light?.updated.has(present));
    this.#cache = inPlace
      ? new CacheInPlace(api, this.#session, tensors, caches, this.#cacheInfo, device.rowViews)
      : new CacheGrowing(api, this.#session, caches, this.#cacheInfo);
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
    return this.signature.keep ? this.#room.keep : this.#room.chunk;
  }

  /**
   * Allocates the memory of all runs, once.
   * @throws OrtError when the memory is not to be had; the session can only be closed then.
   */
  reserve(room: Room): void {
    const { logits, vocabSize } = this.signature;
    this.#room = room;
    this.#reserveCache(room);
    const places = (this.rowPlaces + room.rows) * vocabSize;
    this.#idsBuffer = this.#allocateNumbers(Math.max(room.rows, room.chunk));
    this.#positionsBuffer = this.#allocateNumbers(Math.max(room.rows, room.chunk));
    this.#maskBuffer = this.#allocateNumbers(room.rows * room.capacity);
    this.#keepBuffer = this.#allocateNumbers(1);
    this.#logitsBuffer = this.#tensors.allocate(this.#api.getAllocatorWithDefaultOptions(), logits.type, [places]);
    const view = ({ pointer, bytes }: Buffer): BigInt64Array => new BigInt64Array(viewMemory(pointer, bytes));
    this.ids = view(this.#idsBuffer);
    this.#positions = view(this.#positionsBuffer);
    this.#mask = view(this.#maskBuffer);
    this.#keep = view(this.#keepBuffer);
    const written = viewMemory(this.#logitsBuffer.pointer, this.#logitsBuffer.bytes);
    this.#halves = new Uint16Array(written);
    this.logits = logits.type === FLOAT32 ? new Float32Array(written) : new Float32Array(places);
  }

  /**
   * One run over `rows`: reads `ids` as `[rows, tokens]`, appends to the rows' cache, and writes logits `[rows, positions, vocab]` from
   * `place` on. More than one token is for one row only, and so is every run of a cache that is not `together`.
   * @param lengths tokens in each row after the run.
   * @param keep last positions of each row that logits are wanted of, at least 1; a model that cannot choose gives those of all tokens.
   * @returns positions written of each row, the last of them that of the last token: `keep`, or `tokens` when they are fewer or all.
   * @throws OrtError; the cache past the rows' former lengths is undefined then. RangeError for ids, a mask or logits that have no room:
   * the runtime would read or write past them.
   */
  run(rows: Rows, lengths: readonly number[], tokens: number, place: number, keep: number): number {
    const { signature } = this;
    const positions = signature.keep ? Math.min(keep, tokens) : tokens;
    const width = Math.max(...lengths);
    const shape = [rows.count, positions, signature.vocabSize];
    const end = place * signature.vocabSize + bytesOf(FLOAT32, shape) / Float32Array.BYTES_PER_ELEMENT;
    if (end > this.logits.length) throw new RangeError('No room for so many logits');
    if (rows.count * tokens > this.ids.length) throw new RangeError('No room for so many ids');
    if (rows.count * width > this.#mask.length) throw new RangeError('No room for so wide a mask');
    if (rows.count > 1 && (!this.together || tokens > 1)) throw new RangeError('No run for so many rows');
    const binding = this.#cache.begin(rows, width - tokens);
    let after: number | undefined;
    try {
      this.#bindInputs(binding, lengths, tokens, width, positions);
      this.#bindLogits(binding, place, shape);
      this.#api.runWithBinding(this.#session, this.#runOptions, binding);
      after = width;
    } finally {
      this.#cache.end(rows, binding, after);
    }
    const { type } = signature.logits;
    if (type !== FLOAT32) widen(type, this.#halves, this.logits, place * signature.vocabSize, end);
    return positions;
  }

  /** The memory of one cache, for tests that spoil it. In-place caches on the host only. */
  viewCache(index: number): Float32Array {
    const cache = this.#cache.buffers()[index];
    return cache ? new Float32Array(viewMemory(cache.pointer, cache.bytes)) : NO_LOGITS;
  }

  /** Of a session that was opened with it: the path of what was written about its runs. */
  endProfile(): string {
    return endProfile(this.#api, this.#session);
  }

  /** Releases everything. Views of the session's memory must not be used any more. */
  close(): void {
    this.ids = NO_IDS;
    this.#mask = NO_IDS;
    this.#positions = NO_IDS;
    this.#keep = NO_IDS;
    this.logits = NO_LOGITS;
    this.#cache.release();
    this.#tensors.release();
  }

  #reserveCache({ rows, capacity }: Room): void {
    const allocator = this.#device.ownMemory
      ? this.#tensors.own(this.#api.createAllocator(this.#session, this.#cacheInfo), this.#api.releaseAllocator)
      : this.#api.getAllocatorWithDefaultOptions();
    this.#cache.reserve(rows, capacity, allocator);
  }

  #allocateNumbers(count: number): Buffer {
    return this.#tensors.allocate(this.#api.getAllocatorWithDefaultOptions(), INT64, [count]);
  }

  #bindInputs(binding: Pointer, lengths: readonly number[], tokens: number, width: number, positions: number): void {
    const { ids, mask, positions: places, keep } = this.signature;
    const rows = lengths.length;
    this.#bindNumbers(binding, ids, this.#idsBuffer, [rows, tokens]);
    this.#mask.fill(0n, 0, rows * width);
    for (const [row, length] of lengths.entries()) this.#mask.fill(1n, row * width, row * width + length);
    this.#bindNumbers(binding, mask, this.#maskBuffer, [rows, width]);
    if (places !== undefined) {
      for (const [row, length] of lengths.entries())
        for (let token = 0; token < tokens; token++)
          this.#positions[row * tokens + token] = BigInt(length - tokens + token);
      this.#bindNumbers(binding, places, this.#positionsBuffer, [rows, tokens]);
    }
    if (keep) {
      this.#keep[0] = BigInt(positions);
      this.#bindNumbers(binding, keep.name, this.#keepBuffer, keep.shape);
    }
  }

  #bindNumbers(binding: Pointer, name: string, { pointer }: Buffer, shape: readonly number[]): void {
    this.#tensors.bind(binding, this.#api.bindInput, name, INT64, pointer, shape, this.#hostInfo);
  }

  #bindLogits(binding: Pointer, place: number, shape: readonly number[]): void {
    const { name, type } = this.signature.logits;
    const pointer = this.#logitsBuffer.pointer + BigInt(place * bytesOf(type, [this.signature.vocabSize]));
    this.#tensors.bind(binding, this.#api.bindOutput, name, type, pointer, shape, this.#hostInfo);
  }
}

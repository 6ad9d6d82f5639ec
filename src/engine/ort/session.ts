/**
 * One model open on one device, and the memory its runs read and write, which stays where it is from `reserve` to `close`:
 * the cache of all rows, ids, mask and logits. The cache is bound once per set of rows, as past and as present, so that attention
 * updates it in place; a run binds the small tensors again and nothing else. Only numbers: no sequences, no slots.
 */
import { FLOAT32, INT64, type OrtApi, type Pointer, viewMemory } from './api.ts';
import { configureThreads, type Device, hostMemoryInfo } from './device.ts';
import { KEEP_INPUT } from './last-logits.ts';
import { openModel } from './model-file.ts';
import { readPorts, readSignature, type Signature } from './signature.ts';

/** The runtime's own warnings and errors go to stderr. */
const LOG_WARNINGS = 2;

/** Bindings kept: each holds a reference for every cache of the model, and many slots have many sets of rows. */
const MOST_BINDINGS = 64;

/** Consecutive rows of the cache. */
export interface Rows {
  readonly first: number;
  readonly count: number;
}

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

interface Buffer {
  readonly pointer: Pointer;
  readonly bytes: number;
}

const NO_IDS = new BigInt64Array(0);
const NO_LOGITS = new Float32Array(0);

export class Session {
  readonly signature: Signature;
  readonly #api: OrtApi;
  readonly #device: Device;
  /** What to release, in the order it was made. */
  readonly #made: (() => void)[];
  readonly #session: Pointer;
  readonly #runOptions: Pointer;
  /** Describes memory that this process reads and writes. */
  readonly #hostInfo: Pointer;
  readonly #cacheInfo: Pointer;
  /** Key: first row and count. The cache is bound in it for good. The one used longest ago comes first. */
  readonly #bindings = new Map<string, Pointer>();
  /** Base addresses of `[rows, kvHeads, capacity, headDim]`, one per cache of the signature. */
  #caches: readonly Buffer[] = [];
  #room: Room = { rows: 0, capacity: 0, chunk: 0, keep: 0 };
  #idsBuffer: Buffer = { pointer: 0n, bytes: 0 };
  #maskBuffer: Buffer = { pointer: 0n, bytes: 0 };
  #keepBuffer: Buffer = { pointer: 0n, bytes: 0 };
  #logitsBuffer: Buffer = { pointer: 0n, bytes: 0 };

  /** Ids of the next run, `[rows, tokens]` from the start; room for `max(rows, chunk)`. */
  ids: BigInt64Array = NO_IDS;
  /** Mask of the next run, `[rows, width]` from the start: a row's ones are its length after the run; room for `rows · capacity`. */
  mask: BigInt64Array = NO_IDS;
  /** How many last positions the next run gives logits of: one number. */
  #keep: BigInt64Array = NO_IDS;
  /** Where runs write, one vocabulary per place; room for `rowPlaces + rows` places. */
  logits: Float32Array = NO_LOGITS;

  /**
   * Opens the model. Nothing is left behind when it throws.
   * @throws OrtError with the runtime's message; Error for a model that is not a known decoder.
   */
  static open(api: OrtApi, modelFile: string, device: Device): Session {
    const made: (() => void)[] = [];
    try {
      return new Session(api, modelFile, device, made);
    } catch (error) {
      release(made);
      throw error;
    }
  }

  private constructor(api: OrtApi, modelFile: string, device: Device, made: (() => void)[]) {
    this.#api = api;
    this.#device = device;
    this.#made = made;
    const env = this.#own(api.createEnv(LOG_WARNINGS, 'engine'), api.releaseEnv);
    const options = this.#own(api.createSessionOptions(), api.releaseSessionOptions);
    configureThreads(api, options, modelFile);
    // A pattern is kept for every shape met, and the mask's width makes each step a new one. No difference in speed.
    api.disableMemPattern(options);
    device.appendProvider(api, options);
    this.#session = this.#own(openModel(api, env, options, modelFile), api.releaseSession);
    this.signature = readSignature(readPorts(api, this.#session, 'inputs'), readPorts(api, this.#session, 'outputs'));
    this.#runOptions = this.#own(api.createRunOptions(), api.releaseRunOptions);
    this.#hostInfo = this.#own(hostMemoryInfo(api), api.releaseMemoryInfo);
    this.#cacheInfo = this.#own(device.memoryInfo(api), api.releaseMemoryInfo);
  }

  /** Bytes of the cache of one row of `capacity` tokens. */
  rowBytes(capacity: number): number {
    const { caches, kvHeads, headDim } = this.signature;
    return caches.length * kvHeads * capacity * headDim * Float32Array.BYTES_PER_ELEMENT;
  }

  /** Places of the logits of one row's run. Those behind them are for runs of one token of all rows. */
  get rowPlaces(): number {
    return this.signature.keepsLast ? this.#room.keep : this.#room.chunk;
  }

  /**
   * Allocates the memory of all runs, once. The cache is left as the allocator gives it: attention reads only what it has written.
   * @throws OrtError when the memory is not to be had; the session can only be closed then.
   */
  reserve(room: Room): void {
    const { caches, kvHeads, headDim, vocabSize } = this.signature;
    const host = this.#api.getAllocatorWithDefaultOptions();
    const device = this.#device.allocator(this.#api, this.#session);
    this.#room = room;
    const cacheShape = [room.rows, kvHeads, room.capacity, headDim];
    this.#caches = caches.map(() => this.#allocate(device, FLOAT32, cacheShape));
    this.#idsBuffer = this.#allocate(host, INT64, [Math.max(room.rows, room.chunk)]);
    this.#maskBuffer = this.#allocate(host, INT64, [room.rows * room.capacity]);
    this.#keepBuffer = this.#allocate(host, INT64, [1]);
    this.#logitsBuffer = this.#allocate(host, FLOAT32, [(this.rowPlaces + room.rows) * vocabSize]);
    this.ids = new BigInt64Array(viewMemory(this.#idsBuffer.pointer, this.#idsBuffer.bytes));
    this.mask = new BigInt64Array(viewMemory(this.#maskBuffer.pointer, this.#maskBuffer.bytes));
    this.#keep = new BigInt64Array(viewMemory(this.#keepBuffer.pointer, this.#keepBuffer.bytes));
    this.logits = new Float32Array(viewMemory(this.#logitsBuffer.pointer, this.#logitsBuffer.bytes));
  }

  /**
   * One run over `rows`: reads `ids` as `[rows, tokens]` and `mask` as `[rows, width]`, appends to the rows' cache in place, and writes
   * logits `[rows, positions, vocab]` from `place` on. More than one token is for one row only.
   * @param keep last positions of each row that logits are wanted of, at least 1; a model that cannot choose gives those of all tokens.
   * @returns positions written of each row, the last of them that of the last token: `keep`, or `tokens` when they are fewer or all.
   * @throws OrtError; the cache past the rows' former lengths is undefined then. RangeError for ids, a mask or logits that have no room:
   * the runtime would read or write past them.
   */
  run(rows: Rows, tokens: number, width: number, place: number, keep: number): number {
    const { vocabSize, keepsLast, keepShape } = this.signature;
    const positions = keepsLast ? Math.min(keep, tokens) : tokens;
    const logits = place * vocabSize * Float32Array.BYTES_PER_ELEMENT;
    const shape = [rows.count, positions, vocabSize];
    if (logits + bytesOf(FLOAT32, shape) > this.#logitsBuffer.bytes) throw new RangeError('No room for so many logits');
    if (rows.count * tokens > this.ids.length) throw new RangeError('No room for so many ids');
    if (rows.count * width > this.mask.length) throw new RangeError('No room for so wide a mask');
    const binding = this.#binding(rows);
    this.#bind(binding, this.#api.bindInput, 'input_ids', INT64, this.#idsBuffer.pointer, [rows.count, tokens]);
    this.#bind(binding, this.#api.bindInput, 'attention_mask', INT64, this.#maskBuffer.pointer, [rows.count, width]);
    if (keepsLast) {
      this.#keep[0] = BigInt(positions);
      this.#bind(binding, this.#api.bindInput, KEEP_INPUT, INT64, this.#keepBuffer.pointer, keepShape);
    }
    const output = this.#logitsBuffer.pointer + BigInt(logits);
    this.#bind(binding, this.#api.bindOutput, 'logits', FLOAT32, output, shape);
    this.#api.runWithBinding(this.#session, this.#runOptions, binding);
    return positions;
  }

  /** The memory of one cache, for tests that spoil it. Host devices only. */
  viewCache(index: number): Float32Array {
    const cache = this.#caches[index];
    return cache ? new Float32Array(viewMemory(cache.pointer, cache.bytes)) : NO_LOGITS;
  }

  /** Releases everything. Views of the session's memory must not be used any more. */
  close(): void {
    this.ids = NO_IDS;
    this.mask = NO_IDS;
    this.#keep = NO_IDS;
    this.logits = NO_LOGITS;
    this.#caches = [];
    for (const binding of this.#bindings.values()) this.#api.releaseIoBinding(binding);
    this.#bindings.clear();
    release(this.#made);
  }

  #own(pointer: Pointer, releaseIt: (pointer: Pointer) => void): Pointer {
    this.#made.push(() => releaseIt(pointer));
    return pointer;
  }

  #allocate(allocator: Pointer, type: number, shape: readonly number[]): Buffer {
    const dimensions = BigInt64Array.from(shape, BigInt);
    const value = this.#own(this.#api.createTensor(allocator, dimensions, shape.length, type), this.#api.releaseValue);
    return { pointer: this.#api.getTensorMutableData(value), bytes: bytesOf(type, shape) };
  }

  /** Binds memory at an address under a name. The binding keeps its own reference of the value. */
  #bind(
    binding: Pointer,
    bindAs: OrtApi['bindInput'],
    name: string,
    type: number,
    pointer: Pointer,
    shape: readonly number[],
    info: Pointer = this.#hostInfo,
  ): void {
    const dimensions = BigInt64Array.from(shape, BigInt);
    const bytes = bytesOf(type, shape);
    const value = this.#api.createTensorWithData(info, pointer, bytes, dimensions, shape.length, type);
    try {
      bindAs(binding, name, value);
    } finally {
      this.#api.releaseValue(value);
    }
  }

  /** The binding of these rows, made at first use: their part of every cache, as past and as present. */
  #binding({ first, count }: Rows): Pointer {
    const key = `${first}+${count}`;
    const known = this.#bindings.get(key);
    if (known !== undefined) {
      this.#bindings.delete(key);
      this.#bindings.set(key, known);
      return known;
    }
    for (const [oldest, binding] of this.#bindings) {
      if (this.#bindings.size < MOST_BINDINGS) break;
      this.#bindings.delete(oldest);
      this.#api.releaseIoBinding(binding);
    }
    const { caches, kvHeads, headDim } = this.signature;
    const binding = this.#api.createIoBinding(this.#session);
    this.#bindings.set(key, binding);
    const shape = [count, kvHeads, this.#room.capacity, headDim];
    const offset = BigInt((first * bytesOf(FLOAT32, shape)) / count);
    for (const [index, { past, present }] of caches.entries()) {
      const pointer = (this.#caches[index]?.pointer ?? 0n) + offset;
      this.#bind(binding, this.#api.bindInput, past, FLOAT32, pointer, shape, this.#cacheInfo);
      this.#bind(binding, this.#api.bindOutput, present, FLOAT32, pointer, shape, this.#cacheInfo);
    }
    return binding;
  }
}

function bytesOf(type: number, shape: readonly number[]): number {
  const size = type === INT64 ? BigInt64Array.BYTES_PER_ELEMENT : Float32Array.BYTES_PER_ELEMENT;
  return shape.reduce((product, dimension) => product * dimension, size);
}

function release(made: (() => void)[]): void {
  for (const undo of made.splice(0).reverse()) undo();
}

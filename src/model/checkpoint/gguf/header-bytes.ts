/**
 * Reads the header of a GGUF file from its start to its end. A part of the file is in memory, never more than
 * the limits allow. The caller asks for bytes ahead and then reads values without waiting.
 */
import { isUtf8 } from 'node:buffer';
import { truncation } from '../../onnx-weights.ts';
import { BrokenCheckpoint, HEADER_LIMITS } from '../safetensors.ts';

/**
 * Limits of the headers of a GGUF model. The largest known vocabularies have 262 144 tokens and 515 000
 * merges, in a header of 16 MB.
 */
export const GGUF_LIMITS = {
  /** Bytes of the headers of all files of a model. */
  allBytes: 64 * 2 ** 20,
  /** Entries of the metadata of a file. */
  entries: 2 ** 16,
  /** Bytes of a key, and of the name of a tensor. */
  name: HEADER_LIMITS.name,
  /** Bytes of one text: a chat template, or a tokenizer.json as a text. */
  text: 32 * 2 ** 20,
  /** Elements of all arrays of a model. */
  elements: 2 ** 22,
  /** Arrays inside of arrays, and their depth. No known file has one. */
  nested: 2 ** 12,
  depth: 4,
  /** Tensors of all files of a model. */
  tensors: HEADER_LIMITS.tensors,
  /** Dimensions of a tensor, as in ggml. */
  rank: 4,
  /** Files of a split model. */
  files: 1024,
  /** Bytes of the factors of a rotary embedding, which the worker reads. */
  factors: 2 ** 16,
} as const;

/** The remaining limits for the headers of a model. One object for all files of a model. */
export interface GgufBudget {
  bytes: number;
  elements: number;
  nested: number;
  tensors: number;
}

/** The limits before the first file is read. */
export const ggufBudget = (): GgufBudget => ({
  bytes: GGUF_LIMITS.allBytes,
  elements: GGUF_LIMITS.elements,
  nested: GGUF_LIMITS.nested,
  tensors: GGUF_LIMITS.tensors,
});

/** Bytes of one read. The tokens in it take about 3 ms; the event loop turns before the next read. */
const WINDOW = 2 ** 18;
/** Bytes of the longest text that is decoded in one turn of the event loop. */
export const MOST_AT_ONCE = WINDOW;
const REPLACEMENT = '\ufffd';

/** A file from which ranges are read: on the disk, or on a server. */
export interface ByteSource {
  /** Reads at most `length` bytes from `position` to `target[offset]`; 0 bytes at the end of the file. */
  read(target: Uint8Array, offset: number, length: number, position: number): Promise<{ readonly bytesRead: number }>;
}

export class HeaderBytes {
  readonly #handle: ByteSource;
  readonly #size: number;
  /** Maximum size of the header in bytes. */
  readonly #most: number;
  #window = Buffer.alloc(0);
  /** Position in the window. */
  #at = 0;
  /** Position in the file of the window's end. */
  #end = 0;

  constructor(handle: ByteSource, size: number, most: number) {
    this.#handle = handle;
    this.#size = size;
    this.#most = most;
  }

  /** Position in the file of the next byte. */
  get position(): number {
    return this.#end - this.#window.length + this.#at;
  }

  /** Bytes of the file that have not been read. */
  get left(): number {
    return this.#size - this.position;
  }

  /** True if the next `count` bytes are in memory, or all remaining bytes of the file. */
  has(count: number): boolean {
    return this.#window.length - this.#at >= Math.min(count, this.left);
  }

  /**
   * Reads until `has(count)` is true.
   * @throws BrokenCheckpoint for a header beyond its limit, or a file that became shorter
   */
  async ahead(count: number): Promise<void> {
    if (this.has(count)) return;
    this.#checkLimit(count);
    const rest = this.#window.subarray(this.#at);
    const wanted = Math.min(Math.max(count - rest.length, WINDOW), this.#size - this.#end);
    const window = Buffer.allocUnsafe(rest.length + wanted);
    rest.copy(window);
    await this.#readInto(window.subarray(rest.length));
    this.#window = window;
    this.#at = 0;
  }

  /** A copy of the next `count` bytes. @throws BrokenCheckpoint as `ahead`, or if the file is too short */
  async copy(count: number): Promise<Uint8Array<ArrayBuffer>> {
    this.expect(count);
    this.#checkLimit(count);
    const bytes = new Uint8Array(count);
    const known = Math.min(count, this.#window.length - this.#at);
    bytes.set(this.#window.subarray(this.#at, this.#at + known));
    this.#at += known;
    if (known === count) return bytes;
    this.#window = Buffer.alloc(0);
    this.#at = 0;
    await this.#readInto(bytes.subarray(known));
    return bytes;
  }

  /** @throws BrokenCheckpoint if the file has fewer bytes left */
  expect(count: number): void {
    if (count <= this.left) return;
    throw new BrokenCheckpoint(truncation(this.#size, this.position + count, 'its header'));
  }

  uint8(): number {
    return this.#window.readUInt8(this.#take(1));
  }

  int8(): number {
    return this.#window.readInt8(this.#take(1));
  }

  uint16(): number {
    return this.#window.readUInt16LE(this.#take(2));
  }

  int16(): number {
    return this.#window.readInt16LE(this.#take(2));
  }

  uint32(): number {
    return this.#window.readUInt32LE(this.#take(4));
  }

  int32(): number {
    return this.#window.readInt32LE(this.#take(4));
  }

  float32(): number {
    return this.#window.readFloatLE(this.#take(4));
  }

  float64(): number {
    return this.#window.readDoubleLE(this.#take(8));
  }

  /** A bigint beyond 2^53. */
  uint64(): number | bigint {
    return exact(this.#window.readBigUInt64LE(this.#take(8)));
  }

  int64(): number | bigint {
    return exact(this.#window.readBigInt64LE(this.#take(8)));
  }

  /** A length or a count. Rounded beyond 2^53, where it exceeds every limit. */
  count(): number {
    const at = this.#take(8);
    return this.#window.readUInt32LE(at) + this.#window.readUInt32LE(at + 4) * 2 ** 32;
  }

  /**
   * The text of the next `length` bytes. For bytes that are not UTF-8: undefined, or U+FFFD in their place if
   * the text need not be exact.
   */
  text(length: number, isExact: boolean): string | undefined {
    const from = this.#take(length);
    const text = this.#window.toString('utf8', from, from + length);
    const isText = !isExact || !text.includes(REPLACEMENT) || isUtf8(this.#window.subarray(from, from + length));
    return isText ? text : undefined;
  }

  /** As `text`, for bytes that need not be in memory. Reads and decodes them in pieces, one in each turn. */
  async longText(length: number, isExact: boolean): Promise<string | undefined> {
    this.#checkLimit(length);
    this.expect(length);
    const decoder = new TextDecoder('utf-8', { fatal: isExact, ignoreBOM: true });
    const pieces: string[] = [];
    let isText = true;
    for (let left = length; left > 0; left -= Math.min(left, WINDOW)) {
      const count = Math.min(left, WINDOW);
      await this.ahead(count);
      const from = this.#take(count);
      const piece = decoded(decoder, this.#window.subarray(from, from + count), left > count);
      isText &&= piece !== undefined;
      if (isText) pieces.push(piece ?? '');
    }
    return isText ? pieces.join('') : undefined;
  }

  /** Steps over bytes that are in memory. Returns their place in the window. */
  #take(count: number): number {
    const from = this.#at;
    if (from + count > this.#window.length) {
      this.expect(count);
      throw new Error('The caller has not asked for the bytes ahead.');
    }
    this.#at = from + count;
    return from;
  }

  #checkLimit(count: number): void {
    if (this.position + count > this.#most)
      throw new BrokenCheckpoint(`exceeds the limit of ${GGUF_LIMITS.allBytes} bytes for the headers of all files`);
  }

  async #readInto(target: Uint8Array): Promise<void> {
    for (let at = 0; at < target.length; ) {
      const { bytesRead } = await this.#handle.read(target, at, target.length - at, this.#end);
      if (bytesRead === 0) throw new BrokenCheckpoint('changed while it was read: try again');
      at += bytesRead;
      this.#end += bytesRead;
    }
  }
}

/** The text of a piece; undefined for bytes that are not UTF-8, if the decoder is fatal. */
function decoded(decoder: InstanceType<typeof TextDecoder>, bytes: Uint8Array, stream: boolean): string | undefined {
  try {
    return decoder.decode(bytes, { stream });
  } catch {
    return undefined;
  }
}

const exact = (value: bigint): number | bigint => {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
};

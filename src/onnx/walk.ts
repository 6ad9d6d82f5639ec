/**
 * Reads a protobuf message from a file without blocking the event loop: reads tags and lengths in bounded
 * asynchronous reads, and skips the content between them. For the worker, which must answer health probes at
 * the same time. protobuf.ts is the synchronous reader of the engine: it reads byte by byte and edits the
 * message in memory. A common reader would await every byte there, or block the event loop here. Knows
 * nothing about models.
 * https://protobuf.dev/programming-guides/encoding/
 */
import type { FileHandle } from 'node:fs/promises';
import { BYTES, contentBytes, type Field, VARINT } from './protobuf.ts';

/** The bytes are not a protobuf message. */
export class NotProtobuf extends Error {}

/** Bytes of one read. */
const WINDOW_BYTES = 64 * 1024;
/** A tag and a length have at most ten bytes each. */
const HEAD_BYTES = 20;
/** A varint has at most ten bytes of seven bits. */
const MAX_VARINT = 2 ** 70;
/** Maximum number of fields in a message, which bounds the time if the bytes are random. */
const MAX_FIELDS = 2 ** 20;

export class ProtobufFile {
  readonly #file: FileHandle;
  /** The last bytes read. Their content never changes, because callers keep parts of it. */
  #window: Buffer = Buffer.alloc(0);
  /** Position of the window in the file. */
  #start = 0;

  constructor(file: FileHandle) {
    this.#file = file;
  }

  /** Reads bytes of the file; fewer at its end. */
  async bytes(from: number, to: number): Promise<Buffer> {
    if (from < this.#start || to > this.#start + this.#window.length) {
      this.#window = await this.#read(from, Math.max(to - from, WINDOW_BYTES));
      this.#start = from;
    }
    return this.#window.subarray(from - this.#start, to - this.#start);
  }

  /**
   * The fields of the message between two positions. A field may end past the file, but not past `to`.
   * @throws NotProtobuf.
   */
  async *fields(from: number, to: number): AsyncGenerator<Field> {
    let count = 0;
    for (let at = from; at < to; ) {
      if (++count > MAX_FIELDS) throw new NotProtobuf();
      const field = fieldAt(await this.bytes(at, Math.min(at + HEAD_BYTES, to)), at);
      yield field;
      if (field.to > to) throw new NotProtobuf();
      at = field.to;
    }
  }

  async #read(from: number, length: number): Promise<Buffer> {
    const bytes = Buffer.allocUnsafeSlow(length);
    let done = 0;
    for (let count = -1; done < length && count !== 0; done += count)
      count = (await this.#file.read(bytes, done, length - done, from + done)).bytesRead;
    return bytes.subarray(0, done);
  }
}

/** The values of a packed repeated field. */
export function* packed(bytes: Uint8Array): Generator<number> {
  for (let at = 0; at < bytes.length; ) {
    const { value, length } = varintAt(bytes, at);
    yield value;
    at += length;
  }
}

/** The field that begins with the bytes of `head`, at the position `start` of the file. */
function fieldAt(head: Uint8Array, start: number): Field {
  const tag = varintAt(head, 0);
  const number = Math.floor(tag.value / 8);
  const wire = tag.value % 8;
  if (number === 0) throw new NotProtobuf();
  let from = start + tag.length;
  if (wire !== VARINT && wire !== BYTES) return { number, wire, value: 0, start, from, to: from + sizeOf(wire) };
  const { value, length } = varintAt(head, tag.length);
  if (wire === VARINT) return { number, wire, value, start, from, to: from + length };
  from += length;
  return { number, wire, value: 0, start, from, to: from + value };
}

/** Number of content bytes of a field of fixed size. */
function sizeOf(wire: number): number {
  const bytes = contentBytes(wire, 0);
  if (bytes === undefined) throw new NotProtobuf();
  return bytes;
}

function varintAt(bytes: Uint8Array, at: number): { value: number; length: number } {
  let value = 0;
  let length = 0;
  for (let scale = 1; scale < MAX_VARINT; scale *= 128) {
    const byte = bytes[at + length++];
    if (byte === undefined) break;
    value += (byte & 127) * scale;
    if (byte < 128) return { value, length };
  }
  throw new NotProtobuf();
}

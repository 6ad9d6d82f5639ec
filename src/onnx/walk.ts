/**
 * A protobuf message in a file, walked from one length to the next in bounded reads that never hold up the event loop: what lies between
 * the lengths is not read. Knows nothing of models. https://protobuf.dev/programming-guides/encoding/
 */
import type { FileHandle } from 'node:fs/promises';

/** One field of a message: where its content lies. `value` is that of a varint, exact up to 2^53; 0 of the others. */
export interface Field {
  readonly number: number;
  readonly wire: number;
  readonly value: number;
  readonly from: number;
  readonly to: number;
}

/** Bytes that are no message. */
export class NotProtobuf extends Error {}

export const VARINT = 0;
const FIXED64 = 1;
export const BYTES = 2;
const FIXED32 = 5;

/** Read at once. */
const WINDOW_BYTES = 64 * 1024;
/** A tag and a length have ten bytes of seven bits each at most. */
const HEAD_BYTES = 20;
const MOST_VARINT = 2 ** 70;
/** Of one message: random bytes must not be walked for ever. */
const MOST_FIELDS = 2 ** 20;

export class ProtobufFile {
  readonly #file: FileHandle;
  /** The bytes read last, and where they lie. Never written again: parts of it are given away. */
  #window: Buffer = Buffer.alloc(0);
  #start = 0;

  constructor(file: FileHandle) {
    this.#file = file;
  }

  /** Bytes of the file, fewer where it ends. */
  async bytes(from: number, to: number): Promise<Buffer> {
    if (from < this.#start || to > this.#start + this.#window.length) {
      this.#window = await this.#read(from, Math.max(to - from, WINDOW_BYTES));
      this.#start = from;
    }
    return this.#window.subarray(from - this.#start, to - this.#start);
  }

  /**
   * The fields of the message between two places. A field may end behind the file's end, but not behind `to`.
   * @throws NotProtobuf.
   */
  async *fields(from: number, to: number): AsyncGenerator<Field> {
    let count = 0;
    for (let at = from; at < to; ) {
      if (++count > MOST_FIELDS) throw new NotProtobuf();
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

/** Numbers that are written one behind the other. */
export function* packed(bytes: Uint8Array): Generator<number> {
  for (let at = 0; at < bytes.length; ) {
    const { value, length } = varintAt(bytes, at);
    yield value;
    at += length;
  }
}

/** The field whose first bytes these are; `place` is where they lie. */
function fieldAt(head: Uint8Array, place: number): Field {
  const tag = varintAt(head, 0);
  const number = Math.floor(tag.value / 8);
  const wire = tag.value % 8;
  if (number === 0) throw new NotProtobuf();
  let from = place + tag.length;
  if (wire === FIXED64 || wire === FIXED32)
    return { number, wire, value: 0, from, to: from + (wire === FIXED64 ? 8 : 4) };
  if (wire !== VARINT && wire !== BYTES) throw new NotProtobuf();
  const { value, length } = varintAt(head, tag.length);
  if (wire === VARINT) return { number, wire, value, from, to: from + length };
  from += length;
  return { number, wire, value: 0, from, to: from + value };
}

function varintAt(bytes: Uint8Array, at: number): { value: number; length: number } {
  let value = 0;
  let length = 0;
  for (let scale = 1; scale < MOST_VARINT; scale *= 128) {
    const byte = bytes[at + length++];
    if (byte === undefined) break;
    value += (byte & 127) * scale;
    if (byte < 128) return { value, length };
  }
  throw new NotProtobuf();
}

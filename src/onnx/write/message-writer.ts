/**
 * Writes protobuf messages into one growing buffer. A graph has thousands of small fields: pieces of their
 * own for each (`writeBytes` of protobuf.ts) take three times as long. Knows nothing about models. Pure.
 * https://protobuf.dev/programming-guides/encoding/
 */
import { BYTES, VARINT } from '../protobuf.ts';

const FIRST_BYTES = 64 * 1024;
/** A varint of 64 bits has at most as many bytes. */
const VARINT_BYTES = 10;
/** UTF-8 has at most as many bytes for a UTF-16 unit. */
const UTF8_BYTES = 3;
/** Wire type of a float. */
const FIXED32 = 5;

export class MessageWriter {
  #buffer = Buffer.allocUnsafe(FIRST_BYTES);
  #end = 0;

  /** A field with an integer of 64 bits; a negative one in two's complement. */
  number(field: number, value: number): void {
    this.#tag(field, VARINT);
    if (value >= 0) this.#varint(value);
    else this.#negative(value);
  }

  /** A field with a float of 32 bits. */
  float(field: number, value: number): void {
    this.#tag(field, FIXED32);
    this.#reserve(Float32Array.BYTES_PER_ELEMENT);
    this.#end = this.#buffer.writeFloatLE(value, this.#end);
  }

  text(field: number, value: string): void {
    this.message(field, () => {
      this.#reserve(value.length * UTF8_BYTES);
      this.#end += this.#buffer.write(value, this.#end);
    });
  }

  bytes(field: number, value: Uint8Array): void {
    this.message(field, () => {
      this.#reserve(value.length);
      this.#buffer.set(value, this.#end);
      this.#end += value.length;
    });
  }

  /** A field with the bytes that `content` writes. */
  message(field: number, content: () => void): void {
    this.#tag(field, BYTES);
    this.#reserve(VARINT_BYTES);
    // Most messages have fewer than 128 bytes, and a length of one byte.
    const start = this.#end + 1;
    this.#end = start;
    content();
    const length = this.#end - start;
    const more = varintBytes(length) - 1;
    if (more > 0) {
      this.#reserve(more);
      this.#buffer.copyWithin(start + more, start, this.#end);
    }
    this.#end = start - 1;
    this.#varint(length);
    this.#end += length;
  }

  /** The bytes written so far. They share memory with the writer, which must not write any more. */
  finish(): Uint8Array {
    return this.#buffer.subarray(0, this.#end);
  }

  #tag(field: number, wire: number): void {
    this.#reserve(VARINT_BYTES);
    this.#varint(field * 8 + wire);
  }

  #varint(value: number): void {
    this.#reserve(VARINT_BYTES);
    let rest = value;
    for (; rest >= 128; rest = Math.floor(rest / 128)) this.#buffer[this.#end++] = (rest % 128) + 128;
    this.#buffer[this.#end++] = rest;
  }

  #negative(value: number): void {
    this.#reserve(VARINT_BYTES);
    let rest = BigInt.asUintN(64, BigInt(value));
    for (; rest >= 128n; rest >>= 7n) this.#buffer[this.#end++] = Number(rest & 127n) + 128;
    this.#buffer[this.#end++] = Number(rest);
  }

  #reserve(bytes: number): void {
    if (this.#end + bytes <= this.#buffer.length) return;
    const larger = Buffer.allocUnsafe(Math.max(2 * this.#buffer.length, this.#end + bytes));
    larger.set(this.#buffer.subarray(0, this.#end));
    this.#buffer = larger;
  }
}

function varintBytes(value: number): number {
  let bytes = 1;
  for (let rest = value; rest >= 128; rest = Math.floor(rest / 128)) bytes++;
  return bytes;
}

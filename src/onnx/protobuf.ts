/**
 * The part of protobuf's wire format that an ONNX model needs: finds the fields of a message with their
 * positions, and writes fields. Reads a message synchronously through an interface, so that it can walk a
 * file of gigabytes without reading all of it. Knows nothing about models. Pure.
 * https://protobuf.dev/programming-guides/encoding/
 */

/** Bytes from a position on. They never change. */
export interface Window {
  readonly start: number;
  readonly bytes: Uint8Array;
}

/** Bytes by position. Past the end there are fewer bytes, or none. Returned bytes never change. */
export interface Source {
  /** Some bytes around a position. */
  readonly window: (position: number) => Window;
  readonly bytes: (from: number, to: number) => Uint8Array;
}

/** One field of a message. */
export interface Field {
  readonly number: number;
  /** Wire type: `VARINT`, `BYTES`, or one of two fixed sizes. */
  readonly wire: number;
  /** Value of a varint, exact up to 2^53; 0 for other wire types. */
  readonly value: number;
  /** Position of the tag. */
  readonly start: number;
  /** Position of the content. */
  readonly from: number;
  /** Position after the content. */
  readonly to: number;
}

/** Wire types: a varint, and bytes preceded by their length. */
export const VARINT = 0;
export const BYTES = 2;
/** Wire types of fixed size: eight bytes, four bytes. */
const FIXED64 = 1;
const FIXED32 = 5;
/** A varint has at most ten bytes of seven bits. */
const MAX_VARINT = 2 ** 70;
/**
 * Maximum number of fields in a message, which bounds the memory if the bytes are random. A graph has about
 * ten thousand nodes.
 */
const MAX_FIELDS = 2 ** 20;

/**
 * The fields of a message in order. Reads the source once, from front to back.
 * @throws Error for bytes that are not a message.
 */
export function* fields(source: Source, from: number, to: number): Generator<Field> {
  let count = 0;
  const cursor = new Cursor(source, from);
  for (let start = from; start < to; start = cursor.position) {
    if (++count > MAX_FIELDS) throw tooMany();
    yield fieldAt(cursor, start, to);
  }
}

const tooMany = (): Error => new Error(`Not a message of a model: more than ${MAX_FIELDS} fields`);

/** Reads the tag of the field at a position, and advances past the field. */
function fieldAt(cursor: Cursor, start: number, end: number): Field {
  cursor.position = start;
  const tag = cursor.varint();
  const wire = tag % 8;
  let from = cursor.position;
  const value = wire === VARINT || wire === BYTES ? cursor.varint() : 0;
  if (wire !== VARINT) {
    from = cursor.position;
    const bytes = contentBytes(wire, value);
    if (bytes === undefined) throw new Error(`Not a protobuf message: wire type ${wire}`);
    cursor.position += bytes;
  }
  if (cursor.position > end) throw new Error(`Not a protobuf message: the field at ${start} ends after it`);
  return { number: Math.floor(tag / 8), wire, value: wire === VARINT ? value : 0, start, from, to: cursor.position };
}

/**
 * The same fields for bytes in memory, without a generator. Nearly all tags and lengths are one byte. The
 * engine parses the graph once, before V8 has compiled any of its code, so each step of the interpreter
 * counts.
 * @param base position of the message in `bytes`.
 * @throws Error for bytes that are not a message.
 */
function fieldsInMemory(bytes: Uint8Array, base: number, size: number): Field[] {
  const found: Field[] = [];
  let cursor: Cursor | undefined;
  for (let start = 0; start < size; ) {
    if (found.length === MAX_FIELDS) throw tooMany();
    const tag = bytes[base + start] ?? 128;
    const length = bytes[base + start + 1] ?? 128;
    const end = start + 2 + length;
    if (tag < 128 && tag % 8 === BYTES && length < 128 && end <= size) {
      found.push({ number: tag >> 3, wire: BYTES, value: 0, start, from: start + 2, to: end });
      start = end;
    } else {
      cursor ??= new Cursor(memory(bytes, base), 0);
      const field = fieldAt(cursor, start, size);
      found.push(field);
      start = field.to;
    }
  }
  return found;
}

/** Number of content bytes of a field that is not a varint; undefined for an unknown wire type. */
export function contentBytes(wire: number, length: number): number | undefined {
  if (wire === BYTES) return length;
  if (wire === FIXED32) return 4;
  return wire === FIXED64 ? 8 : undefined;
}

class Cursor {
  readonly #source: Source;
  #window: Window;
  position: number;

  constructor(source: Source, position: number) {
    this.#source = source;
    this.#window = source.window(position);
    this.position = position;
  }

  /** Reads the number at the position and advances past it. */
  varint(): number {
    let value = 0;
    for (let scale = 1; scale < MAX_VARINT; scale *= 128) {
      const byte = this.#byte();
      this.position++;
      if (byte === undefined) break;
      value += (byte & 127) * scale;
      if (byte < 128) return value;
    }
    throw new Error('Not a protobuf message: a number without an end');
  }

  /** The byte at the position; undefined past the end. */
  #byte(): number | undefined {
    const byte = this.#window.bytes[this.position - this.#window.start];
    if (byte !== undefined) return byte;
    this.#window = this.#source.window(this.position);
    return this.#window.bytes[this.position - this.#window.start];
  }
}

const memory = (bytes: Uint8Array, base: number): Source => ({
  window: () => ({ start: -base, bytes }),
  bytes: (from, to) => bytes.subarray(base + from, base + to),
});

/** A message in memory. Positions of its fields count from its start. */
export class Message {
  readonly fields: readonly Field[];
  /** The bytes of the outermost message, shared: a view of each message would cost more than its fields. */
  readonly #whole: Buffer;
  readonly #base: number;
  readonly #size: number;

  /**
   * @param base position of the message in `bytes`.
   * @throws Error for bytes that are not a message.
   */
  constructor(bytes: Uint8Array, base = 0, size = bytes.length) {
    this.#whole = Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    this.#base = base;
    this.#size = size;
    this.fields = fieldsInMemory(this.#whole, base, size);
  }

  get bytes(): Uint8Array {
    return this.#part(0, this.#size);
  }

  all(number: number): Field[] {
    return this.fields.filter((field) => field.number === number);
  }

  /** The last field with this number: protobuf's rule for a field that occurs twice. */
  last(number: number): Field | undefined {
    return this.fields.findLast((field) => field.number === number);
  }

  content(field: Field): Uint8Array {
    return this.#part(field.from, field.to);
  }

  message(field: Field): Message {
    return new Message(this.#whole, this.#base + field.from, field.to - field.from);
  }

  /** Text with one character per byte, because names are only compared and written again, never displayed. */
  text(field: Field | undefined): string {
    return field ? this.#whole.toString('latin1', this.#base + field.from, this.#base + field.to) : '';
  }

  texts(number: number): string[] {
    return this.all(number).map((field) => this.text(field));
  }

  /** All values of a repeated integer field, packed or not. */
  numbers(number: number): number[] {
    return this.all(number).flatMap((field) => {
      if (field.wire === VARINT) return [field.value];
      const values: number[] = [];
      const cursor = new Cursor(memory(this.#whole, this.#base), field.from);
      while (cursor.position < field.to) values.push(cursor.varint());
      return values;
    });
  }

  /**
   * The message with changed fields. `change` returns the new bytes of a field, no bytes to remove it, or
   * undefined to keep it.
   */
  rewrite(change: (field: Field) => readonly Uint8Array[] | undefined): Uint8Array[] {
    const pieces: Uint8Array[] = [];
    let copied = 0;
    for (const field of this.fields) {
      const changed = change(field);
      if (!changed) continue;
      pieces.push(this.#part(copied, field.start), ...changed);
      copied = field.to;
    }
    return [...pieces, this.#part(copied, this.#size)];
  }

  #part(from: number, to: number): Uint8Array {
    return this.#whole.subarray(this.#base + from, this.#base + to);
  }
}

/** Writes a field of bytes: text (one byte per character), or the pieces of a message. */
export function writeBytes(number: number, content: string | readonly Uint8Array[]): Uint8Array[] {
  const pieces = typeof content === 'string' ? [Buffer.from(content, 'latin1')] : content;
  const length = pieces.reduce((sum, piece) => sum + piece.length, 0);
  return [Uint8Array.from([...writeVarint(number * 8 + BYTES), ...writeVarint(length)]), ...pieces];
}

/** Writes a varint field: a number from 0 to 2^53. */
export function writeNumber(number: number, value: number): Uint8Array {
  return Uint8Array.from([...writeVarint(number * 8 + VARINT), ...writeVarint(value)]);
}

function writeVarint(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) + 128);
  return [...bytes, rest];
}

/**
 * As much of protobuf's wire format as an ONNX model needs: which fields a message has and where they lie, and how to write one. A message
 * is read through an interface, so that a file of gigabytes is walked without being read. Knows nothing of models.
 * https://protobuf.dev/programming-guides/encoding/
 */

/** Bytes by position. Where there are none, `byte` gives none and `bytes` gives fewer; what it gave stays as it is. */
export interface Source {
  readonly byte: (position: number) => number | undefined;
  readonly bytes: (from: number, to: number) => Uint8Array;
}

/** One field of a message: positions of its tag, of its content, and of what comes after it. */
export interface Field {
  readonly number: number;
  /** How it is written: 0 varint, 1 eight bytes, 2 a length and bytes, 5 four bytes. */
  readonly wire: number;
  /** Of a varint, 0 of the others. Exact up to 2^53. */
  readonly value: number;
  readonly start: number;
  readonly from: number;
  readonly to: number;
}

const VARINT = 0;
const FIXED64 = 1;
const BYTES = 2;
const FIXED32 = 5;
/** A varint has ten bytes of seven bits at most. */
const MOST_VARINT = 2 ** 70;
/** Of one message. Graphs have some ten thousand nodes; random bytes must not fill the memory with fields of two bytes. */
const MOST_FIELDS = 2 ** 20;

/**
 * The fields one after the other, so that a source is read once from front to back.
 * @throws Error for bytes that are no message.
 */
export function* fields(source: Source, from: number, to: number): Generator<Field> {
  let count = 0;
  const cursor = new Cursor(source, from);
  for (let start = from; start < to; start = cursor.position) {
    if (++count > MOST_FIELDS) throw new Error(`Not a message of a model: more than ${MOST_FIELDS} fields`);
    const tag = cursor.varint();
    const wire = tag % 8;
    let content = cursor.position;
    const value = wire === VARINT || wire === BYTES ? cursor.varint() : 0;
    if (wire !== VARINT) {
      content = cursor.position;
      cursor.position += contentBytes(wire, value);
    }
    if (cursor.position > to) throw new Error(`Not a protobuf message: the field at ${start} ends behind it`);
    const number = Math.floor(tag / 8);
    yield { number, wire, value: wire === VARINT ? value : 0, start, from: content, to: cursor.position };
  }
}

function contentBytes(wire: number, length: number): number {
  if (wire === BYTES) return length;
  if (wire === FIXED32) return 4;
  if (wire === FIXED64) return 8;
  throw new Error(`Not a protobuf message: wire type ${wire}`);
}

class Cursor {
  readonly #source: Source;
  position: number;

  constructor(source: Source, position: number) {
    this.#source = source;
    this.position = position;
  }

  /** The number here, and on to what comes after it. */
  varint(): number {
    let value = 0;
    for (let scale = 1; scale < MOST_VARINT; scale *= 128) {
      const byte = this.#source.byte(this.position++);
      if (byte === undefined) break;
      value += (byte & 127) * scale;
      if (byte < 128) return value;
    }
    throw new Error('Not a protobuf message: a number without an end');
  }
}

const memory = (bytes: Uint8Array): Source => ({
  byte: (position) => bytes[position],
  bytes: (from, to) => bytes.subarray(from, to),
});

/** A message in memory, with what is often asked of one. */
export class Message {
  readonly bytes: Uint8Array;
  readonly fields: readonly Field[];

  /** @throws Error for bytes that are no message. */
  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
    this.fields = [...fields(memory(bytes), 0, bytes.length)];
  }

  all(number: number): Field[] {
    return this.fields.filter((field) => field.number === number);
  }

  /** Protobuf's rule for a field that comes twice: the last counts. */
  last(number: number): Field | undefined {
    return this.fields.findLast((field) => field.number === number);
  }

  content(field: Field): Uint8Array {
    return this.bytes.subarray(field.from, field.to);
  }

  message(field: Field): Message {
    return new Message(this.content(field));
  }

  /** The text as one character per byte: names are compared and written again, never shown. */
  text(field: Field | undefined): string {
    if (!field) return '';
    const { buffer, byteOffset } = this.bytes;
    return Buffer.from(buffer, byteOffset + field.from, field.to - field.from).toString('latin1');
  }

  texts(number: number): string[] {
    return this.all(number).map((field) => this.text(field));
  }

  /** A repeated number, written one by one or packed. */
  numbers(number: number): number[] {
    return this.all(number).flatMap((field) => {
      if (field.wire === VARINT) return [field.value];
      const values: number[] = [];
      const cursor = new Cursor(memory(this.bytes), field.from);
      while (cursor.position < field.to) values.push(cursor.varint());
      return values;
    });
  }

  /** The fields as they are, but those that `change` answers for: with nothing they are left out, with bytes replaced. */
  rewrite(change: (field: Field) => readonly Uint8Array[] | undefined): Uint8Array[] {
    const pieces: Uint8Array[] = [];
    let copied = 0;
    for (const field of this.fields) {
      const changed = change(field);
      if (!changed) continue;
      pieces.push(this.bytes.subarray(copied, field.start), ...changed);
      copied = field.to;
    }
    return [...pieces, this.bytes.subarray(copied)];
  }
}

/** A field that holds bytes: text (one byte per character) or the pieces of a message. */
export function writeBytes(number: number, content: string | readonly Uint8Array[]): Uint8Array[] {
  const pieces = typeof content === 'string' ? [Buffer.from(content, 'latin1')] : content;
  const length = pieces.reduce((sum, piece) => sum + piece.length, 0);
  return [Uint8Array.from([...writeVarint(number * 8 + BYTES), ...writeVarint(length)]), ...pieces];
}

/** A field that holds a number from 0 to 2^53. */
export function writeNumber(number: number, value: number): Uint8Array {
  return Uint8Array.from([...writeVarint(number * 8 + VARINT), ...writeVarint(value)]);
}

function writeVarint(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) + 128);
  return [...bytes, rest];
}

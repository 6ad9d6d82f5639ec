/**
 * Writes GGUF files for tests: correct ones of versions 2 and 3, and sets of split files.
 * https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { BLOCK_FORMATS, type BlockFormat, blockBytes } from '../../../src/protocol/decoder/block-formats.ts';

/** Numbers of the value types in a file. */
export const VALUE_TYPES = {
  uint8: 0,
  int8: 1,
  uint16: 2,
  int16: 3,
  uint32: 4,
  int32: 5,
  float32: 6,
  bool: 7,
  string: 8,
  array: 9,
  uint64: 10,
  int64: 11,
  float64: 12,
} as const;
export type ValueType = keyof typeof VALUE_TYPES;

/** A value with its type. An array has `of`, and its elements in `value`. */
export interface TypedValue {
  readonly type: ValueType;
  readonly of?: ValueType;
  readonly value: unknown;
}
/**
 * A value of the metadata. Without a type, a whole number is uint32 (int32 if negative), another number is
 * float32, a list of strings and a typed array are arrays.
 */
export type TestValue = string | number | boolean | readonly string[] | ArrayBufferView | TypedValue;

export const typed = (type: ValueType, value: unknown): TypedValue => ({ type, value });
export const arrayOf = (of: ValueType, value: readonly unknown[]): TypedValue => ({ type: 'array', of, value });

export interface TestTensor {
  /** A format of blocks, a plain type, or any number of `ggml_type`. Default: f32. */
  readonly type?: BlockFormat | 'f32' | 'f16' | 'bf16' | number;
  /** Row-major: a matrix is `[out, in]`. The file has it reversed. */
  readonly shape: readonly number[];
  /** Default: zeros. */
  readonly data?: Uint8Array;
  /** In the section of the data. Default: after the tensor before. */
  readonly offset?: number;
}

export interface TestGguf {
  /** Default: 3. */
  readonly version?: number;
  readonly metadata?: Readonly<Record<string, TestValue>>;
  readonly tensors?: Readonly<Record<string, TestTensor>>;
  /** Default: 32. Another one is written as `general.alignment`. */
  readonly alignment?: number;
}

const PLAIN = { f32: [0, 4], f16: [1, 2], bf16: [30, 2] } as const;

/** A whole file. */
export function ggufBytes(file: TestGguf): Buffer {
  const { header, data } = ggufParts(file);
  return Buffer.concat([header, data]);
}

/** A file in two parts: the header with its padding, and the data of the tensors. */
export function ggufParts({ version = 3, metadata = {}, tensors = {}, alignment = 32 }: TestGguf): {
  readonly header: Buffer;
  readonly data: Buffer;
} {
  const entries = Object.entries(alignment === 32 ? metadata : { ...metadata, 'general.alignment': alignment });
  const parts: Uint8Array[] = [Buffer.from('GGUF'), uint32(version)];
  parts.push(uint64(Object.keys(tensors).length), uint64(entries.length));
  for (const [key, value] of entries) parts.push(text(key), Buffer.concat(valueBytes(typeOf(value))));
  const data: Uint8Array[] = [];
  let at = 0;
  for (const [name, tensor] of Object.entries(tensors)) {
    const [id, bytes] = sizeOf(tensor);
    parts.push(text(name), uint32(tensor.shape.length), ...[...tensor.shape].reverse().map(uint64));
    parts.push(uint32(id), uint64(tensor.offset ?? at));
    const padded = new Uint8Array(Math.ceil(bytes / alignment) * alignment);
    padded.set(tensor.data ?? []);
    data.push(padded);
    at += padded.length;
  }
  const header = Buffer.concat(parts);
  return {
    header: Buffer.concat([header, Buffer.alloc((alignment - (header.length % alignment)) % alignment)]),
    data: Buffer.concat(data),
  };
}

export interface SplitOptions {
  /** Base name of the files. Default: model. */
  readonly name?: string;
  /** Names of the tensors of each file. */
  readonly parts: readonly (readonly string[])[];
}

/** The files of a split model by name, as `llama-gguf-split` writes them: only the first has the metadata. */
export function splitGguf(
  { version, metadata = {}, tensors = {}, alignment }: TestGguf,
  { name = 'model', parts }: SplitOptions,
): Record<string, Buffer> {
  const common = { ...(version !== undefined && { version }), ...(alignment !== undefined && { alignment }) };
  const files = parts.map((names, index) => {
    const split = {
      'split.no': typed('uint16', index),
      'split.count': typed('uint16', parts.length),
      'split.tensors.count': typed('int32', Object.keys(tensors).length),
    };
    const own = Object.fromEntries(Object.entries(tensors).filter(([one]) => names.includes(one)));
    return [
      partName(name, index, parts.length),
      ggufBytes({ ...common, metadata: index === 0 ? { ...metadata, ...split } : split, tensors: own }),
    ] as const;
  });
  return Object.fromEntries(files);
}

/** `name-00001-of-00003.gguf` for index 0 of 3. */
export const partName = (name: string, index: number, count: number): string =>
  `${name}-${String(index + 1).padStart(5, '0')}-of-${String(count).padStart(5, '0')}.gguf`;

/** Writes files by name into a folder. */
export async function writeFiles(folder: string, files: Readonly<Record<string, Uint8Array>>): Promise<void> {
  await mkdir(folder, { recursive: true });
  for (const [name, bytes] of Object.entries(files)) await writeFile(join(folder, name), bytes);
}

/** Number of the type, and the bytes of the tensor without padding. */
function sizeOf({ type = 'f32', shape, data }: TestTensor): readonly [id: number, bytes: number] {
  const elements = shape.reduce((product, size) => product * size, 1);
  if (typeof type === 'number') return [type, data?.length ?? elements];
  if (type === 'f32' || type === 'f16' || type === 'bf16') return [PLAIN[type][0], elements * PLAIN[type][1]];
  return [BLOCK_FORMATS[type].id, blockBytes(type, elements)];
}

function typeOf(value: TestValue): TypedValue {
  if (typeof value === 'string') return typed('string', value);
  if (typeof value === 'boolean') return typed('bool', value);
  if (typeof value === 'number') {
    if (!Number.isInteger(value)) return typed('float32', value);
    return typed(value < 0 ? 'int32' : 'uint32', value);
  }
  if (Array.isArray(value)) return arrayOf('string', value);
  if (!ArrayBuffer.isView(value)) return value as TypedValue;
  const of = ELEMENTS.find(([kind]) => value instanceof kind)?.[1];
  if (of === undefined) throw new Error('An array of this kind has no type.');
  return arrayOf(of, [...(value as unknown as Iterable<unknown>)]);
}

const ELEMENTS = [
  [Uint8Array, 'uint8'],
  [Int8Array, 'int8'],
  [Uint16Array, 'uint16'],
  [Int16Array, 'int16'],
  [Uint32Array, 'uint32'],
  [Int32Array, 'int32'],
  [Float32Array, 'float32'],
  [Float64Array, 'float64'],
  [BigUint64Array, 'uint64'],
  [BigInt64Array, 'int64'],
] as const;

const valueBytes = (value: TypedValue): Uint8Array[] => [uint32(VALUE_TYPES[value.type]), ...contentOf(value)];

function contentOf({ type, of = 'uint8', value }: TypedValue): Uint8Array[] {
  if (type === 'string') return [text(value as string | Uint8Array)];
  if (type !== 'array') return [number(type, value)];
  const elements = value as readonly unknown[];
  const contents = elements.map((one) => contentOf(of === 'array' ? (one as TypedValue) : { type: of, value: one }));
  return [uint32(VALUE_TYPES[of]), uint64(elements.length), ...contents.flat()];
}

function number(type: ValueType, value: unknown): Buffer {
  const bytes = Buffer.alloc(8);
  const write = {
    uint8: () => bytes.writeUInt8(Number(value)),
    int8: () => bytes.writeInt8(Number(value)),
    uint16: () => bytes.writeUInt16LE(Number(value)),
    int16: () => bytes.writeInt16LE(Number(value)),
    uint32: () => bytes.writeUInt32LE(Number(value)),
    int32: () => bytes.writeInt32LE(Number(value)),
    float32: () => bytes.writeFloatLE(Number(value)),
    bool: () => bytes.writeUInt8(Number(value)),
    uint64: () => bytes.writeBigUInt64LE(BigInt(value as number)),
    int64: () => bytes.writeBigInt64LE(BigInt(value as number)),
    float64: () => bytes.writeDoubleLE(Number(value)),
    string: () => 0,
    array: () => 0,
  } satisfies Record<ValueType, () => number>;
  return bytes.subarray(0, write[type]());
}

/** A text as a file has it: its length in bytes, and its bytes. */
export function text(value: string | Uint8Array): Buffer {
  const bytes = typeof value === 'string' ? Buffer.from(value) : Buffer.from(value);
  return Buffer.concat([uint64(bytes.length), bytes]);
}

export function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

export function uint64(value: number | bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
}

/**
 * Reads the header of one .safetensors file: 8 bytes with the length of the header, the header in JSON, then
 * the data. The header gives the name, type, shape and place of each tensor. Reads no data.
 * https://huggingface.co/docs/safetensors
 */
import { isUtf8 } from 'node:buffer';
import type { FileHandle } from 'node:fs/promises';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { BFLOAT16, FLOAT16, FLOAT32, INT64 } from '../../onnx/types.ts';
import type { TensorPlace } from '../../protocol/decoder/decoder-spec.ts';
import { openModelFile } from '../folder-files.ts';
import { truncation } from '../onnx-weights.ts';
import { JsonFault, JsonReader } from './json-reader.ts';

/** The file cannot be used. The message continues a sentence that begins with the file's name. */
export class BrokenCheckpoint extends Error {
  override readonly name = 'BrokenCheckpoint';
}

/**
 * Limits of the headers. The official library takes 100 MB for one header. The largest known checkpoints
 * have 0.2 million tensors with 100 bytes each, in files of less than 1 MB of header.
 */
export const HEADER_LIMITS = {
  /** Bytes of one header; as for every JSON file of a model. */
  bytes: 16 * 2 ** 20,
  /** Bytes of all headers of a checkpoint. A hostile folder could link one file many times. */
  allBytes: 64 * 2 ** 20,
  /** Tensors of a checkpoint. */
  tensors: 2 ** 18,
  /** Bytes of a tensor's name. */
  name: 512,
  /** Dimensions of a tensor. */
  rank: 8,
} as const;

/** The header's length in front of the file. */
const PREFIX_BYTES = 8;
/** Longest name of an element type and of a field of a tensor, in bytes. */
const MAX_WORD = 64;
/** Tensors between two turns of the event loop: about 1 ms. */
const TENSORS_PER_TURN = 512;
const BRACE = 0x7b;

/** Element types, by their names in the header: the type of `onnx/types.ts`, and the bits of an element. */
const ELEMENTS: ReadonlyMap<string, { readonly type: number; readonly bits: number }> = new Map([
  ['F32', { type: FLOAT32, bits: 32 }],
  ['F16', { type: FLOAT16, bits: 16 }],
  ['BF16', { type: BFLOAT16, bits: 16 }],
  ['F64', { type: 11, bits: 64 }],
  ['I64', { type: INT64, bits: 64 }],
  ['I32', { type: 6, bits: 32 }],
  ['I16', { type: 5, bits: 16 }],
  ['I8', { type: 3, bits: 8 }],
  ['U64', { type: 13, bits: 64 }],
  ['U32', { type: 12, bits: 32 }],
  ['U16', { type: 4, bits: 16 }],
  ['U8', { type: 2, bits: 8 }],
  ['BOOL', { type: 9, bits: 8 }],
  ['F8_E4M3', { type: 17, bits: 8 }],
  ['F8_E5M2', { type: 19, bits: 8 }],
]);
/** Bytes of some elements of a type; one byte for each element of a type that this table does not list. */
export const bytesOfType = (type: string, elements: number): number => ((ELEMENTS.get(type)?.bits ?? 8) / 8) * elements;
/** `TensorProto.DataType` of an element type that ONNX does not have, or that this table does not list. */
export const UNKNOWN_TYPE = 0;

/** What the headers of a checkpoint may still take. One object for all files of a checkpoint. */
export interface HeaderBudget {
  bytes: number;
  tensors: number;
}

export const headerBudget = (): HeaderBudget => ({ bytes: HEADER_LIMITS.allBytes, tensors: HEADER_LIMITS.tensors });

/** The tensors of one file. */
export interface SafetensorsFile {
  /** Absolute path with links resolved. */
  readonly real: string;
  readonly bytes: number;
  readonly tensors: ReadonlyMap<string, TensorPlace>;
  /** Bytes of the tensors by the name of their element type. */
  readonly bytesByType: ReadonlyMap<string, number>;
}

/** A file of a model's folder. */
export interface FilePlace {
  readonly root: string;
  /** Path relative to `root`. */
  readonly file: string;
  /** The file's index in `TensorPlace.file`. */
  readonly index: number;
}

/**
 * Reads and checks a header. As the official library, refuses tensors that overlap and bytes of the data that
 * belong to no tensor: both are signs of a damaged or changed header.
 * @throws BrokenCheckpoint; RefusedFile and errors of the file system as `openModelFile`
 */
export async function readSafetensors(
  { root, file, index }: FilePlace,
  budget: HeaderBudget,
): Promise<SafetensorsFile> {
  const { handle, real } = await openModelFile(root, file);
  try {
    const { size } = await handle.stat();
    const header = await readHeader(handle, size, budget);
    const start = PREFIX_BYTES + header.length;
    const { tensors, bytesByType } = await new HeaderReader(header, { index, start, size }, budget).read();
    await expectAllBytes(tensors, start, size);
    return { real, bytes: size, tensors, bytesByType };
  } catch (error) {
    throw error instanceof JsonFault ? new BrokenCheckpoint(`is damaged: its header ${error.message}`) : error;
  } finally {
    await handle.close();
  }
}

/** Allocates no more than the file has and the limits allow. */
async function readHeader(handle: FileHandle, size: number, budget: HeaderBudget): Promise<Buffer> {
  if (size < PREFIX_BYTES) throw new BrokenCheckpoint(truncation(size, PREFIX_BYTES, 'a safetensors file'));
  const prefix = await bytesAt(handle, 0, PREFIX_BYTES);
  const length = prefix.readBigUInt64LE();
  if (length > size - PREFIX_BYTES)
    throw new BrokenCheckpoint(
      `is cut off or is not a safetensors file: its first bytes announce a header of ${length} bytes, and it has ${size} bytes`,
    );
  if (length > HEADER_LIMITS.bytes)
    throw new BrokenCheckpoint(`has a header of ${length} bytes; at most ${HEADER_LIMITS.bytes} are allowed`);
  budget.bytes -= Number(length);
  if (budget.bytes < 0)
    throw new BrokenCheckpoint(`exceeds the limit of ${HEADER_LIMITS.allBytes} bytes for the headers of all files`);
  const header = await bytesAt(handle, PREFIX_BYTES, Number(length));
  if (header[0] !== BRACE) throw new BrokenCheckpoint('is not a safetensors file: its header is not a JSON object');
  if (!isUtf8(header)) throw new BrokenCheckpoint('is damaged: its header is not UTF-8');
  return header;
}

async function bytesAt(handle: FileHandle, position: number, length: number): Promise<Buffer> {
  const { buffer, bytesRead } = await handle.read(Buffer.allocUnsafe(length), 0, length, position);
  if (bytesRead < length) throw new BrokenCheckpoint('changed while it was read: try again');
  return buffer;
}

/** The data in the file. */
interface DataRange {
  /** The file's index in `TensorPlace.file`. */
  readonly index: number;
  /** Position of the first byte of the data. */
  readonly start: number;
  /** Size of the file. */
  readonly size: number;
}

/** The fields of one tensor, as the header states them. */
interface Statement {
  dtype?: string;
  shape?: readonly number[];
  offsets?: readonly number[];
}

class HeaderReader {
  readonly #json: JsonReader;
  readonly #range: DataRange;
  readonly #budget: HeaderBudget;
  readonly #tensors = new Map<string, TensorPlace>();
  readonly #bytesByType = new Map<string, number>();

  constructor(header: Buffer, range: DataRange, budget: HeaderBudget) {
    this.#json = new JsonReader(header);
    this.#range = range;
    this.#budget = budget;
  }

  async read(): Promise<Pick<SafetensorsFile, 'tensors' | 'bytesByType'>> {
    let hasMetadata = false;
    for (const name of this.#json.keys(HEADER_LIMITS.name)) {
      if (name !== '__metadata__') await this.#tensor(name);
      else if (hasMetadata) throw new BrokenCheckpoint('is damaged: its header has two "__metadata__"');
      else {
        hasMetadata = true;
        this.#json.skip();
      }
    }
    this.#json.end();
    return { tensors: this.#tensors, bytesByType: this.#bytesByType };
  }

  async #tensor(name: string): Promise<void> {
    if (this.#tensors.has(name)) throw new BrokenCheckpoint(`is damaged: it has two tensors ${quoted(name)}`);
    this.#budget.tensors -= 1;
    if (this.#budget.tensors < 0)
      throw new BrokenCheckpoint(`exceeds the limit of ${HEADER_LIMITS.tensors} tensors for a checkpoint`);
    const { dtype, shape, offsets } = this.#statement(name);
    const [begin, end, ...more] = offsets ?? [];
    if (dtype === undefined || shape === undefined || begin === undefined || end === undefined || more.length > 0)
      throw new BrokenCheckpoint(
        `is damaged: tensor ${quoted(name)} needs "dtype", "shape" and "data_offsets" of two numbers`,
      );
    const element = ELEMENTS.get(dtype);
    const bytes = end - begin;
    if (bytes < 0 || (element && bytes !== sizeOf(shape, element.bits)))
      throw new BrokenCheckpoint(
        `is damaged: tensor ${quoted(name)} of ${dtypeText(dtype)}[${shape.join(', ')}] has ${bytes} bytes`,
      );
    const { index, start, size } = this.#range;
    if (end > size - start) throw new BrokenCheckpoint(truncation(size, start + end, `tensor ${quoted(name)}`));
    const type = element?.type ?? UNKNOWN_TYPE;
    this.#tensors.set(name, { file: index, offset: start + begin, bytes, type, shape });
    this.#bytesByType.set(dtype, (this.#bytesByType.get(dtype) ?? 0) + bytes);
    if (this.#tensors.size % TENSORS_PER_TURN === 0) await nextTurn();
  }

  #statement(name: string): Statement {
    const json = this.#json;
    const found: Statement = {};
    for (const field of json.keys(MAX_WORD)) {
      const isTwice =
        (field === 'dtype' && found.dtype !== undefined) ||
        (field === 'shape' && found.shape !== undefined) ||
        (field === 'data_offsets' && found.offsets !== undefined);
      if (isTwice) throw new BrokenCheckpoint(`is damaged: tensor ${quoted(name)} has two "${field}"`);
      if (field === 'dtype') found.dtype = json.string(MAX_WORD);
      else if (field === 'shape') found.shape = this.#counts(name, HEADER_LIMITS.rank);
      else if (field === 'data_offsets') found.offsets = this.#counts(name, 2);
      else json.skip();
    }
    return found;
  }

  #counts(name: string, most: number): number[] {
    const counts: number[] = [];
    for (const _ of this.#json.elements()) {
      if (counts.length === most)
        throw new BrokenCheckpoint(`is damaged: tensor ${quoted(name)} has a list of more than ${most} numbers`);
      counts.push(this.#json.count());
    }
    return counts;
  }
}

/** Bytes of a tensor; undefined for a number of elements that a double cannot represent. */
function sizeOf(shape: readonly number[], bits: number): number | undefined {
  let elements = 1;
  for (const dimension of shape) {
    elements *= dimension;
    if (!Number.isSafeInteger(elements * bits)) return undefined;
  }
  return (elements * bits) / 8;
}

/** Checks that each byte of the data belongs to exactly one tensor. */
async function expectAllBytes(tensors: ReadonlyMap<string, TensorPlace>, start: number, size: number): Promise<void> {
  const places = [...tensors].sort(([, a], [, b]) => a.offset - b.offset || a.bytes - b.bytes);
  let [at, last] = [start, ''];
  for (const [name, { offset, bytes }] of places) {
    if (offset < at) throw new BrokenCheckpoint(`is damaged: tensors ${quoted(last)} and ${quoted(name)} overlap`);
    if (offset > at) throw new BrokenCheckpoint(unused(at, offset, `tensor ${quoted(name)}`));
    [at, last] = [offset + bytes, name];
  }
  if (at < size) throw new BrokenCheckpoint(unused(at, size, 'its end'));
}

const unused = (from: number, to: number, what: string): string =>
  `is damaged: ${to - from} bytes before ${what} belong to no tensor`;

const MAX_QUOTED = 100;
/** Characters that a terminal does not show as they are, except the space. */
const HIDDEN = /(?! )[\p{C}\p{Z}]/gu;
/** A foreign name for a message: on one line, without control characters, and short. */
export function quoted(name: string): string {
  const text = JSON.stringify(name.slice(0, MAX_QUOTED));
  const shown = text.replace(HIDDEN, (one) => `\\u{${one.codePointAt(0)?.toString(16)}}`);
  // An escape has up to 10 characters.
  return shown.length <= 2 * MAX_QUOTED ? shown : quoted(name.slice(0, MAX_QUOTED / 10));
}
/** A foreign element type for a message. */
const dtypeText = (dtype: string): string => (/^\w{1,16}$/.test(dtype) ? dtype : quoted(dtype));

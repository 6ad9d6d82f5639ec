/**
 * Reads the facts about the weights from an .onnx file: the external data files, the minimum size of each,
 * and the dtype. Reads lengths and names but no weights, so a file of gigabytes takes milliseconds.
 */
import { BYTES, type Field, VARINT, writeBytes, writeNumber } from '../onnx/protobuf.ts';
import {
  ATTRIBUTE,
  BFLOAT16,
  ELEMENT_BITS,
  ENTRY,
  FLOAT16,
  FLOAT32,
  GRAPH,
  INT4,
  MODEL,
  NODE,
  TENSOR,
  UINT4,
} from '../onnx/types.ts';
import { NotProtobuf, ProtobufFile, packed } from '../onnx/walk.ts';
import type { OnnxDtype } from './dtypes.ts';
import { openModelFile } from './folder-files.ts';

/** Facts from the graph. The external data files are not opened. */
export interface OnnxFile {
  /** The dtype of most of the weights. */
  readonly dtype: OnnxDtype;
  /**
   * Name of each external data file, relative to the folder of the .onnx file → its minimum size in bytes.
   */
  readonly external: ReadonlyMap<string, number>;
}

/** The file is not a complete model. The message continues a sentence that begins with the file's name. */
export class BrokenOnnx extends Error {}

const HALF_FLOATS: ReadonlySet<number> = new Set([FLOAT16, BFLOAT16]);
const FOUR_BITS: ReadonlySet<number> = new Set([UINT4, INT4]);

/** Operators with quantized weights → bits of a weight; 0 = the attribute `bits`, by default 4. */
const QUANTIZED = {
  MatMulNBits: 0,
  GatherBlockQuantized: 0,
  MatMulBnb4: 4,
  MatMulInteger: 8,
  DynamicQuantizeMatMul: 8,
  QLinearMatMul: 8,
};
/** The attribute `bits` as protobuf writes it, without its last byte: the number. */
const BITS = Buffer.concat([...writeBytes(ATTRIBUTE.name, 'bits'), writeNumber(ATTRIBUTE.integer, 4)]).subarray(0, -1);

/** A longer node is not read at once, because it contains a tensor or a graph. */
const LONGEST_NODE = 64 * 1024;
const DEEPEST_SUBGRAPH = 8;
/** Maximum size of a name, an offset or a length in bytes. */
const LONGEST_TEXT = 4096;

/**
 * Walks the graph and its subgraphs.
 * @param file path relative to the model's folder, `root`.
 * @throws BrokenOnnx for a file that is truncated or not a model; the system's error for a file that cannot
 * be read.
 */
export async function readOnnxFile(root: string, file: string): Promise<OnnxFile> {
  const { handle } = await openModelFile(root, file);
  try {
    const walk = new Walk(new ProtobufFile(handle), (await handle.stat()).size);
    await walk.model();
    return { dtype: walk.dtype, external: walk.external };
  } catch (error) {
    throw error instanceof NotProtobuf ? new BrokenOnnx('is not an ONNX model') : error;
  } finally {
    await handle.close();
  }
}

class Walk {
  readonly #file: ProtobufFile;
  readonly #size: number;
  readonly external = new Map<string, number>();
  readonly #operators = new Set<string>();
  readonly #bits = new Set<number>();
  #fullBytes = 0;
  #halfBytes = 0;

  constructor(file: ProtobufFile, size: number) {
    this.#file = file;
    this.#size = size;
  }

  /**
   * Reads the whole model. The graph is almost the whole file, so an incomplete download ends inside the
   * graph.
   */
  async model(): Promise<void> {
    let graphs = 0;
    for await (const { number, from, to } of this.#file.fields(0, this.#size)) {
      if (number === MODEL.graph) graphs += 1;
      if (to > this.#size && graphs > 0) throw new BrokenOnnx(truncation(this.#size, to, 'its graph'));
      if (number === MODEL.graph) await this.#graph(from, to, 0);
    }
    if (graphs === 0) throw new NotProtobuf();
  }

  get dtype(): OnnxDtype {
    const halves = this.#halfBytes > this.#fullBytes;
    if (this.#operators.has('MatMulBnb4')) return 'bnb4';
    if (this.#bits.has(4)) return halves ? 'q4f16' : 'q4';
    if (this.#bits.size > 0) return 'q8';
    return halves ? 'fp16' : 'fp32';
  }

  async #graph(from: number, to: number, depth: number): Promise<void> {
    if (depth > DEEPEST_SUBGRAPH) throw new NotProtobuf();
    for await (const field of this.#file.fields(from, to)) {
      if (field.number === GRAPH.initializer) await this.#tensor(field);
      else if (field.number === GRAPH.node) await this.#node(field, depth);
    }
  }

  /** Reads a node. Most nodes are short and name no file, so they are not parsed. */
  async #node({ from, to }: Field, depth: number): Promise<void> {
    if (to - from <= LONGEST_NODE) {
      const node = await this.#file.bytes(from, to);
      this.#noteOperator(node);
      if (!node.includes('location')) return;
    }
    for await (const attribute of this.#file.fields(from, to)) {
      if (attribute.number !== NODE.attribute) continue;
      for await (const value of this.#file.fields(attribute.from, attribute.to)) {
        if (value.number === ATTRIBUTE.tensor || value.number === ATTRIBUTE.tensors) await this.#tensor(value);
        if (value.number === ATTRIBUTE.graph || value.number === ATTRIBUTE.graphs)
          await this.#graph(value.from, value.to, depth + 1);
      }
    }
  }

  #noteOperator(node: Buffer): void {
    for (const [operator, bits] of Object.entries(QUANTIZED)) {
      if (!node.includes(operator)) continue;
      this.#operators.add(operator);
      const at = node.indexOf(BITS);
      this.#bits.add(bits || (at < 0 ? 4 : (node[at + BITS.length] ?? 4)));
    }
  }

  async #tensor({ from, to }: Field): Promise<void> {
    let elements = 1;
    let type = 0;
    const outside = new Map<string, string>();
    for await (const field of this.#file.fields(from, to)) {
      if (field.number === TENSOR.type) type = field.value;
      if (field.number === TENSOR.dimensions) for (const size of await this.#numbers(field)) elements *= size;
      if (field.number === TENSOR.externalData) outside.set(...(await this.#entry(field)));
    }
    const bytes = Math.ceil((elements * (ELEMENT_BITS[type] ?? 0)) / 8);
    if (type === FLOAT32) this.#fullBytes += bytes;
    if (HALF_FLOATS.has(type)) this.#halfBytes += bytes;
    if (FOUR_BITS.has(type)) this.#bits.add(4);
    if (outside.size > 0) this.#noteExternal(outside, bytes);
  }

  /** Without an explicit length, the length follows from shape and type: `bytes`. */
  #noteExternal(outside: ReadonlyMap<string, string>, bytes: number): void {
    const location = outside.get('location');
    const offset = outside.get('offset') ?? '0';
    const length = outside.get('length') ?? String(bytes);
    if (location === undefined) throw new BrokenOnnx('has weights in another file, but does not name it');
    for (const [name, number] of Object.entries({ offset, length }))
      if (!/^\d{1,15}$/.test(number))
        throw new BrokenOnnx(`has a wrong ${name} of weights in ${JSON.stringify(location.slice(0, 100))}`);
    const end = Number(offset) + Number(length);
    this.external.set(location, Math.max(end, this.external.get(location) ?? 0));
  }

  async #numbers({ wire, value, from, to }: Field): Promise<readonly number[]> {
    if (wire === VARINT) return [value];
    return wire === BYTES ? [...packed(await this.#text(from, to))] : [];
  }

  async #entry({ from, to }: Field): Promise<[key: string, value: string]> {
    const entry: [string, string] = ['', ''];
    for await (const field of this.#file.fields(from, to)) {
      if (field.wire !== BYTES) continue;
      if (field.number === ENTRY.key) entry[0] = (await this.#text(field.from, field.to)).toString();
      if (field.number === ENTRY.value) entry[1] = (await this.#text(field.from, field.to)).toString();
    }
    return entry;
  }

  #text(from: number, to: number): Promise<Buffer> {
    if (to - from > LONGEST_TEXT) throw new NotProtobuf();
    return this.#file.bytes(from, to);
  }
}

/** Describes a file that is too short; `reader` needs its bytes. */
export function truncation(has: number, needs: number, reader: string): string {
  const bytes = (count: number): string => count.toLocaleString('en-US');
  return `is cut off: it has ${bytes(has)} of the ${bytes(needs)} bytes that ${reader} needs`;
}

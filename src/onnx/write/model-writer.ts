/**
 * Writes a ModelProto from nodes, constants, references to weights in files, and declarations. Knows the
 * format only: the caller decides which operators the model has. Pure.
 */
import { writeBytes, writeNumber } from '../protobuf.ts';
import {
  ATTRIBUTE,
  ENTRY,
  EXTERNAL,
  FLOAT_ATTRIBUTE,
  FLOAT32,
  GRAPH,
  INT64,
  INTEGER_ATTRIBUTE,
  INTEGERS_ATTRIBUTE,
  MODEL,
  NODE,
  TENSOR,
  TEXT_ATTRIBUTE,
  VALUE,
} from '../types.ts';

/** Version of the ONNX format, and of the operators of each domain. */
const IR_VERSION = 8;
const OPSETS: Readonly<Record<string, number>> = { '': 17, 'com.microsoft': 1 };
/** Wire type of a float in protobuf. */
const FIXED32 = 5;

/** The value of an attribute, by its type. */
export type Attribute =
  | { readonly integer: number }
  | { readonly float: number }
  | { readonly integers: readonly number[] }
  | { readonly text: string };

export interface NodeOptions {
  /** Default: the standard operators. */
  readonly domain?: string;
  readonly attributes?: Readonly<Record<string, Attribute>>;
  /** Names of the outputs, '' for an output that is left out; default: one new name. */
  readonly outputs?: readonly string[];
}

/** Bytes of a weight in another file. */
export interface ExternalBytes {
  /** Name of the file, relative to the folder that the runtime gets. */
  readonly location: string;
  readonly offset: number;
  readonly bytes: number;
}

/** Element type and dimensions of a tensor. The text of a dynamic dimension is its name. */
export interface TensorType {
  readonly type: number;
  readonly shape: readonly (number | string)[];
}

export class ModelWriter {
  readonly #fields: Uint8Array[] = [];
  readonly #names = new Set<string>();
  /** Number of names given so far, by their stem. */
  readonly #counts = new Map<string, number>();

  /**
   * Adds a node. Nodes must be added in the order of their use.
   * @returns the name of its first output
   */
  node(operator: string, inputs: readonly string[], options: NodeOptions = {}): string {
    const { domain = '', attributes = {}, outputs = [this.fresh(operator)] } = options;
    const [first = ''] = outputs;
    this.#fields.push(
      ...writeBytes(GRAPH.node, [
        ...inputs.flatMap((input) => writeBytes(NODE.input, input)),
        ...outputs.flatMap((output) => writeBytes(NODE.output, output)),
        ...writeBytes(NODE.name, `${first}/${operator}`),
        ...writeBytes(NODE.operator, operator),
        ...Object.entries(attributes).flatMap(([name, value]) => writeBytes(NODE.attribute, attribute(name, value))),
        ...(domain === '' ? [] : writeBytes(NODE.domain, domain)),
      ]),
    );
    return first;
  }

  /** Adds a constant whose bytes are in the model. Returns its name. */
  constant(name: string, { type, shape }: TensorType, data: Uint8Array): string {
    return this.#initializer(name, { type, shape }, writeBytes(TENSOR.raw, [data]));
  }

  /** Adds a constant int64, by default `[values]`. Returns its name. */
  integers(name: string, values: readonly number[], shape: readonly number[] = [values.length]): string {
    const data = new Uint8Array(BigInt64Array.from(values, BigInt).buffer);
    return this.constant(name, { type: INT64, shape }, data);
  }

  /** Adds a constant float32, by default `[values]`. Returns its name. */
  floats(name: string, values: readonly number[], shape: readonly number[] = [values.length]): string {
    const data = new Uint8Array(Float32Array.from(values).buffer);
    return this.constant(name, { type: FLOAT32, shape }, data);
  }

  /** Adds a constant whose bytes are in another file, which the runtime maps. Returns its name. */
  external(name: string, type: TensorType, { location, offset, bytes }: ExternalBytes): string {
    const pairs = { location, offset: String(offset), length: String(bytes) };
    return this.#initializer(name, type, [
      ...Object.entries(pairs).flatMap(([key, value]) =>
        writeBytes(TENSOR.externalData, [
          ...writeBytes(ENTRY.key, key),
          ...writeBytes(ENTRY.value, [Buffer.from(value)]),
        ]),
      ),
      writeNumber(TENSOR.dataLocation, EXTERNAL),
    ]);
  }

  /** Declares an input. Returns its name. */
  input(name: string, type: TensorType): string {
    return this.#declare(GRAPH.input, name, type);
  }

  /** Declares an output. Returns its name. */
  output(name: string, type: TensorType): string {
    return this.#declare(GRAPH.output, name, type);
  }

  /** A name that no value has yet, which begins with `stem`. */
  fresh(stem: string): string {
    let count = this.#counts.get(stem) ?? 0;
    let name = count === 0 ? stem : `${stem}_${count}`;
    while (this.#names.has(name)) name = `${stem}_${++count}`;
    this.#counts.set(stem, count + 1);
    this.#names.add(name);
    return name;
  }

  /** The bytes of the model. */
  finish(): Uint8Array {
    return Buffer.concat([
      writeNumber(MODEL.irVersion, IR_VERSION),
      ...writeBytes(MODEL.graph, [...writeBytes(GRAPH.name, 'decoder'), ...this.#fields]),
      ...Object.entries(OPSETS).flatMap(([domain, version]) =>
        writeBytes(MODEL.opsetImport, [
          ...writeBytes(MODEL.opsetDomain, domain),
          writeNumber(MODEL.opsetVersion, version),
        ]),
      ),
    ]);
  }

  #initializer(name: string, { type, shape }: TensorType, data: readonly Uint8Array[]): string {
    this.#names.add(name);
    const sizes = shape.map((size) => writeNumber(TENSOR.dimensions, Number(size)));
    const head = [...sizes, writeNumber(TENSOR.type, type), ...writeBytes(TENSOR.name, name)];
    this.#fields.push(...writeBytes(GRAPH.initializer, [...head, ...data]));
    return name;
  }

  #declare(side: typeof GRAPH.input | typeof GRAPH.output, name: string, { type, shape }: TensorType): string {
    this.#names.add(name);
    const dimensions = shape.flatMap((size) =>
      writeBytes(
        VALUE.dimension,
        typeof size === 'number' ? [writeNumber(VALUE.size, size)] : writeBytes(VALUE.dimensionName, size),
      ),
    );
    const tensor = [writeNumber(VALUE.elementType, type), ...writeBytes(VALUE.shape, dimensions)];
    const declared = writeBytes(VALUE.type, writeBytes(VALUE.tensor, tensor));
    this.#fields.push(...writeBytes(side, [...writeBytes(VALUE.name, name), ...declared]));
    return name;
  }
}

/** The content of an AttributeProto. */
function attribute(name: string, value: Attribute): Uint8Array[] {
  const [content, type] = contentOf(value);
  return [...writeBytes(ATTRIBUTE.name, name), ...content, writeNumber(ATTRIBUTE.type, type)];
}

function contentOf(value: Attribute): [content: Uint8Array[], type: number] {
  if ('integer' in value) return [[writeSigned(ATTRIBUTE.integer, value.integer)], INTEGER_ATTRIBUTE];
  if ('float' in value) return [[writeFloat(ATTRIBUTE.float, value.float)], FLOAT_ATTRIBUTE];
  if ('text' in value) return [writeBytes(ATTRIBUTE.text, value.text), TEXT_ATTRIBUTE];
  return [value.integers.map((integer) => writeSigned(ATTRIBUTE.integers, integer)), INTEGERS_ATTRIBUTE];
}

function writeFloat(number: number, value: number): Uint8Array {
  const bytes = Buffer.alloc(1 + Float32Array.BYTES_PER_ELEMENT);
  bytes[0] = number * 8 + FIXED32;
  bytes.writeFloatLE(value, 1);
  return bytes;
}

/** A varint field of a number that can be negative: protobuf writes its 64 bits in two's complement. */
function writeSigned(number: number, value: number): Uint8Array {
  if (value >= 0) return writeNumber(number, value);
  const bytes = [number * 8];
  let rest = BigInt.asUintN(64, BigInt(value));
  for (; rest >= 128n; rest >>= 7n) bytes.push(Number(rest & 127n) + 128);
  return Uint8Array.from([...bytes, Number(rest)]);
}

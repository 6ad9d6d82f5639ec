/**
 * Writes a ModelProto from nodes, constants, references to weights in files, and declarations. Knows the
 * format only: the caller decides which operators the model has. Pure.
 */
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
  type TensorInfo,
  VALUE,
} from '../types.ts';
import { MessageWriter } from './message-writer.ts';

/** Version of the ONNX format, and of the operators of each domain. */
const IR_VERSION = 8;
const OPSETS: Readonly<Record<string, number>> = { '': 17, 'com.microsoft': 1 };

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

interface LastNode {
  readonly operator: string;
  readonly inputs: readonly string[];
  readonly options: NodeOptions & Required<Pick<NodeOptions, 'outputs'>>;
}

export class ModelWriter {
  /** The declared inputs and outputs. */
  readonly io = { inputs: [] as TensorInfo[], outputs: [] as TensorInfo[] };
  /** The fields of the graph. */
  readonly #graph = new MessageWriter();
  readonly #names = new Set<string>();
  /** The node that was added last. */
  #last: LastNode | undefined;
  /** Number of names given so far, by their stem. */
  readonly #counts = new Map<string, number>();

  constructor() {
    this.#graph.text(GRAPH.name, 'decoder');
  }

  /**
   * Adds a node. Nodes must be added in the order of their use.
   * @returns the name of its first output
   */
  node(operator: string, inputs: readonly string[], options: NodeOptions = {}): string {
    const { outputs = [this.fresh(operator)], ...others } = options;
    this.#writeLast();
    this.#last = { operator, inputs, options: { ...others, outputs } };
    return outputs[0] ?? '';
  }

  /**
   * Gives the first output of the last node another name. An output of the model then needs no node that
   * copies it.
   * @throws RangeError if no node was added
   */
  renameLast(name: string): void {
    if (!this.#last) throw new RangeError(`There is no node whose output can get the name ${name}`);
    const { options } = this.#last;
    this.#names.add(name);
    this.#last = { ...this.#last, options: { ...options, outputs: [name, ...options.outputs.slice(1)] } };
  }

  /** Writes the last node, which can get no other name any more. */
  #writeLast(): void {
    if (!this.#last) return;
    const { operator, inputs, options } = this.#last;
    this.#last = undefined;
    const { domain = '', attributes = {}, outputs } = options;
    const [first = ''] = outputs;
    const graph = this.#graph;
    graph.message(GRAPH.node, () => {
      for (const input of inputs) graph.text(NODE.input, input);
      for (const output of outputs) graph.text(NODE.output, output);
      graph.text(NODE.name, `${first}/${operator}`);
      graph.text(NODE.operator, operator);
      for (const name in attributes) this.#attribute(name, attributes[name]);
      if (domain !== '') graph.text(NODE.domain, domain);
    });
  }

  /** Adds a constant whose bytes are in the model. Returns its name. */
  constant(name: string, type: TensorType, data: Uint8Array): string {
    return this.#initializer(name, type, () => this.#graph.bytes(TENSOR.raw, data));
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
    const graph = this.#graph;
    const entry = (key: string, value: string): void =>
      graph.message(TENSOR.externalData, () => {
        graph.text(ENTRY.key, key);
        graph.text(ENTRY.value, value);
      });
    return this.#initializer(name, type, () => {
      entry('location', location);
      entry('offset', String(offset));
      entry('length', String(bytes));
      graph.number(TENSOR.dataLocation, EXTERNAL);
    });
  }

  /** Declares an input. Returns its name. */
  input(name: string, type: TensorType): string {
    this.io.inputs.push(infoOf(name, type));
    return this.#declare(GRAPH.input, name, type);
  }

  /** Declares an output. Returns its name. */
  output(name: string, type: TensorType): string {
    this.io.outputs.push(infoOf(name, type));
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
    this.#writeLast();
    const model = new MessageWriter();
    model.number(MODEL.irVersion, IR_VERSION);
    model.bytes(MODEL.graph, this.#graph.finish());
    for (const [domain, version] of Object.entries(OPSETS))
      model.message(MODEL.opsetImport, () => {
        model.text(MODEL.opsetDomain, domain);
        model.number(MODEL.opsetVersion, version);
      });
    return model.finish();
  }

  #initializer(name: string, { type, shape }: TensorType, writeData: () => void): string {
    this.#names.add(name);
    const graph = this.#graph;
    graph.message(GRAPH.initializer, () => {
      for (const size of shape) graph.number(TENSOR.dimensions, Number(size));
      graph.number(TENSOR.type, type);
      graph.text(TENSOR.name, name);
      writeData();
    });
    return name;
  }

  #declare(side: typeof GRAPH.input | typeof GRAPH.output, name: string, tensor: TensorType): string {
    this.#names.add(name);
    const graph = this.#graph;
    graph.message(side, () => {
      graph.text(VALUE.name, name);
      graph.message(VALUE.type, () => graph.message(VALUE.tensor, () => this.#tensorType(tensor)));
    });
    return name;
  }

  #tensorType({ type, shape }: TensorType): void {
    const graph = this.#graph;
    graph.number(VALUE.elementType, type);
    graph.message(VALUE.shape, () => {
      for (const size of shape)
        graph.message(VALUE.dimension, () => {
          if (typeof size === 'number') graph.number(VALUE.size, size);
          else graph.text(VALUE.dimensionName, size);
        });
    });
  }

  #attribute(name: string, value: Attribute | undefined): void {
    if (!value) return;
    const graph = this.#graph;
    graph.message(NODE.attribute, () => {
      graph.text(ATTRIBUTE.name, name);
      graph.number(ATTRIBUTE.type, this.#attributeValue(value));
    });
  }

  /** Writes the value. @returns its type. */
  #attributeValue(value: Attribute): number {
    const graph = this.#graph;
    if ('integer' in value) graph.number(ATTRIBUTE.integer, value.integer);
    else if ('float' in value) graph.float(ATTRIBUTE.float, value.float);
    else if ('text' in value) graph.text(ATTRIBUTE.text, value.text);
    else for (const integer of value.integers) graph.number(ATTRIBUTE.integers, integer);
    if ('integer' in value) return INTEGER_ATTRIBUTE;
    if ('float' in value) return FLOAT_ATTRIBUTE;
    return 'text' in value ? TEXT_ATTRIBUTE : INTEGERS_ATTRIBUTE;
  }
}

const infoOf = (name: string, { type, shape }: TensorType): TensorInfo => ({
  name,
  type,
  shape: shape.map((size) => (typeof size === 'number' ? size : -1)),
});

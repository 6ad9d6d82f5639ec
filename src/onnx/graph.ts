/**
 * A model's graph as far as an edit must understand it: which node makes and which nodes read a value, what is constant, and how inputs and
 * outputs are declared. Values are known by name, one character per byte. Pure.
 */

import { type Field, Message } from './protobuf.ts';
import type { TensorInfo } from './types.ts';

/** Field numbers of https://github.com/onnx/onnx/blob/main/onnx/onnx.proto */
export const MODEL = { irVersion: 1, graph: 7, opsetImport: 8, opsetDomain: 1, opsetVersion: 2 } as const;
export const GRAPH = { node: 1, initializer: 5, input: 11, output: 12, valueInfo: 13 } as const;
export const NODE = { input: 1, output: 2, operator: 4, attribute: 5, domain: 7 } as const;
export const ATTRIBUTE = { name: 1, integer: 3, tensor: 5, graph: 6, graphs: 11, type: 20 } as const;
export const TENSOR = { dimensions: 1, type: 2, name: 8, raw: 9 } as const;
export const VALUE = {
  name: 1,
  type: 2,
  tensor: 1,
  elementType: 1,
  shape: 2,
  dimension: 1,
  size: 1,
  dimensionName: 2,
} as const;

/** First byte of an attribute's field that holds a graph. */
const GRAPH_TAGS = [ATTRIBUTE.graph, ATTRIBUTE.graphs].map((number) => number * 8 + 2);
const DEEPEST_SUBGRAPH = 8;

export interface Node {
  readonly field: Field;
  /** '' for the standard operators. */
  readonly domain: string;
  readonly operator: string;
  /** '' for an optional input that is not given. */
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
}

export class Graph {
  readonly message: Message;
  readonly nodes: readonly Node[];
  readonly #producers = new Map<string, Node>();
  readonly #readers = new Map<string, number>();
  readonly #constants = new Map<string, readonly number[]>();
  /** Names of inputs, of values that only a note tells of, and of those that were given. */
  readonly #others = new Set<string>();

  /** @throws Error for a message that is no GraphProto. */
  constructor(message: Message) {
    this.message = message;
    this.nodes = this.#readNodes(message, 0);
    for (const field of message.all(GRAPH.initializer)) {
      const tensor = message.message(field);
      this.#constants.set(tensor.text(tensor.last(TENSOR.name)), tensor.numbers(TENSOR.dimensions));
    }
    for (const node of this.nodes) {
      for (const name of node.outputs) this.#producers.set(name, node);
      const shape = node.operator === 'Constant' ? shapeOfConstant(message.message(node.field)) : undefined;
      if (shape && node.outputs[0] !== undefined) this.#constants.set(node.outputs[0], shape);
    }
    for (const field of [...message.all(GRAPH.input), ...message.all(GRAPH.valueInfo)])
      this.#others.add(nameOf(message, field));
  }

  /** The node that makes a value; undefined for an input or an initializer. */
  producer(name: string): Node | undefined {
    return this.#producers.get(name);
  }

  /** How often a value is read: by nodes, those of subgraphs too, and as an output. */
  readers(name: string): number {
    return this.#readers.get(name) ?? 0;
  }

  /** Dimensions of an initializer or a constant node; undefined for all other values. */
  constantShape(name: string): readonly number[] | undefined {
    return this.#constants.get(name);
  }

  has(name: string): boolean {
    return [this.#producers, this.#readers, this.#constants, this.#others].some((names) => names.has(name));
  }

  /** A name that no value has, and that is not given again. */
  fresh(wish: string): string {
    let name = wish;
    while (this.has(name)) name += '_';
    this.#others.add(name);
    return name;
  }

  /** The nodes of a graph, and who reads what in it and in the graphs inside its nodes. */
  #readNodes(graph: Message, depth: number): Node[] {
    if (depth > DEEPEST_SUBGRAPH) throw new Error(`Graphs in graphs, more than ${DEEPEST_SUBGRAPH} deep`);
    const read = (name: string): void => void this.#readers.set(name, this.readers(name) + 1);
    for (const field of graph.all(GRAPH.output)) read(nameOf(graph, field));
    return graph.all(GRAPH.node).map((field) => {
      const node = graph.message(field);
      const inputs = node.texts(NODE.input);
      for (const name of inputs) read(name);
      for (const one of node.all(NODE.attribute)) this.#readAttribute(node.content(one), depth);
      const domain = node.text(node.last(NODE.domain));
      return {
        field,
        domain: domain === 'ai.onnx' ? '' : domain,
        operator: node.text(node.last(NODE.operator)),
        inputs,
        outputs: node.texts(NODE.output),
      };
    });
  }

  /** Most attributes are numbers and words, and most of a graph's bytes: only what could hold a graph is looked into. */
  #readAttribute(bytes: Uint8Array, depth: number): void {
    if (!GRAPH_TAGS.some((tag) => bytes.includes(tag))) return;
    const attribute = new Message(bytes);
    for (const field of attribute.fields)
      if (field.number === ATTRIBUTE.graph || field.number === ATTRIBUTE.graphs)
        this.#readNodes(attribute.message(field), depth + 1);
  }
}

/** Of an input, an output or a note about a value. */
export function nameOf(graph: Message, field: Field): string {
  const value = graph.message(field);
  return value.text(value.last(VALUE.name));
}

/**
 * An input or an output as it is declared: element type and dimensions, those that are left open as -1.
 * @returns undefined when it is no tensor, or its shape is not said.
 */
export function portOf(graph: Message, field: Field): TensorInfo | undefined {
  const value = graph.message(field);
  const typeField = value.last(VALUE.type);
  const type = typeField && value.message(typeField);
  const tensorField = type?.last(VALUE.tensor);
  const tensor = tensorField && type?.message(tensorField);
  const shapeField = tensor?.last(VALUE.shape);
  if (!tensor || !shapeField) return undefined;
  const shape = tensor.message(shapeField);
  const sizes = shape.all(VALUE.dimension).map((dimension) => shape.message(dimension).last(VALUE.size)?.value ?? -1);
  return { name: nameOf(graph, field), type: tensor.last(VALUE.elementType)?.value ?? 0, shape: sizes };
}

/** Of the forms that a Constant can have, the tensor and the scalars; the others do not stand on the way to logits. */
function shapeOfConstant(node: Message): number[] | undefined {
  const [attribute] = node.all(NODE.attribute).map((field) => node.message(field));
  const name = attribute?.text(attribute.last(ATTRIBUTE.name));
  if (name === 'value_float' || name === 'value_int') return [];
  const tensor = attribute?.last(ATTRIBUTE.tensor);
  return name === 'value' && tensor ? attribute?.message(tensor).numbers(TENSOR.dimensions) : undefined;
}

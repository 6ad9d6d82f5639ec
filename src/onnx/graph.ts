/**
 * The parts of a model's graph that an edit needs: the node that produces a value, the number of its readers,
 * the constants, and the declarations of inputs and outputs. Names have one character per byte. Pure.
 */

import { type Field, Message } from './protobuf.ts';
import { ATTRIBUTE, GRAPH, MODEL, NODE, TENSOR, type TensorInfo, VALUE } from './types.ts';

/** First bytes of the fields of an attribute that contain graphs. */
const GRAPH_TAGS = [ATTRIBUTE.graph, ATTRIBUTE.graphs].map((number) => number * 8 + 2);
const DEEPEST_SUBGRAPH = 8;

export interface Node {
  readonly field: Field;
  /** '' for the standard operators. */
  readonly domain: string;
  readonly operator: string;
  /** '' for an omitted optional input. */
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
}

/** A model in memory, with its only graph. */
export interface ParsedModel {
  readonly root: Message;
  /** The field of the graph. */
  readonly field: Field;
  readonly graph: Graph;
}

/**
 * Parses a model. Edits and facts about a model share the result: parsing takes most of their time.
 * @returns undefined for a model with another number of graphs than one.
 * @throws Error for bytes that are not a model.
 */
export function parseModel(bytes: Uint8Array): ParsedModel | undefined {
  const root = new Message(bytes);
  const [field, second] = root.all(MODEL.graph);
  return field && !second ? { root, field, graph: new Graph(root.message(field)) } : undefined;
}

export class Graph {
  readonly message: Message;
  readonly nodes: readonly Node[];
  readonly #producers = new Map<string, Node>();
  readonly #readers = new Map<string, number>();
  readonly #constants = new Map<string, readonly number[]>();
  readonly #initializers = new Map<string, Field>();
  /** Other names in use: inputs, values with a ValueInfoProto, and values that an edit adds. */
  readonly #others = new Set<string>();

  /** @throws Error for a message that is not a GraphProto. */
  constructor(message: Message) {
    this.message = message;
    this.nodes = this.#readNodes(message, 0);
    for (const field of message.all(GRAPH.initializer)) {
      const tensor = message.message(field);
      const name = tensor.text(tensor.last(TENSOR.name));
      this.#constants.set(name, tensor.numbers(TENSOR.dimensions));
      this.#initializers.set(name, field);
    }
    for (const node of this.nodes) {
      for (const name of node.outputs) this.#producers.set(name, node);
      const shape = node.operator === 'Constant' ? shapeOfConstant(message.message(node.field)) : undefined;
      if (shape && node.outputs[0] !== undefined) this.#constants.set(node.outputs[0], shape);
    }
    for (const field of [...message.all(GRAPH.input), ...message.all(GRAPH.valueInfo)])
      this.#others.add(nameOf(message, field));
  }

  /** The node that produces a value; undefined for an input or an initializer. */
  producer(name: string): Node | undefined {
    return this.#producers.get(name);
  }

  /** Number of readers of a value: inputs of nodes, also in subgraphs, and outputs of graphs. */
  readers(name: string): number {
    return this.#readers.get(name) ?? 0;
  }

  /** Dimensions of an initializer or of the output of a Constant node; undefined for all other values. */
  constantShape(name: string): readonly number[] | undefined {
    return this.#constants.get(name);
  }

  /** The field of an initializer; undefined for all other values. */
  initializer(name: string): Field | undefined {
    return this.#initializers.get(name);
  }

  has(name: string): boolean {
    return [this.#producers, this.#readers, this.#constants, this.#others].some((names) => names.has(name));
  }

  /** Reserves an unused name: `preferred`, with underscores appended if it is in use. */
  fresh(preferred: string): string {
    let name = preferred;
    while (this.has(name)) name += '_';
    this.#others.add(name);
    return name;
  }

  /** Reads the nodes of a graph. Also counts the readers of values, including readers in subgraphs. */
  #readNodes(graph: Message, depth: number): Node[] {
    if (depth > DEEPEST_SUBGRAPH) throw new Error(`Graphs in graphs, more than ${DEEPEST_SUBGRAPH} deep`);
    const read = (name: string): void => void this.#readers.set(name, this.readers(name) + 1);
    for (const field of graph.all(GRAPH.output)) read(nameOf(graph, field));
    return graph.all(GRAPH.node).map((field) => {
      const node = graph.message(field);
      const [inputs, outputs]: [string[], string[]] = [[], []];
      let [domain, operator] = ['', ''];
      for (const part of node.fields) {
        if (part.number === NODE.input) inputs.push(node.text(part));
        else if (part.number === NODE.output) outputs.push(node.text(part));
        else if (part.number === NODE.operator) operator = node.text(part);
        else if (part.number === NODE.domain) domain = node.text(part);
        else if (part.number === NODE.attribute) this.#readAttribute(node.content(part), depth);
      }
      for (const name of inputs) read(name);
      return { field, domain: domain === 'ai.onnx' ? '' : domain, operator, inputs, outputs };
    });
  }

  /** Reads the subgraphs in an attribute. To save time, attributes without subgraphs are not parsed. */
  #readAttribute(bytes: Uint8Array, depth: number): void {
    if (!GRAPH_TAGS.some((tag) => bytes.includes(tag))) return;
    const attribute = new Message(bytes);
    for (const field of attribute.fields)
      if (field.number === ATTRIBUTE.graph || field.number === ATTRIBUTE.graphs)
        this.#readNodes(attribute.message(field), depth + 1);
  }
}

/** The name in a ValueInfoProto, which describes an input, an output or an inner value. */
export function nameOf(graph: Message, field: Field): string {
  const value = graph.message(field);
  return value.text(value.last(VALUE.name));
}

/**
 * The declaration of an input or an output: name, element type and dimensions. A dynamic dimension is -1.
 * @returns undefined if it does not declare a tensor with a shape.
 */
export function tensorInfoOf(graph: Message, field: Field): TensorInfo | undefined {
  const value = graph.message(field);
  const typeField = value.last(VALUE.type);
  const type = typeField && value.message(typeField);
  const tensorField = type?.last(VALUE.tensor);
  const tensor = tensorField && type?.message(tensorField);
  const shapeField = tensor?.last(VALUE.shape);
  if (!tensor || !shapeField) return undefined;
  const shape = tensor.message(shapeField);
  const sizes = shape.all(VALUE.dimension).map((dimension) => shape.message(dimension).last(VALUE.size)?.value ?? -1);
  return { name: value.text(value.last(VALUE.name)), type: tensor.last(VALUE.elementType)?.value ?? 0, shape: sizes };
}

/**
 * The shape of a Constant node with a tensor or a scalar. Other kinds do not occur between projection and
 * logits.
 */
function shapeOfConstant(node: Message): number[] | undefined {
  const [attribute] = node.all(NODE.attribute).map((field) => node.message(field));
  const name = attribute?.text(attribute.last(ATTRIBUTE.name));
  if (name === 'value_float' || name === 'value_int') return [];
  const tensor = attribute?.last(ATTRIBUTE.tensor);
  return name === 'value' && tensor ? attribute?.message(tensor).numbers(TENSOR.dimensions) : undefined;
}

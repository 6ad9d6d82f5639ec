/**
 * Finds a node with an attribute or an input whose effect a device's implementation of the operator does not
 * compute. Reads the main graph, the graphs inside nodes, and the bodies of functions with the attributes of
 * each call. Pure.
 */
import { nameOf } from './graph.ts';
import { type Field, Message, VARINT } from './protobuf.ts';
import { ATTRIBUTE, FUNCTION, GRAPH, MODEL, NODE } from './types.ts';

/** An attribute that an operator ignores, or an input: an entry of the table in `protocol/devices.ts`. */
export interface Rule {
  /** '' for the standard operators. */
  readonly domain: string;
  readonly operator: string;
  /** The name of the attribute, or of the input. */
  readonly attribute: string;
  /** The value without effect, which is also the value of an absent attribute. */
  readonly neutral: number;
  /** Index of the input, for an ignored input. */
  readonly input?: number;
}

/** The first node with such an attribute. */
export interface IgnoredValue {
  readonly operator: string;
  readonly attribute: string;
  /** The value in the model; absent for an input. */
  readonly value?: number;
}

/** Values of numeric attributes by name, of a node or of the call of a function. */
type Values = ReadonlyMap<string, number>;

/** The graph that contains a node. */
interface Scope {
  /** The attributes of the call of the function that contains the node. */
  readonly call: Values;
  /** Names of the inputs of the model, for a node that is not in a function. */
  readonly inputs: ReadonlySet<string>;
  readonly depth: number;
}

/** A chain of functions or subgraphs has at most this depth. */
const DEEPEST = 16;

/**
 * The first node with an ignored attribute; undefined if there is none.
 * @param model a ModelProto.
 * @throws Error for bytes that are not a protobuf message, and for graphs in graphs that are too deep.
 */
export function findIgnored(model: Uint8Array, rules: readonly Rule[]): IgnoredValue | undefined {
  return rules.length === 0 ? undefined : new Search(new Message(model), rules).run();
}

class Search {
  readonly #root: Message;
  readonly #rules: readonly Rule[];
  readonly #functions: ReadonlyMap<string, Message>;
  /** Functions that were read, each with the values of its call: a function can have many calls. */
  readonly #read = new Set<string>();

  constructor(root: Message, rules: readonly Rule[]) {
    this.#root = root;
    this.#rules = rules;
    this.#functions = new Map(
      root.all(MODEL.functions).map((field) => {
        const body = root.message(field);
        return [keyOf(body.text(body.last(FUNCTION.domain)), body.text(body.last(FUNCTION.name))), body];
      }),
    );
  }

  run(): IgnoredValue | undefined {
    return first(this.#root.all(MODEL.graph), (field) => {
      const graph = this.#root.message(field);
      const inputs = new Set(graph.all(GRAPH.input).map((input) => nameOf(graph, input)));
      return this.#inGraph(graph, { call: new Map(), inputs, depth: 0 });
    });
  }

  #inGraph(graph: Message, scope: Scope): IgnoredValue | undefined {
    return first(graph.all(GRAPH.node), (field) => this.#inNode(graph.message(field), scope));
  }

  #inNode(node: Message, { call, inputs, depth }: Scope): IgnoredValue | undefined {
    if (depth > DEEPEST) throw new Error(`Graphs in graphs, more than ${DEEPEST} deep`);
    const domain = node.text(node.last(NODE.domain));
    const operator = node.text(node.last(NODE.operator));
    const attributes = node.all(NODE.attribute).map((field) => node.message(field));
    const values = valuesOf(attributes, call);
    const rules = this.#rules.filter((rule) => keyOf(rule.domain, rule.operator) === keyOf(domain, operator));
    for (const { attribute, neutral, input } of rules) {
      if (input !== undefined && isComputed(node, input, inputs)) return { operator, attribute };
      const value = input === undefined ? (values.get(attribute) ?? neutral) : neutral;
      if (value !== neutral) return { operator, attribute, value };
    }
    const inner = { call, inputs, depth: depth + 1 };
    return (
      first(attributes, (attribute) => this.#inAttribute(attribute, inner)) ??
      this.#inFunction(keyOf(domain, operator), values, depth + 1)
    );
  }

  #inAttribute(attribute: Message, scope: Scope): IgnoredValue | undefined {
    const graphs = [...attribute.all(ATTRIBUTE.graph), ...attribute.all(ATTRIBUTE.graphs)];
    return first(graphs, (field) => this.#inGraph(attribute.message(field), scope));
  }

  #inFunction(key: string, values: Values, depth: number): IgnoredValue | undefined {
    const body = this.#functions.get(key);
    const visit = JSON.stringify([key, ...values]);
    if (!body || this.#read.has(visit)) return undefined;
    this.#read.add(visit);
    const defaults = valuesOf(
      body.all(FUNCTION.attribute).map((field) => body.message(field)),
      new Map(),
    );
    const call = new Map([...defaults, ...values]);
    const scope = { call, inputs: new Set<string>(), depth };
    return first(body.all(FUNCTION.node), (field) => this.#inNode(body.message(field), scope));
  }
}

/**
 * True if an input of a node is present and computed by the model. An input of the model itself is not: the
 * engine gives the positions of the tokens in their row, which an operator that ignores them uses too.
 */
function isComputed(node: Message, index: number, inputs: ReadonlySet<string>): boolean {
  const field = node.all(NODE.input)[index];
  const name = field ? node.text(field) : '';
  return name !== '' && !inputs.has(name);
}

const keyOf = (domain: string, operator: string): string => `${domain === 'ai.onnx' ? '' : domain}:${operator}`;

function first<T>(all: readonly T[], find: (one: T) => IgnoredValue | undefined): IgnoredValue | undefined {
  for (const one of all) {
    const found = find(one);
    if (found) return found;
  }
  return undefined;
}

/**
 * The numeric attributes of a node.
 * @param call the attributes of the function call around the node, which it can pass on by name.
 */
function valuesOf(attributes: readonly Message[], call: Values): Values {
  return new Map(
    attributes.flatMap((attribute): [string, number][] => {
      const passedOn = attribute.text(attribute.last(ATTRIBUTE.reference));
      const value = passedOn === '' ? numberOf(attribute) : call.get(passedOn);
      return value === undefined ? [] : [[attribute.text(attribute.last(ATTRIBUTE.name)), value]];
    }),
  );
}

/** The number in an attribute; undefined for other kinds. Serializers can leave out a zero. */
function numberOf(attribute: Message): number | undefined {
  const float = attribute.last(ATTRIBUTE.float);
  if (float) return viewOf(attribute, float).getFloat32(0, true);
  const integer = attribute.last(ATTRIBUTE.integer);
  return integer?.wire === VARINT ? Number(signed(attribute.content(integer))) : undefined;
}

function viewOf(message: Message, field: Field): DataView {
  const { buffer, byteOffset, byteLength } = message.content(field);
  return new DataView(buffer, byteOffset, byteLength);
}

/** A varint of 64 bits in two's complement. */
function signed(varint: Uint8Array): bigint {
  const value = varint.reduce((sum, byte, index) => sum + (BigInt(byte & 127) << BigInt(7 * index)), 0n);
  return BigInt.asIntN(64, value);
}

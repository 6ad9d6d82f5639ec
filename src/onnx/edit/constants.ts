/** Reads integers of a graph: those of initializers, of Constant nodes and of attributes. Pure. */
import type { Graph, Node } from '../graph.ts';
import type { Message } from '../protobuf.ts';
import { ATTRIBUTE, EXTERNAL, INT32, INT64, INTEGER_ATTRIBUTE, INTEGERS_ATTRIBUTE, NODE, TENSOR } from '../types.ts';

/** Larger constants are no axes, indices or sizes. */
const MOST = 8;

/** A constant of a few integers. */
export interface Integers {
  readonly shape: readonly number[];
  readonly values: readonly number[];
}

/** The integers int32 or int64 of a constant with at most 8 elements; undefined for any other value. */
export function integersOf(graph: Graph, name: string): Integers | undefined {
  const shape = graph.constantShape(name);
  if (!shape || shape.reduce((product, size) => product * size, 1) > MOST) return undefined;
  const field = graph.initializer(name);
  if (field) return inTensor(graph.message.message(field), shape);
  const node = graph.producer(name);
  return node && inConstantNode(graph.message.message(node.field), shape);
}

function inConstantNode(node: Message, shape: readonly number[]): Integers | undefined {
  const [attribute] = node.all(NODE.attribute).map((field) => node.message(field));
  const tensor = attribute?.last(ATTRIBUTE.tensor);
  if (attribute && tensor) return inTensor(attribute.message(tensor), shape);
  const integer = attribute?.last(ATTRIBUTE.integer);
  return integer && shape.length === 0 ? exact({ shape, values: [integer.value] }) : undefined;
}

function inTensor(tensor: Message, shape: readonly number[]): Integers | undefined {
  if (tensor.last(TENSOR.dataLocation)?.value === EXTERNAL) return undefined;
  const type = tensor.last(TENSOR.type)?.value;
  if (type !== INT32 && type !== INT64) return undefined;
  const raw = tensor.last(TENSOR.raw);
  const values = raw
    ? inBytes(tensor.content(raw), type)
    : tensor.numbers(type === INT64 ? TENSOR.int64s : TENSOR.int32s);
  const count = shape.reduce((product, size) => product * size, 1);
  return values.length === count ? exact({ shape, values }) : undefined;
}

function inBytes(bytes: Uint8Array, type: typeof INT32 | typeof INT64): number[] {
  const copy = Uint8Array.from(bytes);
  const size = type === INT64 ? BigInt64Array.BYTES_PER_ELEMENT : Int32Array.BYTES_PER_ELEMENT;
  if (copy.length % size !== 0) return [];
  return type === INT64 ? Array.from(new BigInt64Array(copy.buffer), Number) : Array.from(new Int32Array(copy.buffer));
}

/** A negative number in a varint is read as more than 2^53, and not exactly. */
const exact = (integers: Integers): Integers | undefined =>
  integers.values.every(Number.isSafeInteger) ? integers : undefined;

/** The integers of each attribute of a node, by name: none for another type, or for a negative integer. */
export function integerAttributes(graph: Graph, { field }: Node): ReadonlyMap<string, readonly number[]> {
  const node = graph.message.message(field);
  return new Map(
    node.all(NODE.attribute).map((one) => {
      const attribute = node.message(one);
      const name = attribute.text(attribute.last(ATTRIBUTE.name));
      const type = attribute.last(ATTRIBUTE.type)?.value;
      if (type === INTEGER_ATTRIBUTE) return [name, safe([attribute.last(ATTRIBUTE.integer)?.value ?? 0])];
      return [name, type === INTEGERS_ATTRIBUTE ? safe(attribute.numbers(ATTRIBUTE.integers)) : []];
    }),
  );
}

const safe = (values: readonly number[]): readonly number[] => (values.every(Number.isSafeInteger) ? values : []);

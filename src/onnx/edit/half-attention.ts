/**
 * Finds the attention nodes that can update the KV cache in place: GroupQueryAttention does, if past and
 * present are the same memory. Every other kind of attention returns a longer cache. Also changes attention
 * and cache of a float32 model to half floats, for a device whose attention supports only half floats. Pure.
 */

import { Graph, type Node, nameOf, tensorInfoOf } from '../graph.ts';
import { Message, writeBytes } from '../protobuf.ts';
import { FLOAT16, FLOAT32, GRAPH, MODEL } from '../types.ts';
import { writeCast, writeRenamed, writeWithType } from './graph-edit.ts';

const MICROSOFT = 'com.microsoft';
/**
 * Indexes of GroupQueryAttention's inputs and outputs:
 * https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md
 */
const PASTS = [3, 4];
const PRESENTS = [1, 2];
/** Inputs with the element type of the query: query, key, value, rotary embedding tables, bias, sink. */
const FLOATS = [0, 1, 2, 7, 8, 10, 11];

/** Names of the cache outputs of each GroupQueryAttention whose caches are inputs of the graph. */
export function updatedInPlace(graph: Graph): ReadonlySet<string> {
  const attention = graph.nodes.filter((node) => readsCaches(graph, node));
  return new Set(attention.flatMap(({ outputs }) => PRESENTS.map((at) => outputs[at] ?? '')));
}

function readsCaches(graph: Graph, { domain, operator, inputs }: Node): boolean {
  if (domain !== MICROSOFT || operator !== 'GroupQueryAttention') return false;
  return PASTS.every((at) => inputs[at] && !graph.producer(inputs[at]) && !graph.constantShape(inputs[at]));
}

/**
 * Changes every GroupQueryAttention over float32, and its cache, to float16.
 * @param model a ModelProto.
 * @returns the changed ModelProto; undefined if nothing changes.
 * @throws Error for bytes that are not a protobuf message.
 */
export function halveAttention(model: Uint8Array): Uint8Array | undefined {
  const root = new Message(model);
  const [field, second] = root.all(MODEL.graph);
  if (!field || second) return undefined;
  const edited = edit(new Graph(root.message(field)));
  return edited && Buffer.concat(root.rewrite((one) => (one === field ? writeBytes(MODEL.graph, edited) : undefined)));
}

function edit(graph: Graph): Uint8Array[] | undefined {
  const { message } = graph;
  const wide = new Set(
    message.all(GRAPH.input).flatMap((field) => {
      const tensor = tensorInfoOf(message, field);
      return tensor?.type === FLOAT32 ? [tensor.name] : [];
    }),
  );
  const attention = graph.nodes.filter(
    (node) => readsCaches(graph, node) && PASTS.every((at) => wide.has(node.inputs[at] ?? '')),
  );
  if (attention.length === 0) return undefined;
  const nodes = new Map(attention.map((node) => [node.field, node]));
  const caches = new Set(
    attention.flatMap(({ inputs, outputs }) => [
      ...PASTS.map((at) => inputs[at]),
      ...PRESENTS.map((at) => outputs[at]),
    ]),
  );
  return message.rewrite((field) => {
    const node = nodes.get(field);
    if (node) return halved(graph, node);
    if (field.number !== GRAPH.input && field.number !== GRAPH.output) return undefined;
    return caches.has(nameOf(message, field))
      ? writeWithType(field.number, message.message(field), FLOAT16)
      : undefined;
  });
}

/** The node with casts before its inputs and after its first output. */
function halved(graph: Graph, { field, inputs, outputs }: Node): Uint8Array[] {
  const narrow = new Map(
    FLOATS.flatMap((at) => (inputs[at] ? [[at, graph.fresh(`${outputs[0]}/half_${at}`)] as const] : [])),
  );
  const result = graph.fresh(`${outputs[0]}/half`);
  const casts = [...narrow].flatMap(([at, name]) => writeCast(inputs[at] ?? '', name, FLOAT16));
  const node = writeRenamed(graph.message.message(field), (_, index, side) =>
    side === 'input' ? narrow.get(index) : index === 0 ? result : undefined,
  );
  return [...casts, ...node, ...writeCast(result, outputs[0] ?? '', FLOAT32)];
}

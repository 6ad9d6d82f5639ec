/**
 * Adds the input `first_logits` to a decoder without an input for the number of logits, so that logits are
 * computed for the last positions only. The projection to the vocabulary takes 16 % of the prefill time in a
 * 4-bit model of 135 M parameters, and the memory of the logits limits the prefill chunk. Leaves a graph
 * with an unknown structure unchanged. Pure.
 *
 * Walks from `logits` back through element-wise nodes to the projection, and slices the projection's input:
 * `[rows, tokens, hidden]` → `[rows, kept, hidden]`. Every node on the path treats all positions alike, and
 * no other node reads the values in between, so the logits equal those of the last positions in the unchanged
 * graph.
 */
import { type Graph, type Node, nameOf, type ParsedModel, tensorInfoOf } from '../graph.ts';
import type { Field } from '../protobuf.ts';
import { GRAPH, INT64 } from '../types.ts';
import {
  type GraphEdit,
  isEditable,
  writeConstant,
  writeInput,
  writeNode,
  writeRenamed,
  writeWithOpenLength,
} from './graph-edit.ts';

/**
 * Name of the input in exports of Hugging Face. Its value is the number of last positions that get logits, 0
 * for all.
 */
export const KEEP_INPUT = 'num_logits_to_keep';
/**
 * Name of the input int64 `[1]` of an edited graph, and of a graph of the builder. Its value is the first
 * position that gets logits, counted from the end: -1 for one position. A Slice reads it as it is, so no node
 * computes on the host.
 */
export const FIRST_INPUT = 'first_logits';

const MICROSOFT = 'com.microsoft';

/** Element-wise nodes whose first input is data and whose other inputs are constants. */
const UNARY = new Set(['Cast', 'Identity', 'Tanh', 'Clip']);
const BINARY = new Set(['Add', 'Sub', 'Mul', 'Div']);

/**
 * Adds the input to a model.
 * @param logits name of the logits output.
 * @returns undefined if the model has an input for the number of logits already, or if its graph has an
 * unknown structure.
 */
export function lastLogitsEdit({ root, graph }: ParsedModel, logits = 'logits'): GraphEdit | undefined {
  if (!isEditable(root) || graph.has(KEEP_INPUT) || graph.has(FIRST_INPUT)) return undefined;
  const path = pathToProjection(graph, logits);
  return path && edit(graph, logits, path);
}

/** The nodes from the logits back to the projection; undefined if a node in between is not element-wise. */
function pathToProjection(graph: Graph, logits: string): Node[] | undefined {
  const path: Node[] = [];
  for (let name = logits; path.length < graph.nodes.length; ) {
    const node = graph.producer(name);
    if (node?.outputs.length !== 1 || graph.readers(name) !== 1) return undefined;
    path.push(node);
    if (isProjection(graph, node)) return path;
    const data = dataOf(graph, node);
    if (data === undefined) return undefined;
    name = data;
  }
  return undefined;
}

/** The only input of an element-wise node that differs between positions; undefined for any other node. */
function dataOf(graph: Graph, { domain, operator, inputs }: Node): string | undefined {
  if (domain !== '') return undefined;
  const varying = inputs.filter((name) => name !== '' && !isFlat(graph, name));
  const [data] = varying;
  if (varying.length !== 1) return undefined;
  if (UNARY.has(operator)) return data === inputs[0] ? data : undefined;
  return BINARY.has(operator) && inputs.length === 2 ? data : undefined;
}

/**
 * True if a value is the same for every position and does not raise the rank of `[rows, tokens, …]`: a
 * constant that is not indexed by position, or the quantization scale of a whole tensor.
 */
function isFlat(graph: Graph, name: string, depth = 4): boolean {
  const shape = graph.constantShape(name);
  if (shape) return shape.length <= 2 && shape.slice(0, -1).every((dimension) => dimension === 1);
  const node = graph.producer(name);
  if (node?.domain !== '' || depth === 0) return false;
  if (node.operator === 'DynamicQuantizeLinear') return node.outputs.indexOf(name) > 0;
  if (node.operator !== 'Mul' || node.inputs.length !== 2) return false;
  return node.inputs.every((input) => isFlat(graph, input, depth - 1));
}

/**
 * True for a product with a weight matrix: for the output `[rows, tokens, vocab]`, the first input is then
 * `[rows, tokens, hidden]`.
 */
function isProjection(graph: Graph, { domain, operator, inputs }: Node): boolean {
  const [data = '', weights = '', ...rest] = inputs;
  if (data === '' || graph.constantShape(data)) return false;
  if (domain === MICROSOFT && operator === 'MatMulNBits')
    return inputs.slice(1).every((name) => name === '' || graph.constantShape(name));
  if (domain !== '' || weightsRank(graph, weights) !== 2) return false;
  if (operator === 'MatMulInteger') return rest.every((name) => name === '' || isFlat(graph, name));
  return operator === 'MatMul';
}

/**
 * Rank of a constant, or of a constant that is transposed, cast or dequantized; undefined for other values.
 */
function weightsRank(graph: Graph, name: string, depth = 4): number | undefined {
  const shape = graph.constantShape(name);
  if (shape) return shape.length;
  const node = graph.producer(name);
  const keepsRank = ['Transpose', 'Cast', 'DequantizeLinear', 'Identity'].includes(node?.operator ?? '');
  if (!node || !keepsRank || node.domain !== '' || depth === 0) return undefined;
  return weightsRank(graph, node.inputs[0] ?? '', depth - 1);
}

/** Adds a slice before the projection; undefined if the output does not have three dimensions. */
function edit(graph: Graph, logits: string, path: readonly Node[]): GraphEdit | undefined {
  const { message } = graph;
  const projection = path.at(-1);
  const output = message.all(GRAPH.output).find((field) => nameOf(message, field) === logits);
  // Some exports always return the logits of the last position only.
  if (output && tensorInfoOf(message, output)?.shape[1] === 1) return undefined;
  const declared = output && writeWithOpenLength(message.message(output), graph.fresh('last_logits/length'));
  if (!projection || !declared) return undefined;
  const between = new Set(path.flatMap((node) => node.outputs));
  const kept = graph.fresh('last_logits/kept');
  const change = (field: Field): Uint8Array[] | undefined => {
    if (field === output) return declared;
    if (field === projection.field) {
      const cut = slice(graph, projection.inputs[0] ?? '', kept);
      const first = (_: string, index: number, side: string) => (side === 'input' && index === 0 ? kept : undefined);
      return [...cut, ...writeRenamed(message.message(field), first)];
    }
    // Removes the shapes that the exporter recorded for the values in between, because they are now wrong.
    return field.number === GRAPH.valueInfo && between.has(nameOf(message, field)) ? [] : undefined;
  };
  return { change, added: writeInput(FIRST_INPUT, INT64, [1]) };
}

/** The node and the initializers of `kept = data[:, first_logits:]`. */
function slice(graph: Graph, data: string, kept: string): Uint8Array[] {
  const axis = graph.fresh('last_logits/axis');
  const end = graph.fresh('last_logits/end');
  return [
    ...writeConstant(axis, 1n),
    ...writeConstant(end, 2n ** 63n - 1n),
    ...writeNode('Slice', [data, FIRST_INPUT, end, axis], kept),
  ];
}

/**
 * Decides if saved weights pay for a model: large matrices, which the runtime copies into its own order.
 * Pure.
 */
import { Message } from '../../onnx/protobuf.ts';
import { type ExternalTensor, externalTensors } from '../../onnx/saved/external-tensors.ts';
import { BFLOAT16, FLOAT16, FLOAT32, GRAPH, MODEL, NODE, UINT8 } from '../../onnx/types.ts';

/** Models with fewer bytes of matrices are opened as they are: a copy costs little. */
export const LEAST_SAVED_BYTES = 64 * 2 ** 20;

/**
 * Operators over integers whose prepacked forms are not saved, because their logits were not compared.
 * MatMulNBits is not among them: its saved forms are right at addresses that are multiples of 64
 * (save-weights.ts).
 */
const OVER_INTEGERS = /Quantize(?!d)|Dynamic|Integer|QMoE|QLinear|Bnb4|QGemm|QAttention|MatMulFpQ4/;
/** The prepacked form of a quantized matrix also has a scale and a sum for each block, in float32. */
const BYTES_PER_BLOCK = 8;
/** Operators that read rows of a table. */
const GATHERS: ReadonlySet<string> = new Set(['Gather', 'GatherBlockQuantized']);
const FLOAT32_BYTES = Float32Array.BYTES_PER_ELEMENT;

/** The matrices of a model. */
export interface Matrices {
  /** In the order of the runtime, at most: floats as float32, the type in which the CPU computes. */
  readonly bytes: number;
  /**
   * The tables that runs read in the order of their files, as far as `bytes` does not contain them: those of
   * integers, and those of tied weights, which a product reads too.
   */
  readonly tables: number;
  /** All of them are float32 in their files. */
  readonly areFull: boolean;
}

/**
 * The matrices of a graph.
 * @param widened the graph widens half floats before all products, as the graphs of checkpoints do. The
 * runtime adds such nodes to other graphs after it has folded constants.
 * @returns undefined for a graph with other operators over integers or with half floats that are not widened.
 */
export function matricesOf(model: Uint8Array, widened: boolean): Matrices | undefined {
  const nodes = nodesOf(model);
  if (nodes.some(({ operator }) => OVER_INTEGERS.test(operator))) return undefined;
  const tensors = externalTensors(model);
  const matrices = tensors.filter(isMatrix);
  const areFull = matrices.every(({ type }) => type === FLOAT32);
  if (matrices.some(({ type }) => type !== FLOAT32 && type !== UINT8) && !widened) return undefined;
  const bytes = matrices.reduce((sum, matrix) => sum + ownBytes(matrix), 0);
  return { bytes, tables: tableBytes(nodes, tensors), areFull };
}

interface Node {
  readonly operator: string;
  readonly inputs: readonly string[];
  readonly output: string;
}

/** The nodes of the graph, without those of graphs inside nodes. Parsing all of a node takes much longer. */
function nodesOf(model: Uint8Array): Node[] {
  const root = new Message(model);
  return root.all(MODEL.graph).flatMap((field) => {
    const graph = root.message(field);
    return graph.all(GRAPH.node).map((part) => {
      const node = graph.message(part);
      const [operator, output] = [NODE.operator, NODE.output].map((number) => node.text(node.last(number)));
      return { operator: operator ?? '', inputs: node.texts(NODE.input), output: output ?? '' };
    });
  });
}

/** See `Matrices.tables`. A weight can pass a Cast, which the runtime folds. */
function tableBytes(nodes: readonly Node[], tensors: readonly ExternalTensor[]): number {
  const sources = new Map(nodes.flatMap((node) => (node.operator === 'Cast' ? [[node.output, node.inputs[0]]] : [])));
  const [gathered, multiplied] = [new Set<string>(), new Set<string>()];
  for (const { operator, inputs } of nodes) {
    if (operator === 'Cast') continue;
    const names = GATHERS.has(operator) ? gathered : multiplied;
    for (const name of inputs) names.add(sources.get(name) ?? name);
  }
  const tables = tensors.filter(({ name }) => gathered.has(name));
  const others = tables.filter((table) => !isMatrix(table) || multiplied.has(table.name));
  return others.reduce((sum, table) => sum + (isMatrix(table) ? ownBytes(table) : table.bytes), 0);
}

/** Integers of MatMulNBits have three dimensions; a table that Gather reads has two, and is not copied. */
const isMatrix = ({ type, shape }: ExternalTensor): boolean =>
  type === UINT8 ? shape.length === 3 : shape.length === 2 && [FLOAT32, FLOAT16, BFLOAT16].includes(type);

function ownBytes({ type, shape, bytes }: ExternalTensor): number {
  if (type !== UINT8) return shape.reduce((product, size) => product * size, FLOAT32_BYTES);
  const [rows = 0, blocks = 0] = shape;
  return bytes + rows * blocks * BYTES_PER_BLOCK;
}

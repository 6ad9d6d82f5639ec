/**
 * Decides if saved weights pay for a model: large matrices of floats, which the runtime copies into its own
 * order. Pure.
 */
import { Message } from '../../onnx/protobuf.ts';
import { type ExternalTensor, externalTensors } from '../../onnx/saved/external-tensors.ts';
import { BFLOAT16, FLOAT16, FLOAT32, GRAPH, MODEL, NODE } from '../../onnx/types.ts';

/** Models with fewer bytes of matrices as float32 are opened as they are: a copy costs little. */
export const LEAST_SAVED_BYTES = 64 * 2 ** 20;

/**
 * Operators over integers. Their prepacked forms are not saved: as version 1.30 of the runtime writes those
 * of MatMulNBits, the logits are 0 or no numbers (docs/decisions/0037-one-copy-of-the-weights.md).
 */
const OVER_INTEGERS = /Quant|NBits|Integer|QMoE|QLinear|Bnb4|QGemm|QAttention/;

/** The matrices of a model. */
export interface FloatMatrices {
  /** As float32, the type in which the CPU computes. */
  readonly bytes: number;
  /** All of them are float32 in their files. */
  readonly areFull: boolean;
}

/**
 * The matrices of floats of a graph.
 * @param widened the graph widens half floats before all products, as the graphs of checkpoints do. The
 * runtime adds such nodes to other graphs after it has folded constants.
 * @returns undefined for a graph with operators over integers or with half floats that are not widened.
 */
export function floatMatrices(model: Uint8Array, widened: boolean): FloatMatrices | undefined {
  if (operatorsOf(model).some((operator) => OVER_INTEGERS.test(operator))) return undefined;
  const matrices = externalTensors(model).filter(isMatrix);
  const areFull = matrices.every(({ type }) => type === FLOAT32);
  if (!areFull && !widened) return undefined;
  return { bytes: matrices.reduce((sum, { shape }) => sum + bytesAsFloat32(shape), 0), areFull };
}

/**
 * The operators of the graph, without those of graphs inside nodes. Parsing all of a node takes much longer.
 */
function operatorsOf(model: Uint8Array): string[] {
  const root = new Message(model);
  return root.all(MODEL.graph).flatMap((field) => {
    const graph = root.message(field);
    return graph.all(GRAPH.node).map((part) => {
      const node = graph.message(part);
      return node.text(node.last(NODE.operator));
    });
  });
}

const isMatrix = ({ type, shape }: ExternalTensor): boolean =>
  shape.length === 2 && [FLOAT32, FLOAT16, BFLOAT16].includes(type);

const bytesAsFloat32 = (shape: readonly number[]): number =>
  shape.reduce((product, size) => product * size, Float32Array.BYTES_PER_ELEMENT);

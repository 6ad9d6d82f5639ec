/**
 * Decides if saved weights pay for a model: large matrices of floats, which the runtime copies into its own
 * order. Pure.
 */
import { parseModel } from '../../onnx/graph.ts';
import { type ExternalTensor, externalTensors } from '../../onnx/saved/external-tensors.ts';
import { BFLOAT16, FLOAT16, FLOAT32 } from '../../onnx/types.ts';

/** Models with fewer bytes of matrices as float32 are opened as they are: a copy costs little. */
export const LEAST_SAVED_BYTES = 64 * 2 ** 20;

/**
 * Operators over integers. Their prepacked forms are not saved: version 1.30 of the runtime saves those of
 * MatMulNBits without the sums of blocks, and the logits are then 0.
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
  const graph = parseModel(model)?.graph;
  if (!graph || graph.nodes.some(({ operator }) => OVER_INTEGERS.test(operator))) return undefined;
  const matrices = externalTensors(model).filter(isMatrix);
  const areFull = matrices.every(({ type }) => type === FLOAT32);
  if (!areFull && !widened) return undefined;
  return { bytes: matrices.reduce((sum, { shape }) => sum + bytesAsFloat32(shape), 0), areFull };
}

const isMatrix = ({ type, shape }: ExternalTensor): boolean =>
  shape.length === 2 && [FLOAT32, FLOAT16, BFLOAT16].includes(type);

const bytesAsFloat32 = (shape: readonly number[]): number =>
  shape.reduce((product, size) => product * size, Float32Array.BYTES_PER_ELEMENT);

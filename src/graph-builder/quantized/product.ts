/** Products with matrices of integers in blocks: MatMulNBits, and a term for the minimums. Pure. */
import { FLOAT32, UINT8 } from '../../onnx/types.ts';
import type { QuantizedMatrix, TensorPlace } from '../../protocol/decoder/decoder-spec.ts';
import type { DecoderGraph } from '../decoder-graph.ts';
import { transposedProduct } from './transposed-product.ts';

/** A matrix, its bias in the element type of the graph, and the name that the runtime's messages show. */
export interface QuantizedLinear {
  readonly weight: QuantizedMatrix;
  readonly bias?: string | undefined;
  readonly name: string;
}

/** `x × weightᵀ + bias`, `[…, in]` → `[…, out]`. Returns the name of the result. */
export function addQuantizedProduct(graph: DecoderGraph, x: string, linear: QuantizedLinear): string {
  const { weight, bias, name } = linear;
  const isInside = bias !== undefined && graph.choices.addsBiasInside;
  const product = addMatMulNBits(graph, x, { weight, name, ...(isInside && { bias }) });
  const complete = weight.minimums
    ? graph.node('Sub', [product, minimumsTerm(graph, x, linear, weight.minimums)])
    : product;
  return bias === undefined || isInside ? complete : graph.node('Add', [complete, bias]);
}

function addMatMulNBits(graph: DecoderGraph, x: string, { weight, bias = '', name }: QuantizedLinear): string {
  const { shape, bits, blockSize, values, scales, zeroPoints } = weight;
  const [rows = 0, columns = 0] = shape;
  const blocks = columns / blockSize;
  const inputs = [
    x,
    graph.stored({ ...values, type: UINT8, shape: [rows, blocks, (blockSize * bits) / 8] }, `${name}.values`),
    scalesOf(graph, scales, [rows, blocks], `${name}.scales`),
    zeroPoints ? graph.stored({ ...zeroPoints, type: UINT8, shape: [rows, blocks] }, `${name}.zero_points`) : '',
    '',
    bias,
  ];
  const { accuracyLevel } = graph.choices;
  return graph.microsoft('MatMulNBits', inputs.slice(0, bias !== '' ? 6 : zeroPoints ? 4 : 3), {
    attributes: {
      K: { integer: columns },
      N: { integer: rows },
      bits: { integer: bits },
      block_size: { integer: blockSize },
      ...(accuracyLevel !== 0 && { accuracy_level: { integer: accuracyLevel } }),
    },
  });
}

/** A float32 tensor of one number for each block, in the element type of the graph. */
const scalesOf = (graph: DecoderGraph, place: TensorPlace, shape: readonly number[], name: string): string =>
  graph.weight({ ...place, type: FLOAT32, shape }, name);

/**
 * The product of the sums of the blocks of `x` with the minimums: a weight is lower by the minimum of its
 * block, which counts once for each element of `x` in the block.
 */
function minimumsTerm(graph: DecoderGraph, x: string, { weight, name }: QuantizedLinear, place: TensorPlace): string {
  const { shape, blockSize } = weight;
  const [rows = 0, columns = 0] = shape;
  const minimums = scalesOf(graph, place, [rows, columns / blockSize], `${name}.minimums`);
  return transposedProduct(graph, blockSums(graph, x, blockSize), minimums);
}

/** The sums of the blocks of `x`, `[rows, tokens, in / blockSize]`, once for all products with `x`. */
function blockSums(graph: DecoderGraph, x: string, blockSize: number): string {
  return graph.once(`block_sums_${blockSize}_${x}`, () => {
    const blocks = graph.node('Reshape', [x, graph.integers(0, 0, -1, blockSize)]);
    return graph.node('ReduceSum', [blocks, graph.integers(3)], { attributes: { keepdims: { integer: 0 } } });
  });
}

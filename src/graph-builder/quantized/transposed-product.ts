/** The product with a transposed matrix, in the form that the device computes. Pure. */
import type { DecoderGraph } from '../decoder-graph.ts';

/** `x × weightᵀ`, both in the element type of the graph. Returns the name of the result. */
export function transposedProduct(graph: DecoderGraph, x: string, weight: string): string {
  if (graph.choices.product === 'fused')
    return graph.microsoft('FusedMatMul', [x, weight], { attributes: { transB: { integer: 1 } } });
  const transposed = graph.node('Transpose', [weight], { attributes: { perm: { integers: [1, 0] } } });
  return graph.node('MatMul', [x, transposed]);
}

/** Products with the matrices of a checkpoint, `[out, in]`. Pure. */
import { type GraphMatrix, isPlain, type LinearSpec, type TensorPlace } from '../protocol/decoder/decoder-spec.ts';
import type { DecoderGraph } from './decoder-graph.ts';
import { joinPlaces, joinQuantized } from './quantized/join.ts';
import { addQuantizedProduct } from './quantized/product.ts';
import { transposedProduct } from './quantized/transposed-product.ts';

/** `x × weightᵀ + bias`: `[…, in]` → `[…, out]`. Returns the name of the result. */
export function addLinear(
  graph: DecoderGraph,
  x: string,
  { weight, bias }: LinearSpec<GraphMatrix>,
  name: string,
): string {
  const added = bias && graph.weight(bias, `${name}.bias`);
  if (!isPlain(weight)) return addQuantizedProduct(graph, x, { weight, bias: added, name });
  const result = transposedProduct(graph, x, graph.weight(weight, `${name}.weight`));
  return added === undefined ? result : graph.node('Add', [result, added]);
}

/**
 * Several products of one input as one: the results one after the other in the last dimension. Matrices that
 * are neighbours in the file are one matrix, which the runtime maps; other matrices of plain elements are
 * joined when the model is opened. Returns undefined for matrices of integers that are no neighbours: no
 * operator joins them.
 */
export function addJoinedLinears(
  graph: DecoderGraph,
  x: string,
  linears: readonly LinearSpec<GraphMatrix>[],
  name: string,
): string | undefined {
  const places = linears.map(({ weight }) => weight).filter(isPlain);
  if (places.length === linears.length) {
    const result = transposedProduct(graph, x, addJoinedWeights(graph, places, `${name}.weight`));
    const bias = joinedBias(graph, linears, name);
    return bias === undefined ? result : graph.node('Add', [result, bias]);
  }
  const weight = joinQuantized(linears.map((linear) => linear.weight));
  if (!weight) return undefined;
  return addQuantizedProduct(graph, x, { weight, bias: joinedBias(graph, linears, name), name });
}

function joinedBias(
  graph: DecoderGraph,
  linears: readonly LinearSpec<GraphMatrix>[],
  name: string,
): string | undefined {
  if (linears.every(({ bias }) => bias === undefined)) return undefined;
  const biases = linears.map(({ bias, weight: { shape } }, index) =>
    bias ? graph.weight(bias, `${name}.${index}.bias`) : zeros(graph, shape[0] ?? 0),
  );
  return graph.node('Concat', biases, { attributes: { axis: { integer: 0 } } });
}

/**
 * Several weights as one, the rows of each behind the rows of the one before. Weights that are no neighbours
 * in the file are joined when the runtime opens the model.
 */
export function addJoinedWeights(graph: DecoderGraph, places: readonly TensorPlace[], name: string): string {
  const whole = joinPlaces(places);
  if (whole) return graph.weight(whole, name);
  const parts = places.map((place, index) => graph.weight(place, `${name}.${index}`));
  return graph.node('Concat', parts, { attributes: { axis: { integer: 0 } } });
}

/** A vector of zeros in the element type of the graph. */
function zeros(graph: DecoderGraph, count: number): string {
  return graph.node('Expand', [graph.scalar(0), graph.integers(count)]);
}

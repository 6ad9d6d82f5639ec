/** Products with the matrices of a checkpoint, `[out, in]`. Pure. */
import { type GraphMatrix, isPlain, type LinearSpec, type TensorPlace } from '../protocol/decoder/decoder-spec.ts';
import type { DecoderGraph } from './decoder-graph.ts';

/** `x × weightᵀ + bias`: `[…, in]` → `[…, out]`. Returns the name of the result. */
export function addLinear(
  graph: DecoderGraph,
  x: string,
  { weight, bias }: LinearSpec<GraphMatrix>,
  name: string,
): string {
  const result = product(graph, x, graph.weight(placeOf(weight), `${name}.weight`));
  return bias ? graph.node('Add', [result, graph.weight(bias, `${name}.bias`)]) : result;
}

/**
 * Several products of one input as one: the results one after the other in the last dimension. Matrices that
 * are neighbours in the file are one matrix, which the runtime maps; others are joined when the model is
 * opened.
 */
export function addJoinedLinears(
  graph: DecoderGraph,
  x: string,
  linears: readonly LinearSpec<GraphMatrix>[],
  name: string,
): string {
  const weight = addJoinedWeights(
    graph,
    linears.map(({ weight: one }) => placeOf(one)),
    `${name}.weight`,
  );
  const result = product(graph, x, weight);
  if (linears.every(({ bias }) => bias === undefined)) return result;
  const biases = linears.map(({ bias, weight: { shape } }, index) =>
    bias ? graph.weight(bias, `${name}.${index}.bias`) : zeros(graph, shape[0] ?? 0),
  );
  return graph.node('Add', [result, graph.node('Concat', biases, { attributes: { axis: { integer: 0 } } })]);
}

function product(graph: DecoderGraph, x: string, weight: string): string {
  if (graph.choices.product === 'fused')
    return graph.microsoft('FusedMatMul', [x, weight], { attributes: { transB: { integer: 1 } } });
  const transposed = graph.node('Transpose', [weight], { attributes: { perm: { integers: [1, 0] } } });
  return graph.node('MatMul', [x, transposed]);
}

/**
 * Several weights as one, with the rows of one behind those of the other. The runtime joins those that are no
 * neighbours in the file when it opens the model.
 */
export function addJoinedWeights(graph: DecoderGraph, places: readonly TensorPlace[], name: string): string {
  const whole = neighbours(places);
  if (whole) return graph.weight(whole, name);
  const parts = places.map((place, index) => graph.weight(place, `${name}.${index}`));
  return graph.node('Concat', parts, { attributes: { axis: { integer: 0 } } });
}

/** One place of all rows, if each matrix begins where the one before ends; undefined otherwise. */
function neighbours(places: readonly TensorPlace[]): TensorPlace | undefined {
  const [first] = places;
  if (!first) return undefined;
  let [end, rows] = [first.offset, 0];
  for (const { file, offset, bytes, type, shape } of places) {
    if (file !== first.file || type !== first.type || offset !== end || shape[1] !== first.shape[1]) return undefined;
    end += bytes;
    rows += shape[0] ?? 0;
  }
  return { ...first, bytes: end - first.offset, shape: [rows, ...first.shape.slice(1)] };
}

/** A vector of zeros in the element type of the graph. */
function zeros(graph: DecoderGraph, count: number): string {
  return graph.node('Expand', [graph.scalar(0), graph.integers(count)]);
}

function placeOf(matrix: GraphMatrix): TensorPlace {
  if (!isPlain(matrix)) throw new RangeError('Quantized matrices are not supported');
  return matrix;
}

/** Rows of a matrix of integers in blocks: the embeddings of ids. Pure. */
import { FLOAT32, UINT8 } from '../../onnx/types.ts';
import type { QuantizedMatrix, TensorPlace } from '../../protocol/decoder/decoder-spec.ts';
import type { DecoderGraph } from '../decoder-graph.ts';

/**
 * The rows `ids` of a matrix, `[rows, tokens]` → `[rows, tokens, columns]`, in float32. Reads the values as a
 * matrix of two dimensions; a product reads the same bytes with three.
 */
export function addQuantizedRows(graph: DecoderGraph, ids: string, matrix: QuantizedMatrix, name: string): string {
  const { shape, bits, blockSize, values, scales, zeroPoints, minimums } = matrix;
  const [rows = 0, columns = 0] = shape;
  const perBlock = [rows, columns / blockSize];
  const inputs = [
    graph.stored({ ...values, type: UINT8, shape: [rows, (columns * bits) / 8] }, `${name}.values`),
    ids,
    graph.stored({ ...scales, type: FLOAT32, shape: perBlock }, `${name}.scales`),
    ...(zeroPoints ? [graph.stored({ ...zeroPoints, type: UINT8, shape: perBlock }, `${name}.zero_points`)] : []),
  ];
  const gathered = graph.microsoft('GatherBlockQuantized', inputs, {
    attributes: {
      bits: { integer: bits },
      block_size: { integer: blockSize },
      gather_axis: { integer: 0 },
      quantize_axis: { integer: 1 },
    },
  });
  return minimums ? withoutMinimums(graph, gathered, ids, { matrix, minimums, name }) : gathered;
}

interface Minimums {
  readonly matrix: QuantizedMatrix;
  readonly minimums: TensorPlace;
  readonly name: string;
}

/** The gathered rows, less the minimum of each block. */
function withoutMinimums(
  graph: DecoderGraph,
  gathered: string,
  ids: string,
  { matrix: { shape, blockSize }, minimums, name }: Minimums,
): string {
  const [rows = 0, columns = 0] = shape;
  const place = { ...minimums, type: FLOAT32, shape: [rows, columns / blockSize] };
  const ofRows = graph.node('Gather', [graph.stored(place, `${name}.minimums`), ids]);
  const blocks = graph.node('Reshape', [gathered, graph.integers(0, 0, -1, blockSize)]);
  const lower = graph.node('Sub', [blocks, graph.node('Unsqueeze', [ofRows, graph.integers(3)])]);
  return graph.node('Reshape', [lower, graph.integers(0, 0, -1)]);
}

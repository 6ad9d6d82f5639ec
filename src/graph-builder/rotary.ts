/**
 * The tables of cosines and sines of rotary embeddings. The runtime computes them when it opens a model.
 * Pure.
 */
import { FLOAT32 } from '../onnx/types.ts';
import type { RotarySpec } from '../protocol/decoder/decoder-spec.ts';
import type { DecoderGraph } from './decoder-graph.ts';

/** Names of the tables `[positions, columns]`. */
export interface RotaryTables {
  readonly cos: string;
  readonly sin: string;
}

/**
 * Adds cosines and sines of `position × frequency`, times the magnitude. Angles are products of float32
 * numbers, as in transformers.
 * @param columns number of columns; those without a frequency have the angle 0
 */
export function addRotaryTables(
  graph: DecoderGraph,
  { frequencies, magnitude }: RotarySpec,
  { positions, columns }: { readonly positions: number; readonly columns: number },
): RotaryTables {
  const { writer } = graph;
  const row = [...frequencies, ...Array<number>(columns - frequencies.length).fill(0)];
  const scalar = (value: number): string => writer.integers(writer.fresh('position'), [value], []);
  const count = graph.node('Range', [scalar(0), scalar(positions), scalar(1)]);
  const wide = graph.node('Cast', [count], { attributes: { to: { integer: FLOAT32 } } });
  const column = graph.node('Reshape', [wide, graph.integers(positions, 1)]);
  const angles = graph.node('Mul', [column, writer.floats(writer.fresh('frequencies'), row, [1, columns])]);
  const table = (operator: string): string => {
    const values = graph.node(operator, [angles]);
    if (magnitude === 1) return graph.cast(values, FLOAT32);
    const factor = writer.floats(writer.fresh('magnitude'), [magnitude], []);
    return graph.cast(graph.node('Mul', [values, factor]), FLOAT32);
  };
  return { cos: table('Cos'), sin: table('Sin') };
}

/**
 * Graphs that move one row of the KV cache between a tensor of all rows and a tensor of one row, so that the
 * provider of a device can copy in its own memory. One run moves all tensors of the cache. Pure.
 */
import { INT64 } from './types.ts';
import { ModelWriter } from './write/model-writer.ts';

/** `in`: one row into the tensor of all rows. `out`: the other way. `within`: a row to another one. */
export type RowMove = 'in' | 'out' | 'within';

/** The inputs and outputs of a graph. Those of the tensors end with the index of the tensor. */
export const ROW = {
  /** Tensor of all rows: input of every move. */
  all: 'all_',
  /** Tensor of one row: input of `in`. */
  one: 'one_',
  /** int64 `[1]`: index of the row to copy from, for `out` and `within`. */
  from: 'from',
  /** int64 `[1, 1]`: index of the row to copy to, for `in` and `within`. */
  to: 'to',
  /** The result: all rows for `in` and `within`, one row for `out`. */
  moved: 'moved_',
} as const;

/**
 * The bytes of the model. If `all_<i>` and `moved_<i>` are the same memory, `in` and `within` write only the
 * row.
 * @param types element type of each tensor
 * @param rank number of dimensions of each tensor, with the rows first
 */
export function rowGraph(move: RowMove, types: readonly number[], rank: number): Uint8Array {
  const graph = new ModelWriter();
  if (move !== 'in') graph.input(ROW.from, { type: INT64, shape: [1] });
  if (move !== 'out') graph.input(ROW.to, { type: INT64, shape: [1, 1] });
  for (const [index, type] of types.entries()) {
    const shapeOf = (rows: number | string): (number | string)[] => [
      rows,
      ...Array.from({ length: rank - 1 }, (_, axis) => `d${axis}_${index}`),
    ];
    const all = graph.input(`${ROW.all}${index}`, { type, shape: shapeOf('rows') });
    const moved = `${ROW.moved}${index}`;
    const scattered = (row: string): string => graph.node('ScatterND', [all, ROW.to, row], { outputs: [moved] });
    const gather = { attributes: { axis: { integer: 0 } } };
    if (move === 'in') scattered(graph.input(`${ROW.one}${index}`, { type, shape: shapeOf(1) }));
    else if (move === 'out') graph.node('Gather', [all, ROW.from], { ...gather, outputs: [moved] });
    else scattered(graph.node('Gather', [all, ROW.from], gather));
    graph.output(moved, { type, shape: shapeOf(move === 'out' ? 1 : 'rows') });
  }
  return graph.finish();
}

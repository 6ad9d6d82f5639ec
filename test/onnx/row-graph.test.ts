/** The graphs that move rows of the KV cache, computed by the runtime on the CPU. */
import { describe, expect, it } from 'vitest';
import { ROW, type RowMove, rowGraph } from '../../src/onnx/row-graph.ts';
import { FLOAT32 } from '../../src/onnx/types.ts';
import { computeOnCpu, floats, int64s, output, type Tensor, type WholeGraph } from '../support/one-node.ts';

const [ROWS, HEADS, TOKENS] = [4, 2, 3];
/** Two tensors with heads of different sizes. */
const SIZES = [4, 8];

const shapeOf = (rows: number, size: number): number[] => [rows, HEADS, TOKENS, size];
const allOf = (index: number): Tensor => floats(`${ROW.all}${index}`, shapeOf(ROWS, SIZES[index]!));
const oneOf = (index: number): Tensor => floats(`${ROW.one}${index}`, shapeOf(1, SIZES[index]!));
const indices = SIZES.map((_, index) => index);
/** The numbers of a row. */
function rowOf({ data = [] }: Tensor, row: number, size: number): readonly number[] {
  const length = HEADS * TOKENS * size;
  return data.slice(row * length, (row + 1) * length);
}

function graph(move: RowMove, from: number, to: number): WholeGraph {
  const toInput = { ...int64s(ROW.to, to), shape: [1, 1] };
  return {
    model: rowGraph(
      move,
      SIZES.map(() => FLOAT32),
      4,
    ),
    inputs: [
      ...(move === 'in' ? [] : [int64s(ROW.from, from)]),
      ...(move === 'out' ? [] : [toInput]),
      ...indices.flatMap((index) => (move === 'in' ? [allOf(index), oneOf(index)] : [allOf(index)])),
    ],
    outputs: indices.map((index) =>
      output(`${ROW.moved}${index}`, ...shapeOf(move === 'out' ? 1 : ROWS, SIZES[index]!)),
    ),
  };
}

/** All rows with one of them replaced. */
const withRow = (index: number, row: number, values: readonly number[]): number[] =>
  Array.from({ length: ROWS }, (_, one) => (one === row ? values : rowOf(allOf(index), one, SIZES[index]!))).flat();

describe('a row of the KV cache', () => {
  it('is copied into the tensor of all rows, out of it, and to another row: all tensors in one run', async () => {
    const results = await computeOnCpu([graph('in', 0, 2), graph('out', 3, 0), graph('within', 1, 3)]);
    expect(results.map(({ error }) => error)).toEqual([undefined, undefined, undefined]);
    const [movedIn, movedOut, within] = results.map(({ values }) => values);
    expect(movedIn).toEqual(indices.map((index) => withRow(index, 2, oneOf(index).data!)));
    expect(movedOut).toEqual(indices.map((index) => rowOf(allOf(index), 3, SIZES[index]!)));
    expect(within).toEqual(indices.map((index) => withRow(index, 3, rowOf(allOf(index), 1, SIZES[index]!))));
  });

  it('stays if it is copied to its own place', async () => {
    const [same] = await computeOnCpu([graph('within', 2, 2)]);
    expect(same?.values).toEqual(indices.map((index) => allOf(index).data));
  });

  it('is not moved outside of the tensor', async () => {
    for (const { error } of await computeOnCpu([graph('in', 0, ROWS), graph('out', ROWS, 0)]))
      expect(error).toMatch(/indice = 4|idx=4/);
  });
});

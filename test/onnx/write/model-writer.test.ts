/** Models that the writer makes, read back with the reader of this format. */
import { describe, expect, it } from 'vitest';
import { parseModel, tensorInfoOf } from '../../../src/onnx/graph.ts';
import { findIgnored } from '../../../src/onnx/ignored-attributes.ts';
import { GRAPH } from '../../../src/onnx/types.ts';
import { ModelWriter } from '../../../src/onnx/write/model-writer.ts';

const parsed = (writer: ModelWriter) => parseModel(writer.finish())!.graph;

describe('a model', () => {
  it('has the nodes in the order in which they were added, each with its domain, inputs and outputs', () => {
    const writer = new ModelWriter();
    const sum = writer.node('Add', ['a', 'b']);
    writer.node('Norm', [sum, '', 'c'], { domain: 'com.microsoft', outputs: ['x', '', 'y'] });
    expect(parsed(writer).nodes.map(({ field: _, ...node }) => node)).toEqual([
      { domain: '', operator: 'Add', inputs: ['a', 'b'], outputs: ['Add'] },
      { domain: 'com.microsoft', operator: 'Norm', inputs: ['Add', '', 'c'], outputs: ['x', '', 'y'] },
    ]);
  });

  it('has inputs and outputs of fixed and of dynamic size', () => {
    const writer = new ModelWriter();
    writer.input('ids', { type: 7, shape: ['rows', 'tokens'] });
    writer.output('logits', { type: 1, shape: ['rows', 1, 49152] });
    const { message } = parsed(writer);
    const infos = [GRAPH.input, GRAPH.output].flatMap((side) =>
      message.all(side).map((one) => tensorInfoOf(message, one)),
    );
    expect(infos).toEqual([
      { name: 'ids', type: 7, shape: [-1, -1] },
      { name: 'logits', type: 1, shape: [-1, 1, 49152] },
    ]);
  });

  it('has constants of the given shapes, also without dimensions', () => {
    const writer = new ModelWriter();
    writer.integers('scalar', [5], []);
    writer.floats('matrix', [1, 2, 3, 4, 5, 6], [2, 3]);
    const graph = parsed(writer);
    expect([graph.constantShape('scalar'), graph.constantShape('matrix')]).toEqual([[], [2, 3]]);
  });

  it.each([
    ['an integer', { integer: 7 }, 7],
    ['a negative integer', { integer: -1 }, -1],
    ['a float', { float: 0.5 }, 0.5],
    ['a negative float', { float: -2.25 }, -2.25],
  ])('has attributes: %s', (_, attribute, value) => {
    const writer = new ModelWriter();
    writer.node('Op', ['x'], { attributes: { first: { integer: 3 }, sought: attribute } });
    const rule = { domain: '', operator: 'Op', attribute: 'sought', neutral: 0 };
    expect(findIgnored(writer.finish(), [rule])).toEqual({ operator: 'Op', attribute: 'sought', value });
  });

  it('renames the first output of its last node, and no other name', () => {
    const writer = new ModelWriter();
    expect(() => writer.renameLast('logits')).toThrow('There is no node whose output can get the name logits');
    const first = writer.node('First', ['x']);
    writer.node('Last', [first], { outputs: ['a', 'b'] });
    writer.renameLast('logits');
    // The name is taken, and a node behind it cannot be renamed any more.
    expect(writer.fresh('logits')).toBe('logits_1');
    writer.node('Behind', ['logits', 'b']);
    expect(parsed(writer).nodes.map(({ operator, inputs, outputs }) => [operator, inputs, outputs])).toEqual([
      ['First', ['x'], ['First']],
      ['Last', ['First'], ['logits', 'b']],
      ['Behind', ['logits', 'b'], ['Behind']],
    ]);
  });

  it('never has one name for two values', () => {
    const writer = new ModelWriter();
    writer.input('x_1', { type: 1, shape: [] });
    const names = [writer.fresh('x'), writer.fresh('x'), writer.fresh('x'), writer.node('x', [])];
    expect(names).toEqual(['x', 'x_2', 'x_3', 'x_4']);
  });
});

/** The search for attributes that a device ignores, in graphs made field by field. */
import { describe, expect, it } from 'vitest';
import { findIgnored } from '../../src/onnx/ignored-attributes.ts';
import { writeBytes } from '../../src/onnx/protobuf.ts';
import { GRAPH, NODE, VALUE } from '../../src/onnx/types.ts';
import { ignoredBy } from '../../src/protocol/devices.ts';
import { attribute, functionOf, graph, model, node, type Value } from './with-attribute.ts';

const MS = 'com.microsoft';
const RULES = ignoredBy('webgpu', true);
const softcap = (value: Value) => attribute('softcap', value);
const gqa = (...attributes: Parameters<typeof node>[2][]) => node(MS, 'GroupQueryAttention', ...attributes);
const capped = gqa(attribute('num_heads', { integer: 4 }), softcap({ float: 50 }));
const FOUND = { operator: 'GroupQueryAttention', attribute: 'softcap', value: 50 };

const inBranch = (...graphs: Parameters<typeof model>[0][]) => node('', 'If', attribute('then_branch', { graphs }));

describe('an ignored attribute is found', () => {
  it.each([
    ['in the main graph', model(graph(node('', 'MatMul'), gqa(), capped))],
    ['in a branch of If', model(graph(inBranch(graph(capped))))],
    ['in the second graph of an attribute', model(graph(inBranch(graph(gqa()), graph(capped))))],
    ['in a branch of a branch', model(graph(inBranch(graph(inBranch(graph(capped))))))],
    ['in the body of a function', model(graph(node('local', 'Block')), functionOf('local', 'Block', [capped]))],
    [
      'in a function of a function',
      model(
        graph(node('local', 'Outer')),
        functionOf('local', 'Outer', [node('local', 'Inner')]),
        functionOf('local', 'Inner', [capped]),
      ),
    ],
    [
      'with the value of the call of a function, also of the second call',
      model(
        graph(node('local', 'Block'), node('local', 'Block', attribute('cap', { float: 50 }))),
        functionOf('local', 'Block', [gqa(softcap({ reference: 'cap' }))], [attribute('cap', { float: 0 })]),
      ),
    ],
    [
      'with the default of a function',
      model(
        graph(node('local', 'Block')),
        functionOf('local', 'Block', [gqa(softcap({ reference: 'cap' }))], [attribute('cap', { float: 50 })]),
      ),
    ],
  ])('%s', (_, bytes) => {
    expect(findIgnored(bytes, RULES)).toEqual(FOUND);
  });

  it('with the value of the model, also if it is not a round number', () => {
    const found = findIgnored(model(graph(gqa(softcap({ float: 0.1 })))), RULES);
    expect(found?.value).toBeCloseTo(0.1, 6);
  });
});

describe('nothing is found', () => {
  it.each([
    ['without the attribute', model(graph(gqa()))],
    ['with the neutral value', model(graph(gqa(softcap({ float: 0 }))))],
    ['with the neutral window, which is negative', model(graph(gqa(attribute('local_window_size', { integer: -1 }))))],
    [
      'in an operator of the same name in another domain',
      model(graph(node('other', 'GroupQueryAttention', softcap({ float: 50 })))),
    ],
    // The provider has no such operator, so the CPU computes it, with the attribute.
    ['in the standard Attention', model(graph(node('', 'Attention', softcap({ float: 50 }))))],
    ['in a function that no node calls', model(graph(gqa()), functionOf('local', 'Block', [capped]))],
    [
      'in a function whose call passes the neutral value',
      model(
        graph(node('local', 'Block', attribute('cap', { float: 0 }))),
        functionOf('local', 'Block', [gqa(softcap({ reference: 'cap' }))], [attribute('cap', { float: 50 })]),
      ),
    ],
  ])('%s', (_, bytes) => {
    expect(findIgnored(bytes, RULES)).toBeUndefined();
  });

  it('without rules', () => expect(findIgnored(model(graph(capped)), [])).toBeUndefined());
});

it('a function that calls itself ends the search, and so do many calls of a chain of functions', () => {
  const itself = model(graph(node('local', 'Loop')), functionOf('local', 'Loop', [node('local', 'Loop')]));
  expect(findIgnored(itself, RULES)).toBeUndefined();
  const twice = (name: string) => Array.from({ length: 50 }, () => node('local', name));
  const chain = Array.from({ length: 10 }, (_, index) => functionOf('local', `F${index}`, twice(`F${index + 1}`)));
  expect(findIgnored(model(graph(...twice('F0')), ...chain), RULES)).toBeUndefined();
});

describe('WebGPU', () => {
  const always = ignoredBy('webgpu');
  const window = model(graph(gqa(attribute('local_window_size', { integer: 4096 }))));

  it('ignores the window of its attention only under graph capture', () => {
    expect(findIgnored(window, ignoredBy('webgpu', true))).toMatchObject({
      attribute: 'local_window_size',
      value: 4096,
    });
    expect(findIgnored(window, always)).toBeUndefined();
  });

  it('always ignores softcap, which the CPU computes', () => {
    const bytes = model(graph(capped));
    expect(findIgnored(bytes, always)).toEqual(FOUND);
    expect(findIgnored(bytes, ignoredBy('cpu'))).toBeUndefined();
  });

  it('ignores the rotary embedding of Attention', () => {
    const rotary = node(MS, 'Attention', attribute('do_rotary', { integer: 1 }));
    expect(findIgnored(model(graph(rotary)), always)).toEqual({
      operator: 'Attention',
      attribute: 'do_rotary',
      value: 1,
    });
  });

  describe('ignores the positions of its attention', () => {
    const POSITIONS = { operator: 'GroupQueryAttention', attribute: 'position_ids' };
    const withInputs = (...names: readonly string[]) => [
      ...names.flatMap((name) => writeBytes(NODE.input, name)),
      ...gqa(),
    ];
    const before = ['q', 'k', 'v', 'pk', 'pv', 'last', 'longest', 'cos', 'sin'];
    const input = writeBytes(GRAPH.input, writeBytes(VALUE.name, 'position_ids'));

    it('if the model computes them', () => {
      expect(findIgnored(model([...graph(withInputs(...before, 'shifted')), ...input]), always)).toEqual(POSITIONS);
    });

    it('but not if they are the input of the model, or absent', () => {
      const given = graph(withInputs(...before, 'position_ids'));
      expect(findIgnored(model([...given, ...input]), always)).toBeUndefined();
      expect(findIgnored(model(given), always)).toEqual(POSITIONS);
      expect(findIgnored(model(graph(withInputs(...before, '', 'bias'))), always)).toBeUndefined();
      expect(findIgnored(model(graph(withInputs(...before))), always)).toBeUndefined();
    });

    it('in a function, whose inputs can be anything', () => {
      const body = functionOf('local', 'Block', [withInputs(...before, 'position_ids')]);
      expect(findIgnored(model([...graph(node('local', 'Block')), ...input], body), always)).toEqual(POSITIONS);
    });
  });
});

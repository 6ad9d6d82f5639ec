/** Lengths as inputs instead of the attention mask: which graphs are edited, and that they compute the same. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { deviceNamed } from '../../../src/engine/devices/registry.ts';
import { loadOrt } from '../../../src/engine/ort/api.ts';
import { readModel } from '../../../src/engine/ort/model-file.ts';
import { Session } from '../../../src/engine/ort/session.ts';
import { readSignature } from '../../../src/engine/ort/signature.ts';
import { editModel } from '../../../src/onnx/edit/graph-edit.ts';
import { lengthInputsEdit } from '../../../src/onnx/edit/length-inputs.ts';
import { nameOf, parseModel } from '../../../src/onnx/graph.ts';
import { type Message, writeBytes, writeNumber } from '../../../src/onnx/protobuf.ts';
import { FLOAT32, GRAPH, INT32, INT64, MODEL, TENSOR, VALUE } from '../../../src/onnx/types.ts';
import type { ModelWriter, NodeOptions } from '../../../src/onnx/write/model-writer.ts';
import { runtimeLibrary } from '../../engine/harness.ts';
import { optionsFor, REFERENCE } from '../../engine/reference.ts';
import { randomNumbers } from '../../support/grammar/random-tokens.ts';
import {
  type Form,
  type Lengths,
  MASK,
  maskedDecoder,
  VOCABULARY,
  withConstantNodes,
  withGraph,
  withNumbers,
} from './masked-decoder.ts';

const LAST = 'seqlens_k';
const LONGEST = 'total_sequence_length';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'length-inputs-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

const edited = (model: Uint8Array): Uint8Array | undefined => {
  const parsed = parseModel(model);
  return parsed && editModel(parsed, lengthInputsEdit(parsed));
};

const to = (type: number): NodeOptions => ({ attributes: { to: { integer: type } } });
const flag = (name: string, integer: number): NodeOptions => ({ attributes: { [name]: { integer } } });

/** The lengths as exporters of Hugging Face compute them, with other options for each node. */
interface Changes {
  readonly reduce?: NodeOptions;
  readonly axes?: readonly number[];
  readonly less?: number;
  readonly lessShape?: readonly number[];
  readonly index?: number;
  readonly shape?: NodeOptions;
  readonly gather?: NodeOptions;
  readonly cast?: NodeOptions;
  readonly names?: readonly [last: string, longest: string];
}

function usual(writer: ModelWriter, changes: Changes = {}): Lengths {
  const { reduce = flag('keepdims', 0), axes = [1], less = 1, lessShape = [], cast = to(INT32) } = changes;
  const [last, longest] = changes.names ?? [writer.fresh('last'), writer.fresh('longest')];
  const constant = (values: readonly number[], shape?: readonly number[]): string =>
    writer.integers(writer.fresh('constant'), values, shape);
  const sums = writer.node('ReduceSum', [MASK, constant(axes)], reduce);
  const positions = writer.node('Sub', [sums, constant([less], lessShape)]);
  writer.node('Cast', [positions], { ...cast, outputs: [last] });
  const shape = writer.node('Shape', [MASK], changes.shape);
  const size = writer.node('Gather', [shape, constant([changes.index ?? 1], [])], changes.gather);
  writer.node('Cast', [size], { ...to(INT32), outputs: [longest] });
  return { last, longest };
}

/** Each row fills with a prompt, then all rows decode together: logits `[runs][vocab]`. */
function logitsOf(session: Session): number[][] {
  const lengths = [9, 17, 3];
  session.reserve({ rows: 3, capacity: 32, chunk: 32, keep: 1 });
  const all: number[][] = [];
  const take = (at: number): void => void all.push([...session.logits.slice(at * VOCABULARY, (at + 1) * VOCABULARY)]);
  for (const [row, length] of lengths.entries()) {
    for (let at = 0; at < length; at++) session.ids[at] = BigInt((5 * at * at + 3 * row + 1) % VOCABULARY);
    session.run({ rows: { first: row, count: 1 }, lengths: [length], tokens: length, logitsAt: 0, keep: 1 });
    take(0);
  }
  for (let step = 1; step < 4; step++) {
    session.ids.set([BigInt(step), 7n, 11n]);
    const after = lengths.map((length) => length + step);
    session.run({ rows: { first: 0, count: 3 }, lengths: after, tokens: 1, logitsAt: session.rowLogits, keep: 1 });
    for (let row = 0; row < 3; row++) take(session.rowLogits + row);
  }
  return all;
}

/** The logits of the edited model, and of the model with its mask. */
function bothLogits(model: Uint8Array): [number[][], number[][]] {
  const file = join(folder, 'model.onnx');
  writeFileSync(file, model);
  const [edited, whole] = [readModel(file), readModel(file, { attentionMask: 'none' })].map((one) => {
    const session = Session.open(loadOrt(runtimeLibrary), one, deviceNamed('cpu'));
    try {
      return { logits: logitsOf(session), lengths: session.signature.lengths };
    } finally {
      session.close();
    }
  });
  expect(typeof edited!.lengths).toBe('object');
  expect(whole!.lengths).toBe(MASK);
  return [edited!.logits, whole!.logits];
}

describe('a decoder gets lengths instead of the mask, and computes the same logits, if the mask goes through', () => {
  it.each<[string, Form['lengths']]>([
    ['ReduceSum, Sub, Cast and Shape, Gather, Cast', usual],
    ['a sum that stays a column', (writer) => usual(writer, { reduce: {}, lessShape: [1] })],
    ['the last axis', (writer) => usual(writer, { axes: [-1], index: -1 })],
    [
      'attributes that newer exporters set',
      (writer) =>
        usual(writer, {
          reduce: { attributes: { keepdims: { integer: 0 }, noop_with_empty_axes: { integer: 0 } } },
          shape: flag('start', 0),
          gather: flag('axis', 0),
        }),
    ],
    [
      'Cast before Sub, and Shape of one axis',
      (writer) => {
        const one = writer.constant('one', { type: INT32, shape: [1] }, Uint8Array.of(1, 0, 0, 0));
        const sums = writer.node('ReduceSum', [MASK, writer.integers('axes', [1])], flag('keepdims', 0));
        const size = writer.node('Shape', [MASK], { attributes: { start: { integer: 1 }, end: { integer: 2 } } });
        return {
          last: writer.node('Sub', [writer.node('Cast', [sums], to(INT32)), one]),
          longest: writer.node('Cast', [size], to(INT32)),
        };
      },
    ],
    [
      'ReduceMax of the sums, for the capture of graphs',
      (writer) => {
        const one = writer.constant('one', { type: INT32, shape: [1] }, Uint8Array.of(1, 0, 0, 0));
        const narrow = writer.node('Cast', [MASK], to(INT32));
        const sums = writer.node('ReduceSum', [narrow, writer.integers('axes', [1])], flag('keepdims', 0));
        return {
          last: writer.node('Sub', [sums, one]),
          longest: writer.node('ReduceMax', [sums], flag('keepdims', 0)),
        };
      },
    ],
    [
      'Add of minus one, Squeeze, Unsqueeze, Reshape and Identity',
      (writer) => {
        const axis = writer.integers('axis', [1]);
        const sums = writer.node('ReduceSum', [writer.node('Identity', [MASK]), axis]);
        const less = writer.node('Add', [writer.integers('less', [-1]), writer.node('Squeeze', [sums, axis])]);
        const size = writer.node('Gather', [writer.node('Shape', [MASK]), writer.integers('at', [1])]);
        const scalar = writer.node('Squeeze', [size, writer.integers('zero', [0])]);
        const element = writer.node('Reshape', [writer.node('Unsqueeze', [scalar, 'zero']), 'less']);
        return { last: writer.node('Cast', [less], to(INT32)), longest: writer.node('Cast', [element], to(INT32)) };
      },
    ],
  ])('%s', (_, lengths) => {
    for (const model of [maskedDecoder({ lengths }), withConstantNodes(maskedDecoder({ lengths }))]) {
      const [withLengths, withMask] = bothLogits(model);
      expect(withLengths).toEqual(withMask);
      expect(new Set(withLengths.map(String)).size).toBe(withLengths.length);
    }
  });
});

it('constants can be numbers instead of bytes', () => {
  const [withLengths, withMask] = bothLogits(withNumbers(maskedDecoder({ lengths: usual })));
  expect(withLengths).toEqual(withMask);
});

it('random arithmetic on the mask is replaced only where the logits stay the same', () => {
  const random = randomNumbers(20);
  const pick = <T>(...some: readonly T[]): T => some[Math.floor(random() * some.length)]!;
  let replaced = 0;
  for (let round = 0; round < 1500; round++) {
    const model = maskedDecoder({ lengths: (writer) => randomLengths(writer, pick) });
    if (!edited(model)) continue;
    replaced += 1;
    const [withLengths, withMask] = bothLogits(model);
    expect(withLengths, `round ${round}`).toEqual(withMask);
  }
  expect(replaced).toBeGreaterThan(20);
  expect(replaced).toBeLessThan(500);
});

describe('a decoder keeps its mask', () => {
  it.each<[string, Form]>([
    ['positions are counted from the mask', { lengths: usual, more: addedSums((writer) => cumulative(writer)) }],
    ['a bias of attention reads it', { lengths: usual, more: addedSums((writer) => writer.node('Identity', [MASK])) }],
    [
      'an output of the graph is computed from it',
      {
        lengths: (writer) => {
          const made = usual(writer);
          writer.output(made.longest, { type: INT32, shape: [] });
          return made;
        },
      },
    ],
    [
      'another node reads a length',
      {
        lengths: (writer) => {
          const made = usual(writer);
          writer.node('Identity', [made.last]);
          return made;
        },
      },
    ],
    ['each layer has lengths of its own', { lengths: (writer) => [usual(writer), usual(writer)] }],
    ['the sum is over the rows', { lengths: (writer) => usual(writer, { axes: [0] }) }],
    ['the sum is over all', { lengths: (writer) => usual(writer, { axes: [0, 1] }) }],
    ['two are subtracted', { lengths: (writer) => usual(writer, { less: 2 }) }],
    ['nothing is subtracted', { lengths: (writer) => usual(writer, { less: 0 }) }],
    ['the subtraction broadcasts', { lengths: (writer) => usual(writer, { lessShape: [1, 1] }) }],
    ['the size is that of the rows', { lengths: (writer) => usual(writer, { index: 0 }) }],
    ['the shape ends before the width', { lengths: (writer) => usual(writer, { shape: flag('end', -1), index: -1 }) }],
    ['the shape begins at the end', { lengths: (writer) => usual(writer, { shape: flag('start', -1) }) }],
    ['a length is rounded', { lengths: (writer) => usual(writer, { cast: to(FLOAT32) }) }],
    ['an attribute is unknown', { lengths: (writer) => usual(writer, { gather: flag('batch_dims', 0) }) }],
    ['the mask is int32', { lengths: usual, mask: { type: INT32, shape: ['rows', 'width'] } }],
    ['the mask has four dimensions', { lengths: usual, mask: { type: INT64, shape: ['rows', 1, 1, 'width'] } }],
    ['the lengths are swapped', { lengths: swapped }],
    ['the longest length is a sum of ids', { lengths: (writer) => ({ ...usual(writer), longest: sizeOfIds(writer) }) }],
    ['the longest length is that of the last positions', { lengths: longestPosition }],
    ['a row is subtracted from a constant', { lengths: reversed }],
  ])('%s', (_, form) => {
    const model = maskedDecoder(form);
    expect(parseModel(model)?.graph.nodes.length).toBeGreaterThan(8);
    expect(edited(model)).toBeUndefined();
  });

  it.each([MODEL.irVersion, MODEL.opsetImport])(
    'the version of the format or of its operators is old: field %i',
    (old) => {
      const model = maskedDecoder({ lengths: usual });
      const parsed = parseModel(model)!;
      const low =
        old === MODEL.irVersion ? [writeNumber(old, 3)] : writeBytes(old, [writeNumber(MODEL.opsetVersion, 9)]);
      expect(edited(model)).toBeDefined();
      expect(
        edited(Buffer.concat(parsed.root.rewrite(({ number }) => (number === old ? low : undefined)))),
      ).toBeUndefined();
    },
  );

  it('a graph inside a node reads it', () => {
    const inner = writeBytes(GRAPH.node, [
      ...writeBytes(1, MASK),
      ...writeBytes(2, 'copy'),
      ...writeBytes(4, 'Identity'),
    ]);
    const branch = [...writeBytes(1, 'then_branch'), ...writeBytes(6, inner)];
    const node = writeBytes(GRAPH.node, [...writeBytes(2, 'chosen'), ...writeBytes(4, 'If'), ...writeBytes(5, branch)]);
    const model = withGraph(maskedDecoder({ lengths: usual }), (graph) => [graph.bytes, ...node]);
    expect(edited(model)).toBeUndefined();
  });

  it('no node is GroupQueryAttention', () => {
    const text = Buffer.from(maskedDecoder({ lengths: usual })).toString('latin1');
    expect(
      edited(Buffer.from(text.replaceAll('GroupQueryAttention', 'MultiHeadAttentions'), 'latin1')),
    ).toBeUndefined();
  });
});

describe('the edited graph', () => {
  const graphOf = (model: Uint8Array) => parseModel(model)!.graph;
  const namesOf = (graph: Message, number: number): string[] => graph.all(number).map((field) => nameOf(graph, field));

  it('has no node, constant or description that only served the mask, and keeps what others read', () => {
    const form: Form = {
      lengths: (writer) => {
        const sums = writer.node('ReduceSum', [MASK, writer.integers('axes', [1])], flag('keepdims', 0));
        const last = writer.node('Cast', [writer.node('Sub', [sums, writer.integers('one', [1])])], to(INT32));
        const size = writer.node('Gather', [writer.node('Shape', [MASK]), writer.integers('at', [1], [])]);
        return { last, longest: writer.node('Cast', [size], to(INT32)) };
      },
      // The shape [32] of the bias comes from a constant that the mask's Sub reads too.
      more: (writer, hidden) => writer.node('Add', [hidden, writer.node('Cast', ['one'], to(FLOAT32))]),
    };
    const described = ['ReduceSum', 'Sub', 'middle'].flatMap((name) =>
      writeBytes(GRAPH.valueInfo, writeBytes(VALUE.name, name)),
    );
    const model = withGraph(maskedDecoder(form), (graph) => [graph.bytes, ...described]);
    const [before, after] = [graphOf(model), graphOf(edited(model)!)];
    const operators = after.nodes.map(({ operator }) => operator);
    const removed = ['ReduceSum', 'Sub', 'Cast', 'Shape', 'Gather', 'Cast'];
    expect(operators).toEqual(before.nodes.map(({ operator }) => operator).slice(removed.length));
    expect(
      before.nodes
        .slice(0, removed.length)
        .map(({ operator }) => operator)
        .sort(),
    ).toEqual(removed.sort());
    const constants = after.message.all(GRAPH.initializer).map((field) => {
      const tensor = after.message.message(field);
      return tensor.text(tensor.last(TENSOR.name));
    });
    expect(['axes', 'one', 'at'].map((name) => constants.includes(name))).toEqual([false, true, false]);
    expect(namesOf(after.message, GRAPH.valueInfo)).toEqual(['middle']);
    expect(namesOf(after.message, GRAPH.input).slice(0, 3)).toEqual(['input_ids', LAST, LONGEST]);
  });

  it('is not edited again', () => {
    expect(edited(edited(maskedDecoder({ lengths: usual }))!)).toBeUndefined();
  });

  it('uses the names of the values that it replaces', () => {
    const model = maskedDecoder({ lengths: (writer) => usual(writer, { names: [LAST, LONGEST] }) });
    expect(namesOf(graphOf(edited(model)!).message, GRAPH.input)).toContain(LAST);
    const [withLengths, withMask] = bothLogits(model);
    expect(withLengths).toEqual(withMask);
  });

  it('has other names if the graph has values of these names, and the engine finds them', () => {
    const model = maskedDecoder({
      lengths: (writer) => usual(writer, { names: ['row_ends', LAST] }),
      between: LONGEST,
    });
    const file = join(folder, 'taken.onnx');
    writeFileSync(file, model);
    expect(readSignature(readModel(file).edited!).lengths).toEqual({ last: `${LAST}_`, longest: `${LONGEST}_` });
    const [withLengths, withMask] = bothLogits(model);
    expect(withLengths).toEqual(withMask);
  });
});

describe('of the test models', () => {
  const lengthsOf = (name: string): unknown => {
    const model = REFERENCE.find((one) => one.name === name)!;
    const { names = {} } = optionsFor(model, 'cpu');
    const { logits, inputIds, attentionMask } = names;
    return readSignature(readModel(model.file, { logits, inputIds, attentionMask }).edited!, names).lengths;
  };
  const kept = ['combined', 'concat', 'concat-asked', 'concat-fp16', 'concat-position-ids', 'shared-caches'];

  it.each(REFERENCE.map(({ name }) => [name] as const))(
    '%s gets lengths, unless its attention reads the mask',
    (name) => {
      const keepsMask = kept.some((folder) => name === `${folder}/model.onnx`);
      expect(lengthsOf(name)).toEqual(keepsMask ? MASK : { last: LAST, longest: LONGEST });
    },
  );

  it('those with attention of basic operators keep the mask', () => {
    const growing = REFERENCE.filter(({ grows }) => grows).map(({ name }) => name);
    expect(new Set(growing)).toEqual(new Set(kept.map((folder) => `${folder}/model.onnx`)));
    expect(REFERENCE.length - kept.length).toBe(21);
  });
});

/** Lengths by the operators of exporters, most of them with wrong axes, constants, attributes or inputs. */
function randomLengths(writer: ModelWriter, pick: <T>(...some: readonly T[]) => T): Lengths {
  const constant = (values: readonly number[], ...shapes: readonly (readonly number[])[]): string =>
    writer.integers(writer.fresh('constant'), values, pick([values.length], ...shapes));
  const some = (name: string, ...values: readonly (number | undefined)[]) => {
    const integer = pick(...values);
    return integer === undefined ? {} : { [name]: { integer } };
  };
  const maybe = (value: string): string => (pick(true, false) ? value : writer.node('Identity', [value]));
  const sums = writer.node('ReduceSum', [maybe(MASK), constant(pick([1], [1], [-1], [0], [0, 1]))], {
    attributes: { ...some('keepdims', 0, 0, 1, undefined), ...some('noop_with_empty_axes', undefined, 0, 1) },
  });
  const less = pick(1, 1, 1, 2, 0, -1);
  const minus = (value: string): string =>
    pick(
      () => writer.node('Sub', [value, constant([less], [], [1, 1])]),
      () => writer.node('Add', [constant([-less], []), value]),
      () => writer.node('Sub', [constant([less], []), value]),
    )();
  const last = minus(pick(true, false) ? sums : writer.node('Reshape', [sums, constant(pick([-1], [1, -1]))]));
  const shape = () =>
    writer.node('Shape', [pick(MASK, MASK, MASK, 'input_ids')], {
      attributes: { ...some('start', undefined, 0, 1, -1), ...some('end', undefined, undefined, 1, 2, 3, -1) },
    });
  const index = () => constant([pick(0, 1, 1, -1)], []);
  const longest = pick(
    () => writer.node('Gather', [shape(), index()], { attributes: some('axis', undefined, 0) }),
    shape,
    () => writer.node('ReduceMax', [pick(sums, last)], { attributes: some('keepdims', 0, 1) }),
  )();
  return { last: writer.node('Cast', [last], to(INT32)), longest: writer.node('Cast', [maybe(longest)], to(INT32)) };
}

/** Adds the mean of a value `[rows, width]` of the mask to each hidden state. */
function addedSums(value: (writer: ModelWriter) => string): NonNullable<Form['more']> {
  return (writer, hidden) => {
    const sums = writer.node('ReduceSum', [value(writer), writer.integers('both', [0, 1])], flag('keepdims', 0));
    return writer.node('Add', [hidden, writer.node('Cast', [sums], to(FLOAT32))]);
  };
}

const cumulative = (writer: ModelWriter): string => writer.node('CumSum', [MASK, writer.integers('axis', [1], [])]);

function swapped(writer: ModelWriter): Lengths {
  const { last, longest } = usual(writer);
  return { last: longest, longest: last };
}

function sizeOfIds(writer: ModelWriter): string {
  const size = writer.node('Gather', [writer.node('Shape', ['input_ids']), writer.integers('index', [1], [])]);
  return writer.node('Cast', [size], to(INT32));
}

function longestPosition(writer: ModelWriter): Lengths {
  const { last } = usual(writer);
  return { last, longest: writer.node('ReduceMax', [last], flag('keepdims', 0)) };
}

function reversed(writer: ModelWriter): Lengths {
  const { longest } = usual(writer);
  const sums = writer.node('ReduceSum', [MASK, writer.integers('axes', [1])], flag('keepdims', 0));
  const last = writer.node('Cast', [writer.node('Sub', [writer.integers('minus', [-1]), sums])], to(INT32));
  return { last, longest };
}

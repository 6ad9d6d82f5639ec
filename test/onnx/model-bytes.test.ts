/**
 * The edit of a model's bytes, without the runtime: its changes, the graphs that it does not change, and
 * bytes that are not a model.
 */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { editModel, type GraphEdit, writeNode } from '../../src/onnx/edit/graph-edit.ts';
import { lastLogitsEdit } from '../../src/onnx/edit/last-logits.ts';
import { lengthInputsEdit } from '../../src/onnx/edit/length-inputs.ts';
import { withExternalData } from '../../src/onnx/external-data.ts';
import { type ParsedModel, parseModel } from '../../src/onnx/graph.ts';
import { Message, type Source, writeBytes, writeNumber } from '../../src/onnx/protobuf.ts';
import { ENTRY, GRAPH, MODEL, TENSOR } from '../../src/onnx/types.ts';
import { modelFile } from '../engine/harness.ts';
import { sampleSize } from '../support/sample.ts';

const fixture = (name: string): Buffer =>
  readFileSync(fileURLToPath(new URL(`../models/${name}/model.onnx`, import.meta.url)));
const haiku = readFileSync(modelFile);
const files = { model: 'model.onnx', resolve: (location: string) => `elsewhere/${location}` };

const memory = (bytes: Uint8Array): Source => ({
  window: () => ({ start: 0, bytes }),
  bytes: (from, to) => bytes.subarray(from, to),
});
const light = (bytes: Uint8Array): Uint8Array => withExternalData(memory(bytes), bytes.length, files);
const bytesOf =
  (edit: (model: ParsedModel) => GraphEdit | undefined) =>
  (bytes: Uint8Array): Uint8Array | undefined => {
    const parsed = parseModel(bytes);
    return parsed && editModel(parsed, edit(parsed));
  };
const keepLastLogits = bytesOf(lastLogitsEdit);
const takeLengths = bytesOf(lengthInputsEdit);

function graphOf(model: Uint8Array): Message {
  const root = new Message(model);
  const field = root.last(MODEL.graph);
  if (!field) throw new Error('no graph');
  return root.message(field);
}
const partsOf = (graph: Message): string[] =>
  graph.fields.map((field) => Buffer.from(graph.bytes.subarray(field.start, field.to)).toString('latin1'));

/** An initializer's external data, and its other fields. */
function tensorsOf(model: Uint8Array): { data: Record<string, string>; raw: Uint8Array | undefined }[] {
  const graph = graphOf(model);
  return graph.all(GRAPH.initializer).map((field) => {
    const tensor = graph.message(field);
    const entries = tensor.all(TENSOR.externalData).map((one) => tensor.message(one));
    const raw = tensor.last(TENSOR.raw);
    return {
      data: Object.fromEntries(
        entries.map((entry) => [entry.text(entry.last(ENTRY.key)), entry.text(entry.last(ENTRY.value))]),
      ),
      raw: raw && tensor.content(raw),
    };
  });
}

/** The parts of a small graph: hidden · weights + bias → logits `[rows, tokens, 8]`. */
interface Layout {
  readonly head?: string;
  readonly tail?: string;
  readonly bias?: number[];
  readonly weights?: string;
  readonly shape?: number[];
  readonly more?: Uint8Array[][];
  readonly rank?: number;
  readonly opset?: number;
  readonly format?: number;
}
const numbers = (number: number, values: number[]): Uint8Array[] => values.map((value) => writeNumber(number, value));
const tensor = (name: string, shape: number[]): Uint8Array[] =>
  writeBytes(GRAPH.initializer, [...numbers(1, shape), ...writeBytes(8, name)]);

function modelOf(layout: Layout): Uint8Array {
  const { head = 'MatMul', tail = 'Add', bias = [8], weights = 'weights', shape = [8, 8], more = [] } = layout;
  const dimensions = Array.from({ length: layout.rank ?? 3 }, () => writeBytes(1, [])).flat();
  const type = writeBytes(2, writeBytes(1, [writeNumber(1, 1), ...writeBytes(2, dimensions)]));
  const graph = [
    ...more.flat(),
    ...writeNode(head, ['hidden', 'weights'], 'projected'),
    ...writeNode(tail, ['bias', 'projected'], 'logits'),
    ...tensor(weights, shape),
    ...tensor('bias', bias),
    ...writeBytes(GRAPH.input, writeBytes(1, 'hidden')),
    ...writeBytes(GRAPH.output, [...writeBytes(1, 'logits'), ...type]),
  ];
  const opset = writeBytes(MODEL.opsetImport, [writeNumber(MODEL.opsetVersion, layout.opset ?? 17)]);
  const format = writeNumber(MODEL.irVersion, layout.format ?? 8);
  return Buffer.concat([format, ...opset, ...writeBytes(MODEL.graph, graph)]);
}

/** A node with a graph inside it. */
function inner(graph: Uint8Array[]): Uint8Array[] {
  const attribute = [...writeBytes(1, 'then_branch'), ...writeBytes(6, graph)];
  return writeBytes(GRAPH.node, [...writeBytes(4, 'If'), ...writeBytes(5, attribute)]);
}

function nested(depth: number): Uint8Array[] {
  return depth === 0 ? writeNode('Relu', ['projected'], 'other') : inner(nested(depth - 1));
}

describe('the edit', () => {
  it.each([
    ['haiku', haiku],
    ['fp32', fixture('fp32')],
    ['external', fixture('external')],
    ['softcap', fixture('softcap')],
    ['integer', fixture('integer')],
  ])('copies all of the graph byte for byte but the head and the output: %s', (_, model) => {
    const edited = keepLastLogits(model);
    if (!edited) throw new Error('not edited');
    const before = partsOf(graphOf(model));
    const after = new Set(partsOf(graphOf(edited)));
    const changed = before.filter((part) => !after.has(part));
    expect(changed).toHaveLength(2);
    expect(changed.filter((part) => /MatMul/.test(part))).toHaveLength(1);
    expect(changed.filter((part) => part.charCodeAt(0) >> 3 === GRAPH.output && part.includes('logits'))).toHaveLength(
      1,
    );
    // Two of them again, two constants, one node and the input.
    expect(after.size - before.length).toBe(4);
  });

  it('does not change a graph that has the input, such as its own result', () => {
    expect(keepLastLogits(fixture('asked'))).toBeUndefined();
    expect(keepLastLogits(keepLastLogits(fixture('fp32')) ?? haiku)).toBeUndefined();
  });

  it.each<[boolean, string, Layout]>([
    [true, 'a bias for each word', {}],
    [true, 'one number added', { bias: [] }],
    [true, 'a bias in a row of its own', { bias: [1, 8] }],
    [false, 'a bias for each position', { bias: [4, 8] }],
    [false, 'a bias that raises the rank', { bias: [1, 1, 8] }],
    [
      true,
      'weights that are transposed when it is loaded',
      { more: [writeNode('Transpose', ['stored'], 'weights')], weights: 'stored' },
    ],
    [false, 'weights that are computed', { more: [writeNode('Relu', ['stored'], 'weights')], weights: 'stored' }],
    [false, 'another operand than a matrix', { shape: [1, 8, 8] }],
    [false, 'a head of another kind', { head: 'Gemm' }],
    [false, 'a node behind the head that is not element-wise', { tail: 'Softmax' }],
    [false, 'a node that reads what lies behind the head', { more: [writeNode('Relu', ['projected'], 'other')] }],
    [false, 'a graph in a node that reads it', { more: [inner(writeNode('Relu', ['projected'], 'other'))] }],
    [true, 'a graph in a node that reads something else', { more: [inner(writeNode('Relu', ['hidden'], 'other'))] }],
    [false, 'logits that something else reads', { more: [writeNode('Relu', ['logits'], 'other')] }],
    [false, 'operators of version 9', { opset: 9 }],
    [false, 'a format of version 3', { format: 3 }],
    [false, 'logits of two dimensions', { rank: 2 }],
    [false, 'a graph eight deep that reads it', { more: [nested(8)] }],
  ])('is made (%s) of %s', (made, _, layout) => {
    expect(keepLastLogits(modelOf(layout)) !== undefined).toBe(made);
  });

  it('refuses graphs that are nested too deep', () => {
    expect(() => keepLastLogits(modelOf({ more: [nested(9)] }))).toThrow('Graphs in graphs');
  });

  it('gives unused names to the added values', () => {
    const graph = graphOf(
      keepLastLogits(modelOf({ more: [writeNode('Relu', ['hidden'], 'last_logits/kept')] })) ?? haiku,
    );
    const outputs = graph.all(GRAPH.node).flatMap((field) => graph.message(field).texts(2));
    expect(new Set(outputs).size).toBe(outputs.length);
    expect(outputs).toContain('last_logits/kept_');
  });
});

describe('a model without weights', () => {
  it('references the bytes of each large tensor in the file, and keeps the small ones', () => {
    const before = tensorsOf(haiku);
    const after = tensorsOf(light(haiku));
    let mapped = 0;
    for (const [index, { data, raw }] of after.entries()) {
      const was = before[index]?.raw;
      if (data['location'] === undefined) {
        expect(raw).toEqual(was);
        continue;
      }
      mapped += 1;
      expect([data['location'], raw]).toEqual(['model.onnx', undefined]);
      const start = Number(data['offset']);
      expect(Buffer.compare(haiku.subarray(start, start + Number(data['length'])), was ?? Buffer.alloc(0))).toBe(0);
    }
    expect([after.length, mapped > 10]).toEqual([before.length, true]);
    expect(light(haiku).length).toBeLessThan(haiku.length / 10);
  });

  it('changes the location of external weights to one that the runtime finds', () => {
    const locations = new Set(tensorsOf(light(fixture('external'))).map(({ data }) => data['location']));
    expect([...locations]).toEqual([undefined, 'elsewhere/model.onnx_data']);
  });

  it('is unchanged without large tensors', () => {
    expect(Buffer.compare(light(fixture('softcap')), fixture('softcap'))).toBe(0);
  });
});

describe('bytes that are not a model', () => {
  /** The possible results for any bytes: an edited model, undefined, or a known error. */
  function survive(bytes: Uint8Array): void {
    for (const edit of [keepLastLogits, takeLengths, light]) {
      try {
        const edited = edit(bytes);
        if (edited) expect(edited.length).toBeLessThan(bytes.length + 4096);
      } catch (error) {
        expect(error).toMatchObject({
          name: 'Error',
          message: expect.stringMatching(/^Not a (protobuf )?message|^Graphs/),
        });
      }
    }
  }

  it('are refused or not changed: truncations', () => {
    const model = fixture('softcap');
    fc.assert(
      fc.property(fc.nat({ max: model.length }), (length) => survive(model.subarray(0, length))),
      { seed: 7, numRuns: sampleSize(300, 60) },
    );
  });

  it('are refused or not changed: flipped bytes', () => {
    // Without the weights, so that most flips hit the graph.
    const model = light(haiku);
    const flips = fc.array(fc.tuple(fc.nat({ max: model.length - 1 }), fc.integer({ min: 1, max: 255 })), {
      minLength: 1,
      maxLength: 8,
    });
    fc.assert(
      fc.property(flips, (pairs) => {
        const bytes = Uint8Array.from(model);
        for (const [index, mask] of pairs) bytes[index] = (bytes[index] ?? 0) ^ mask;
        survive(bytes);
      }),
      { seed: 7, numRuns: sampleSize(300, 60) },
    );
  });

  it('are refused or not changed: random bytes', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 64 }), survive), { seed: 7, numRuns: 1000 });
  });

  it('are refused before they fill the memory: two million fields of two bytes', () => {
    expect(() => light(new Uint8Array(4_000_000))).toThrow('more than 1048576 fields');
  });
});

/** The outputs of the best logits: equal to the best of the logits, on the CPU. */
import { readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { TOP_COUNT, withTopLogits } from '../../../src/onnx/edit/top-logits.ts';
import { Message, writeBytes } from '../../../src/onnx/protobuf.ts';
import { ELEMENT_TYPES, FLOAT16, FLOAT32, INT32, INT64, MODEL } from '../../../src/onnx/types.ts';
import { ModelWriter } from '../../../src/onnx/write/model-writer.ts';
import { computeOnCpu, floats, type Tensor, type WholeGraph } from '../../support/one-node.ts';
import { expectTop, logitsFrom, logitsModel, topOutputs } from './top-graphs.ts';

const [ROWS, KEPT] = [2, 2];
/** One part; several equal parts; parts with padding; a second round; a second round with padding. */
const SIZES = [3, 65, 2048, 2049, 4093, 32_003, 49_152, 128_256, 75_776] as const;

function edited(vocabSize: number, type = FLOAT32, count = TOP_COUNT): Uint8Array {
  const model = withTopLogits(logitsModel(vocabSize, type), { count });
  if (!model) throw new Error('The model is unchanged');
  return model;
}

describe('the best logits of a row', () => {
  it('are those of all its logits, for vocabularies of all sizes', async () => {
    const given = SIZES.map((size) => floats('given', [ROWS, KEPT, size], 12));
    const graphs = SIZES.map(
      (size, index): WholeGraph => ({
        model: edited(size),
        inputs: [given[index]!],
        outputs: topOutputs([ROWS, KEPT], Math.min(size, TOP_COUNT)),
      }),
    );
    for (const [index, computed] of (await computeOnCpu(graphs)).entries())
      expectTop(computed, { logits: given[index]?.data ?? [], vocabSize: SIZES[index]! });
  });

  it('may be equal, and in half floats', async () => {
    // Half floats between 1 and 3: many of 5000 are equal.
    const bits = (floats('given', [ROWS, KEPT, 5000]).data ?? []).map(
      (value) => 0x3c00 + Math.floor(600 * (value + 1)),
    );
    const given: Tensor = { name: 'given', type: FLOAT16, shape: [ROWS, KEPT, 5000], data: bits };
    const graph = { model: edited(5000, FLOAT16), inputs: [given], outputs: topOutputs([ROWS, KEPT], TOP_COUNT) };
    const [computed = {}] = await computeOnCpu([graph]);
    expectTop(computed, { logits: logitsFrom(bits, FLOAT16), vocabSize: 5000 });
  });

  it('can be any number up to 512', async () => {
    const counts = [1, 64, 512];
    const given = floats('given', [ROWS, KEPT, 9000], 5);
    const graphs = counts.map((count) => ({
      ...{ model: edited(9000, FLOAT32, count), inputs: [given] },
      outputs: topOutputs([ROWS, KEPT], count),
    }));
    for (const [index, computed] of (await computeOnCpu(graphs)).entries()) {
      expect(computed.values?.[0]).toHaveLength(ROWS * KEPT * (counts[index] ?? 0));
      expectTop(computed, { logits: given.data ?? [], vocabSize: 9000 });
    }
    for (const count of [0, 513]) expect(() => edited(9000, FLOAT32, count)).toThrow(RangeError);
  });

  it('are below the lowest float32 or have other ids where too few logits are finite', async () => {
    const data = Array.from({ length: 5000 }, (_, id) => (id % 100 === 7 ? id / 1000 : Number.NEGATIVE_INFINITY));
    const given = { name: 'given', type: FLOAT32, shape: [1, 1, 5000], data };
    // JSON has no infinite numbers: the lowest double becomes -Infinity in float32.
    const inputs = [{ ...given, data: data.map((logit) => Math.max(logit, -Number.MAX_VALUE)) }];
    const [computed] = await computeOnCpu([{ model: edited(5000), inputs, outputs: topOutputs([1, 1], TOP_COUNT) }]);
    const [best = [], ids = []] = computed?.values ?? [];
    expect(ids.slice(0, 50)).toEqual(Array.from({ length: 50 }, (_, index) => 4907 - 100 * index));
    for (const value of best.slice(50)) expect(value === null || value <= -3.4028234663852886e38).toBe(true);
  });
});

interface Expected {
  readonly models: Readonly<Record<string, { readonly vocab: number } & Record<'inputs' | 'outputs', Declared>>>;
}
type Declared = Readonly<Record<string, string>>;

const folder = fileURLToPath(new URL('../../models/', import.meta.url));
const { models } = JSON.parse(readFileSync(`${folder}expected.json`, 'utf8')) as Expected;
const [TOKENS, PAST] = [1, 2];
const SIZE_OF: Readonly<Record<string, number>> = {
  ...{ batch_size: ROWS, sequence_length: TOKENS, past_sequence_length: PAST },
  kept_length: TOKENS,
  total_sequence_length: PAST + TOKENS,
};

/** `float32 [batch_size, 1, 16]`. */
function tensorOf(name: string, declared: string): Tensor {
  const [typeName = '', dimensions = ''] = declared.split(/ \[|\]/);
  const type = Number(Object.keys(ELEMENT_TYPES).find((key) => ELEMENT_TYPES[Number(key)] === typeName));
  const sizes = dimensions === '' ? [] : dimensions.split(', ');
  return { name, type, shape: sizes.map((size) => SIZE_OF[size] ?? Number(size)) };
}

/** A step after two tokens of zeros in the cache. */
function inputOf(name: string, declared: string): Tensor {
  const tensor = tensorOf(name, declared);
  const count = tensor.shape.reduce((product, size) => product * size, 1);
  const value = (index: number): number => {
    if (tensor.type !== INT64) return 0;
    if (name.endsWith('mask') || name.endsWith('keep')) return 1;
    return name === 'position_ids' ? PAST : 5 + 7 * index;
  };
  return { ...tensor, data: Array.from({ length: count }, (_, index) => value(index)) };
}

describe('the best logits of an exported decoder', () => {
  const usual = Object.keys(models).filter(
    (name) => 'logits' in models[name]!.outputs && name !== 'encoder/model.onnx',
  );

  it.each(usual)('%s', async (name) => {
    const { vocab, inputs, outputs } = models[name]!;
    const file = `${folder}${name}`;
    const model = withTopLogits(readFileSync(file));
    expect(model).toBeDefined();
    const logits = tensorOf('logits', outputs['logits'] ?? '');
    const graph: WholeGraph = {
      ...{ model: model!, folder: dirname(file) },
      inputs: Object.entries(inputs).map(([input, declared]) => inputOf(input, declared)),
      outputs: [logits, ...topOutputs([ROWS, logits.shape[1] ?? 0], Math.min(vocab, TOP_COUNT))],
    };
    const [computed = {}] = await computeOnCpu([graph]);
    // The CPU computes half floats in float32, and rounds only its output of the logits.
    const rounding = logits.type === FLOAT16 ? 2 ** -11 : 0;
    expectTop(computed, { logits: logitsFrom(computed.values?.[0] ?? [], logits.type), vocabSize: vocab, rounding });
  });
});

describe('a graph is unchanged', () => {
  it.each([
    ['without three dimensions of the logits', logitsModel(100, FLOAT32, 2)],
    ['with four', logitsModel(100, FLOAT32, 4)],
    ['with logits that are no floats', logitsModel(100, INT32)],
    ['that has the outputs', edited(100)],
  ])('%s', (_, model) => {
    expect(withTopLogits(model)).toBeUndefined();
  });

  it('whose logits have another name, or no fixed vocabulary', () => {
    expect(withTopLogits(logitsModel(100), { logits: 'scores' })).toBeUndefined();
    const writer = new ModelWriter();
    writer.input('given', { type: FLOAT32, shape: ['rows', 'kept', 'vocab'] });
    writer.node('Identity', ['given'], { outputs: ['logits'] });
    writer.output('logits', { type: FLOAT32, shape: ['rows', 'kept', 'vocab'] });
    expect(withTopLogits(writer.finish())).toBeUndefined();
  });

  it('with operators of version 12', () => {
    const version = (value: number): Uint8Array => {
      const root = new Message(logitsModel(100));
      const set = [...writeBytes(MODEL.opsetDomain, ''), Uint8Array.of(MODEL.opsetVersion * 8, value)];
      const isSet = (number: number): boolean => number === MODEL.opsetImport;
      return Buffer.concat([
        ...root.rewrite(({ number }) => (isSet(number) ? [] : undefined)),
        ...writeBytes(MODEL.opsetImport, set),
      ]);
    };
    expect(withTopLogits(version(12))).toBeUndefined();
    expect(withTopLogits(version(13))).toBeDefined();
  });
});

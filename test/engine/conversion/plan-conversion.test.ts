/** The layout of the converted file, and the decoder that reads it. */
import { describe, expect, test } from 'vitest';
import type { ConversionPlan } from '../../../src/engine/conversion/plan/conversion-plan.ts';
import { planConversion } from '../../../src/engine/conversion/plan/plan-conversion.ts';
import {
  type DecoderSpec,
  type GraphMatrix,
  isPlain,
  type QuantizedMatrix,
  type TensorPlace,
} from '../../../src/protocol/decoder/decoder-spec.ts';
import { storedDecoder } from './stored-decoder.ts';

const IN_FILE_1 = { file: 1 } as const;

function planOf(decoder: DecoderSpec, quantize?: 'q8' | 'q4'): ConversionPlan {
  const plan = planConversion(decoder, { ...IN_FILE_1, ...(quantize && { quantize }) });
  if (!plan) throw new Error('nothing to convert');
  return plan;
}

function quantized(matrix: GraphMatrix | undefined): QuantizedMatrix {
  if (!matrix || isPlain(matrix)) throw new Error('not quantized');
  return matrix;
}

const endOf = (place: TensorPlace | undefined): number => (place ? place.offset + place.bytes : Number.NaN);
const attentionOf = (plan: ConversionPlan) => {
  const { q, k, v } = plan.decoder.layers[0]?.attention ?? {};
  return { q: quantized(q?.weight), k: quantized(k?.weight), v: quantized(v?.weight) };
};
const partsOf = ({ values, scales, minimums, zeroPoints }: QuantizedMatrix): TensorPlace[] =>
  [values, scales, minimums, zeroPoints].filter((part) => part !== undefined);

describe('the plan of a conversion', () => {
  test('is absent if all matrices are floats', () => {
    expect(planConversion(storedDecoder({ others: 'bf16' }).decoder, IN_FILE_1)).toBeUndefined();
  });

  test('has q, k and v without gaps: values, then scales, then minimums', () => {
    const { q, k, v } = attentionOf(planOf(storedDecoder({ others: 'q4_k' }).decoder));
    for (const part of ['values', 'scales', 'minimums'] as const) {
      expect(k[part]?.offset).toBe(endOf(q[part]));
      expect(v[part]?.offset).toBe(endOf(k[part]));
    }
    expect(q.values.shape).toEqual([256, 8, 16]);
    expect(q.minimums?.shape).toEqual([256, 8]);
  });

  test('has q, k and v without gaps if only their formats differ, and v apart if its form differs', () => {
    const same = attentionOf(planOf(storedDecoder({ others: 'q8_0', k: 'q5_0', v: 'iq4_nl' }).decoder));
    expect(same.k.values.offset).toBe(endOf(same.q.values));
    expect(same.v.scales.offset).toBe(endOf(same.k.scales));
    const apart = attentionOf(planOf(storedDecoder({ others: 'q4_k', v: 'q6_k' }).decoder));
    expect(apart.k.minimums?.offset).toBe(endOf(apart.q.minimums));
    expect(apart.v.values.offset).toBeGreaterThanOrEqual(endOf(apart.k.minimums));
    expect(apart.v).toMatchObject({ bits: 8, blockSize: 16 });
  });

  test('has the parts of each group at multiples of 64, inside of the file, and without overlap', () => {
    const formats = { others: 'q4_k', v: 'q6_k', output: 'q3_k', gate: 'q5_1', up: 'q8_0', down: 'q2_k' } as const;
    const { decoder, bytes } = planOf(storedDecoder(formats, { isTied: false }).decoder);
    const layer = decoder.layers[0];
    const mlp = layer && 'gate' in layer.mlp ? layer.mlp : undefined;
    const { q, k, v, output } = layer?.attention ?? {};
    const singles = [decoder.embedding, v?.weight, output?.weight, mlp?.gate.weight, mlp?.up.weight, mlp?.down.weight];
    for (const matrix of singles) for (const part of partsOf(quantized(matrix))) expect(part.offset % 64).toBe(0);
    const all = [...singles, q?.weight, k?.weight, decoder.head.weight].flatMap((matrix) => partsOf(quantized(matrix)));
    const sorted = all.sort((one, other) => one.offset - other.offset);
    for (const [index, part] of sorted.entries()) {
      expect(part.file).toBe(1);
      expect(endOf(part)).toBeLessThanOrEqual(sorted[index + 1]?.offset ?? bytes);
      expect(part.bytes).toBe(part.shape.reduce((product, size) => product * size, part.type === 1 ? 4 : 1));
    }
  });

  test('converts tied weights once', () => {
    const { decoder, weights, tasks } = planOf(storedDecoder({ others: 'q8_0' }).decoder);
    expect(decoder.head.weight).toBe(decoder.embedding);
    expect(tasks.map(({ name }) => name)).toEqual([
      'embedding',
      ...['q', 'k', 'v', 'output'].map((name) => `layers.0.attention.${name}`),
      ...['gate', 'up', 'down'].map((name) => `layers.0.mlp.${name}`),
    ]);
    const count = 40 * 256 + 3 * 256 * 256 + 3 * 512 * 256;
    expect(weights).toEqual([{ from: 'q8_0', bits: 8, blockSize: 32, hasMinimums: false, matrices: 8, count }]);
  });

  test('leaves floats beside blocks as they are', () => {
    const { decoder } = storedDecoder({ others: 'q4_0', embedding: 'f16', output: 'f32' });
    const plan = planOf(decoder);
    expect(plan.decoder.embedding).toBe(decoder.embedding);
    expect(plan.decoder.layers[0]?.attention.output.weight).toBe(decoder.layers[0]?.attention.output.weight);
    expect(plan.decoder.finalNorm).toBe(decoder.finalNorm);
    expect(plan.floats).toEqual([]);
  });

  test('counts the bytes of the weight files that it reads', () => {
    const { decoder, file } = storedDecoder({ others: 'q6_k' });
    // The first 96 bytes, and three norms.
    expect(planOf(decoder).sourceBytes).toBe(file.length - 96 - 3 * 256 * 4);
  });
});

describe('quantization of floats', () => {
  test.each(['q8', 'q4'] as const)('plans blocks of 32 for %s', (quantize) => {
    const { weights, decoder } = planOf(storedDecoder({ others: 'bf16', gate: 'f32', up: 'f16' }).decoder, quantize);
    const form = { bits: quantize === 'q8' ? 8 : 4, blockSize: 32, hasMinimums: false };
    expect(weights).toMatchObject([
      { from: 'bf16', matrices: 6, ...form },
      { from: 'f32', matrices: 1, ...form },
      { from: 'f16', matrices: 1, ...form },
    ]);
    expect(quantized(decoder.embedding).zeroPoints).toBeUndefined();
  });

  test('leaves a matrix as it is whose rows are no whole blocks, and names it', () => {
    const { decoder } = storedDecoder({ others: 'f32' }, { inner: 40 });
    const plan = planOf(decoder, 'q8');
    expect(plan.floats).toEqual(['layers.0.mlp.down']);
    expect(plan.decoder.layers[0]?.mlp).toMatchObject({ down: { weight: { type: 1 } } });
  });

  test('is refused for a model without a matrix of whole blocks', () => {
    const { decoder } = storedDecoder({ others: 'f32' }, { inner: 40 });
    const [layer] = decoder.layers;
    if (!layer || !('gate' in layer.mlp)) throw new Error('no MLP');
    const { weight } = layer.mlp.down;
    const { attention, mlp } = layer;
    const layers = [
      {
        ...layer,
        attention: { ...attention, q: { weight }, k: { weight }, v: { weight }, output: { weight } },
        mlp: { ...mlp, gate: { weight }, up: { weight } },
      },
    ];
    const narrow = { ...decoder, embedding: weight, head: { weight }, layers };
    expect(() => planOf(narrow, 'q4')).toThrow('use --dtype auto: no matrix of the model can be quantized');
  });

  test('leaves the router of a mixture of experts as it is', () => {
    const { decoder } = storedDecoder({ others: 'f32' });
    const [layer] = decoder.layers;
    if (!layer || !('gate' in layer.mlp)) throw new Error('no MLP');
    const router = { weight: decoder.embedding };
    const mlp = {
      ...{ router, chosen: 1, softmaxOver: 'all' as const, normalizes: true, activation: { kind: 'silu' as const } },
      experts: [layer.mlp],
    };
    const head = { weight: layer.attention.q.weight };
    const plan = planOf({ ...decoder, embedding: head.weight, head, layers: [{ ...layer, mlp }] }, 'q4');
    expect(plan.decoder.layers[0]?.mlp).toMatchObject({ router: { weight: { type: 1 } } });
    expect(plan.tasks.map(({ name }) => name)).toContain('layers.0.mlp.experts.0.gate');
    expect(plan.floats).toEqual([]);
  });
});

describe('a matrix that is none', () => {
  const withEmbedding = (change: object): DecoderSpec => {
    const { decoder } = storedDecoder({ others: 'q4_k' });
    return { ...decoder, embedding: { ...decoder.embedding, ...change } };
  };
  test.each([
    ['one dimension', { shape: [256] }, /embedding has the shape \[256\]; a matrix \[out, in\] is needed/],
    ['no rows', { shape: [0, 256] }, /embedding has the shape/],
    ['a part of a block', { shape: [40, 255] }, /in a multiple of 256/],
    ['other bytes', { bytes: 144 }, /embedding has 144 bytes, and its shape \[40,256\] needs 5760/],
  ])('is refused with %s', (_, change, message) => {
    expect(() => planConversion(withEmbedding(change), IN_FILE_1)).toThrow(message);
  });
});

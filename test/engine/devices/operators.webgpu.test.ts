/**
 * The operators of decoders on WebGPU in software, each alone, compared with the CPU: the attributes that they
 * compute, and the attributes in the table of `protocol/devices.ts`, which they ignore.
 */
import { beforeAll, describe, expect, it } from 'vitest';
import type { Attribute } from '../../../src/onnx/write/model-writer.ts';
import { ignoredBy } from '../../../src/protocol/devices.ts';
import { type Computed, computeOnBoth, floats, int32s, int64s, type OneNode, output } from '../../support/one-node.ts';
import { softwareVulkan } from '../../support/vulkan.ts';
import { TIMEOUT_MS } from './engine-process.ts';

const domain = 'com.microsoft';
const [PAST, HEADS, KV_HEADS] = [6, 4, 2];
type Attributes = Readonly<Record<string, Attribute>>;
const integer = (value: number): Attribute => ({ integer: value });
const float = (value: number): Attribute => ({ float: value });

interface Attending {
  readonly attributes?: Attributes;
  readonly tokens?: number;
  readonly size?: number;
  readonly packed?: boolean;
  /** Columns of the tables of the rotary embedding; 0 without one. */
  readonly columns?: number;
  /** More inputs, by their index. */
  readonly more?: Readonly<Record<number, OneNode['inputs'][number]>>;
}

/** Attention of 4 query heads and 2 key heads, with 6 tokens before those of the run. */
function attention({ attributes, tokens = 3, size = 16, packed = false, columns = 8, more = {} }: Attending): OneNode {
  const total = PAST + tokens;
  const cache = (length: number): number[] => [1, KV_HEADS, length, size];
  const separate = [
    floats('q', [1, tokens, HEADS * size], 3),
    floats('k', [1, tokens, KV_HEADS * size], 3),
    floats('v', [1, tokens, KV_HEADS * size]),
  ];
  const together = [floats('qkv', [1, tokens, (HEADS + 2 * KV_HEADS) * size], 3), undefined, undefined];
  const inputs = [
    ...(packed ? together : separate),
    ...['past_key', 'past_value'].map((name) => floats(name, cache(PAST), 3)),
    ...[int32s('last', total - 1), int32s('longest', total)],
    ...(columns > 0 ? [floats('cos', [32, columns]), floats('sin', [32, columns])] : [undefined, undefined]),
  ];
  const indices = Object.keys(more).map(Number);
  for (let index = inputs.length; index <= Math.max(-1, ...indices); index++) inputs.push(more[index]);
  return {
    ...{ operator: 'GroupQueryAttention', domain, inputs },
    attributes: {
      num_heads: integer(HEADS),
      kv_num_heads: integer(KV_HEADS),
      do_rotary: integer(columns > 0 ? 1 : 0),
      ...attributes,
    },
    outputs: [output('y', 1, tokens, HEADS * size), ...['key', 'value'].map((name) => output(name, ...cache(total)))],
  };
}

const wide = [floats('x', [2, 3, 20]), floats('skip', [2, 3, 20]), floats('weight', [20])] as const;
const [x, skip, weight] = wide;
const sameAsX = [output('y', 2, 3, 20)];
const onX = (operator: string, attributes: Attributes = {}, of = domain): OneNode => ({
  ...{ operator, domain: of, attributes, inputs: [x], outputs: sameAsX },
});
const sink = floats('sink', [HEADS]);
const bias = (tokens: number) => floats('bias', [1, 1, tokens, PAST + tokens], 4);

const SAME: Readonly<Record<string, OneNode>> = {
  'attention without positions': attention({ columns: 0 }),
  'attention of one token': attention({ tokens: 1 }),
  'attention with a packed product': attention({ packed: true }),
  'attention with a packed product, one token': attention({ packed: true, tokens: 1 }),
  'a scale': attention({ attributes: { scale: float(0.7) } }),
  'a window': attention({ attributes: { local_window_size: integer(4) } }),
  'a window, one token': attention({ attributes: { local_window_size: integer(4) }, tokens: 1 }),
  'a window of one': attention({ attributes: { local_window_size: integer(1) } }),
  'a window with a packed product': attention({ attributes: { local_window_size: integer(4) }, packed: true }),
  smooth_softmax: attention({ attributes: { smooth_softmax: integer(1) } }),
  'smooth_softmax with a window': attention({
    attributes: { smooth_softmax: integer(1), local_window_size: integer(4) },
  }),
  rotary_interleaved: attention({ attributes: { rotary_interleaved: integer(1) } }),
  'rotary_interleaved with a packed product': attention({
    attributes: { rotary_interleaved: integer(1) },
    packed: true,
  }),
  head_sink: attention({ more: { 11: sink } }),
  'head_sink with a window, one token': attention({
    ...{ more: { 11: sink }, attributes: { local_window_size: integer(4) }, tokens: 1 },
  }),
  attention_bias: attention({ more: { 10: bias(3) } }),
  'a rotary embedding of a part of a head': attention({ size: 32 }),
  'a rotary embedding of a part of a head, packed': attention({ size: 32, packed: true }),
  'heads of 8': attention({ size: 8, columns: 0 }),
  'heads of 24': attention({ size: 24, columns: 0 }),
  'heads of 256': attention({ size: 256, columns: 128, tokens: 1 }),
  'QuickGelu with alpha 1': onX('QuickGelu', { alpha: float(1) }),
  'QuickGelu with alpha 1.7': onX('QuickGelu', { alpha: float(1.7) }),
  FastGelu: onX('FastGelu'),
  Gelu: onX('Gelu'),
  SkipSimplifiedLayerNormalization: {
    ...{ operator: 'SkipSimplifiedLayerNormalization', domain, inputs: wide, outputs: sameAsX },
    attributes: { epsilon: float(0.5) },
  },
  SimplifiedLayerNormalization: {
    ...{ operator: 'SimplifiedLayerNormalization', inputs: [x, weight], outputs: sameAsX },
    attributes: { epsilon: float(0.5), axis: integer(-1), stash_type: integer(1) },
  },
  LayerNormalization: {
    ...{ operator: 'LayerNormalization', inputs: [x, weight], outputs: sameAsX },
    attributes: { epsilon: float(0.5), axis: integer(-1) },
  },
  'RotaryEmbedding of a part of a head': {
    ...{ operator: 'RotaryEmbedding', domain, outputs: [output('y', 1, 3, 32)] },
    inputs: [
      floats('heads', [1, 3, 32]),
      { ...int64s('at', 2, 3, 5), shape: [1, 3] },
      ...['cos', 'sin'].map((name) => floats(name, [8, 4])),
    ],
    attributes: { num_heads: integer(2), rotary_embedding_dim: integer(8) },
  },
  ...Object.fromEntries(
    [8, 32].map((rotated) => [
      `RotaryEmbedding of ${rotated} interleaved elements of heads of 32`,
      {
        ...{ operator: 'RotaryEmbedding', domain, outputs: [output('y', 1, 3, 64)] },
        inputs: [
          floats('heads', [1, 3, 64]),
          { ...int64s('at', 2, 3, 5), shape: [1, 3] },
          ...['cos', 'sin'].map((name) => floats(name, [8, rotated / 2])),
        ],
        attributes: {
          ...{ num_heads: integer(2), interleaved: integer(1) },
          rotary_embedding_dim: integer(rotated === 32 ? 0 : rotated),
        },
      },
    ]),
  ),
  'Softmax over the last dimension': onX('Softmax', { axis: integer(-1) }, ''),
  Pad: { operator: 'Pad', inputs: [x, int64s('pads', 0, 0, 0, 0, 0, 12)], outputs: [output('y', 2, 3, 32)] },
  Slice: {
    ...{ operator: 'Slice', outputs: [output('y', 2, 3, 7)] },
    inputs: [x, int64s('from', 0), int64s('to', 7), int64s('axes', 2)],
  },
  'ScatterND: new tokens in a KV cache': {
    ...{ operator: 'ScatterND', outputs: [output('y', 4, 20)] },
    inputs: [floats('cache', [4, 20]), { ...int64s('indices', 3, 1), shape: [2, 1] }, floats('new', [2, 20])],
  },
  'MatMul of many heads': {
    ...{ operator: 'MatMul', outputs: [output('y', 1, 2, 6, 9)] },
    inputs: [floats('a', [1, 2, 6, 20]), floats('b', [1, 2, 20, 9])],
  },
  'a sum': { operator: 'Add', inputs: [x, skip], outputs: sameAsX },
};

const projected = [floats('x', [1, 5, 32]), floats('weights', [32, 96]), floats('biases', [96])];
const whole = (attributes: Attributes): OneNode => ({
  ...{ operator: 'Attention', domain, inputs: projected, outputs: [output('y', 1, 5, 32)] },
  attributes: { num_heads: integer(4), ...attributes },
});

/** A node for each entry of the table, by the name of the attribute. */
const IGNORED: Readonly<Record<string, OneNode>> = {
  softcap: attention({ attributes: { softcap: float(2) } }),
  position_ids: attention({ more: { 9: { ...int64s('positions', 1, 2, 9), shape: [1, 3] } } }),
  do_rotary: whole({ do_rotary: integer(1) }),
};

/** Root mean square of the difference of all outputs, relative to the second. */
function difference({ values: found }: Computed, { values: expected }: Computed): number {
  const [one, other] = [found?.flat() ?? [], expected?.flat() ?? []];
  const squares = (values: readonly number[]): number => values.reduce((sum, value) => sum + value * value, 0);
  return Math.sqrt(squares(one.map((value, index) => value - (other[index] ?? 0))) / squares(other));
}

describe.runIf(softwareVulkan)('on WebGPU', () => {
  const results = new Map<string, { cpu: Computed; device: Computed }>();
  const nodes = { ...SAME, ...IGNORED, Attention: whole({}) };
  const resultOf = (name: string) => results.get(name) ?? { cpu: {}, device: {} };

  beforeAll(async () => {
    const computed = await computeOnBoth(Object.values(nodes));
    for (const [index, name] of Object.keys(nodes).entries()) results.set(name, computed[index]!);
  }, TIMEOUT_MS);

  it.each(Object.keys(SAME))('%s: the numbers of the CPU', (name) => {
    const { cpu, device } = resultOf(name);
    expect([cpu.error, device.error]).toEqual([undefined, undefined]);
    expect(new Set(device.providers?.map(([, provider]) => provider))).toEqual(new Set(['WebGpu']));
    expect(difference(device, cpu)).toBeLessThan(2e-6);
  });

  it.each(['softcap', 'position_ids'])('%s: other numbers than the CPU', (name) => {
    const { cpu, device } = resultOf(name);
    expect(device.error).toBeUndefined();
    expect(difference(device, cpu)).toBeGreaterThan(0.1);
  });

  it('do_rotary of Attention: the numbers without it, and the CPU refuses it', () => {
    const { cpu, device } = resultOf('do_rotary');
    expect(device.values).toEqual(resultOf('Attention').device.values);
    expect(cpu.error).toContain('Rotary embedding is not supported');
  });

  it('the table has these attributes and no others', () => {
    expect(ignoredBy('webgpu').map(({ attribute }) => attribute)).toEqual(Object.keys(IGNORED));
  });
});

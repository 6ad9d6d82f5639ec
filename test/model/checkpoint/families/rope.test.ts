import { describe, expect, test } from 'vitest';
import { decoderSpecOf } from '../../../../src/model/checkpoint/families/decoder-spec.ts';
import type { RotarySpec } from '../../../../src/protocol/decoder/decoder-spec.ts';
import { tensorsOf } from './checkpoint.ts';
import { CONFIGURATIONS, type Config, type ModelName } from './configurations.ts';
import { problemsOf } from './problems.ts';

/** The rotary embeddings of a model with changed fields. */
const rotariesOf = (name: ModelName, change: Config = {}, context = 4096): readonly RotarySpec[] => {
  const config: Config = { ...CONFIGURATIONS[name], ...change };
  return decoderSpecOf(config, tensorsOf(config), context).rotaries;
};
const rotaryOf = (name: ModelName, change: Config = {}, context = 4096): RotarySpec =>
  rotariesOf(name, change, context)[0]!;

/** Numpy's power differs from the rounded one in the last bit of float32. */
const expectFrequencies = ({ frequencies }: RotarySpec, expected: Readonly<Record<number, number>>): void => {
  for (const [index, value] of Object.entries(expected)) {
    const error = Math.abs((frequencies[Number(index)] ?? 0) / value - 1);
    expect(error, `frequency ${index}`).toBeLessThan(3e-7);
  }
};

/** Expected numbers: the code of modeling_rope_utils.py with numpy's float32 in the place of torch. */
describe('frequencies', () => {
  test('default', () => {
    const rotary = rotaryOf('TinyLlama-1.1B');
    expectFrequencies(rotary, { 0: 1, 1: 0.7498942017555237, 31: 0.0001333521504420787 });
    expect(rotary).toMatchObject({ magnitude: 1 });
    expect(rotary.frequencies).toHaveLength(32);
  });

  test('a file without rope_theta has the base of the class', () => {
    expect(rotaryOf('Llama-2-7b').frequencies[1]).toBeCloseTo(10_000 ** (-1 / 64), 6);
    const { rope_theta: _, ...config } = CONFIGURATIONS['SmolLM3-3B'];
    const spec = decoderSpecOf(config, tensorsOf(config), 64);
    expect(spec.rotaries[0]?.frequencies[1]).toBeCloseTo(2_000_000 ** (-1 / 64), 6);
  });

  test('linear, with the older name of the type', () => {
    const rotary = rotaryOf('TinyLlama-1.1B', { rope_scaling: { type: 'linear', factor: 4 } });
    expectFrequencies(rotary, { 0: 0.25, 31: 3.333803761051968e-5 });
  });

  test('llama3', () => {
    expectFrequencies(rotaryOf('Llama-3.2-1B'), {
      1: 0.6636012196540833,
      14: 0.0032114461064338684,
      15: 0.0012905480107292533,
      17: 9.708286233944818e-5,
      31: 9.41830720080361e-8,
    });
  });

  test('yarn: borders from the original positions, or from max_position_embeddings', () => {
    const scaling = { rope_type: 'yarn', factor: 4.0, original_max_position_embeddings: 32768 };
    const rotary = rotaryOf('Qwen3-0.6B', { rope_scaling: scaling });
    expectFrequencies(rotary, {
      10: 0.11547820270061493,
      30: 0.001064361073076725,
      35: 0.0002462583943270147,
      40: 4.4456985051510856e-5,
      63: 3.102344408034696e-7,
    });
    expect(rotary.magnitude).toBeCloseTo(0.1 * Math.log(4) + 1, 12);
    const change = { max_position_embeddings: 32768, rope_scaling: { type: 'yarn', factor: 4 } };
    expect(rotaryOf('Qwen3-0.6B', change)).toEqual(rotary);
  });

  test('yarn with the other fields', () => {
    const scaling = { type: 'yarn', factor: 8, original_max_position_embeddings: 2048 };
    const truncated = rotaryOf('TinyLlama-1.1B', { rope_scaling: { ...scaling, truncate: false } });
    expectFrequencies(truncated, { 1: 0.7498942017555237, 8: 0.10000000149011612, 16: 0.004233133513480425 });
    const magnitude = (fields: Config) =>
      rotaryOf('TinyLlama-1.1B', { rope_scaling: { ...scaling, ...fields } }).magnitude;
    expect(magnitude({ attention_factor: 1.25 })).toBe(1.25);
    expect(magnitude({ mscale: 1, mscale_all_dim: 1 })).toBe(1);
    expect(magnitude({ mscale: 0.5, mscale_all_dim: 1 })).toBeCloseTo((1 + 0.05 * Math.log(8)) / magnitude({}), 12);
    expect(magnitude({ mscale: 0.5 })).toBe(magnitude({}));
    expect(rotaryOf('TinyLlama-1.1B', { rope_scaling: { ...scaling, beta_fast: 4 } })).not.toEqual(
      rotaryOf('TinyLlama-1.1B', { rope_scaling: scaling }),
    );
  });

  test('longrope: short factors up to the original positions, long ones beyond, the same magnitude', () => {
    const [short, long] = [rotaryOf('Phi-4-mini', {}, 4096), rotaryOf('Phi-4-mini', {}, 4097)];
    expect(short.frequencies).toHaveLength(48);
    expect(short.frequencies[47]).toBeCloseTo(10_000 ** (-94 / 96), 9);
    expect(long.frequencies[47]).toBeCloseTo(10_000 ** (-94 / 96) / 47.77, 10);
    for (const { magnitude } of [short, long]) expect(magnitude).toBe(Math.sqrt(1 + Math.log(32) / Math.log(4096)));
    expect(rotaryOf('Phi-3-mini-128k')).toEqual(rotaryOf('Phi-3.5-mini'));
    expect(rotaryOf('Phi-3-mini-4k').magnitude).toBe(1);
  });

  test('longrope with stated magnitudes', () => {
    const { rope_scaling: scaling } = CONFIGURATIONS['Phi-4-mini'];
    const change = { rope_scaling: { ...scaling, short_mscale: 1.1, long_mscale: 1.3 } };
    expect(rotaryOf('Phi-4-mini', change, 4096).magnitude).toBe(1.1);
    expect(rotaryOf('Phi-4-mini', change, 8192).magnitude).toBe(1.3);
  });

  test('Gemma 3 has one for full and one for window layers; only the first is scaled', () => {
    const [full, local] = rotariesOf('gemma-3-4b-it');
    expect(full?.frequencies[0]).toBe(0.125);
    expect(full?.frequencies[1]).toBeCloseTo(1_000_000 ** (-1 / 128) / 8, 6);
    expect(local?.frequencies[0]).toBe(1);
    expect(local?.frequencies[1]).toBeCloseTo(10_000 ** (-1 / 128), 6);
  });
});

describe('files of transformers 5', () => {
  test('rope_parameters with the base inside', () => {
    const { rope_scaling, rope_theta, ...config } = CONFIGURATIONS['Llama-3.2-1B'];
    const newer = { ...config, rope_parameters: { ...rope_scaling, rope_theta }, dtype: 'bfloat16' };
    expect(decoderSpecOf(newer, tensorsOf(newer), 64).rotaries).toEqual(rotariesOf('Llama-3.2-1B'));
  });

  test('rope_parameters of Gemma 3 for each layer type', () => {
    const { rope_theta: _, rope_local_base_freq: __, rope_scaling: ___, ...config } = CONFIGURATIONS['gemma-3-1b-it'];
    const rope_parameters = {
      full_attention: { rope_type: 'linear', factor: 8.0, rope_theta: 1000000 },
      sliding_attention: { rope_type: 'default', rope_theta: 10000 },
    };
    const newer = { ...config, rope_parameters };
    expect(decoderSpecOf(newer, tensorsOf(newer), 64).rotaries).toEqual(rotariesOf('gemma-3-4b-it'));
  });

  test('rope_parameters of Phi-3 with the rotated part', () => {
    const { rope_scaling, rope_theta, partial_rotary_factor, ...config }: Config = CONFIGURATIONS['Phi-4-mini'];
    const newer = { ...config, rope_parameters: { ...(rope_scaling as Config), rope_theta, partial_rotary_factor } };
    expect(decoderSpecOf(newer, tensorsOf(newer), 64).rotaries).toEqual(rotariesOf('Phi-4-mini'));
  });
});

describe('rotary embeddings that are refused', () => {
  const refused: readonly (readonly [string, ModelName, Config, string])[] = [
    [
      'an unknown type',
      'Llama-3.2-1B',
      { rope_scaling: { type: 'dynamic', factor: 2 } },
      'config.json has "rope_scaling.type" "dynamic"; allowed: default, linear, llama3, yarn. Use an ONNX export',
    ],
    [
      'longrope outside of Phi-3',
      'Llama-3.2-1B',
      { rope_scaling: { rope_type: 'longrope', short_factor: [1], long_factor: [1] } },
      'has "rope_scaling.rope_type" "longrope"; allowed: default, linear',
    ],
    ['llama3 for Phi-3', 'Phi-3-mini-4k', { rope_scaling: { type: 'llama3' } }, 'allowed: default, longrope, su, yarn'],
    [
      'an unknown field',
      'Llama-3.2-1B',
      { rope_scaling: { type: 'linear', factor: 2, finetuned: true } },
      'has the unknown field "rope_scaling.finetuned" with the value true; allowed: the fields of a rotary embedding',
    ],
    ['a missing factor', 'Llama-3.2-1B', { rope_scaling: { type: 'yarn' } }, 'lacks "rope_scaling.factor"; allowed: a'],
    [
      'two types',
      'Llama-3.2-1B',
      { rope_scaling: { type: 'linear', rope_type: 'yarn', factor: 2 } },
      'has "rope_scaling.type" "linear"; allowed: the value of "rope_type"',
    ],
    [
      'two bases',
      'Llama-3.2-1B',
      { rope_scaling: null, rope_parameters: { rope_theta: 5 } },
      'has "rope_parameters.rope_theta" 5; allowed: the value of "rope_theta"',
    ],
    ['both forms', 'Llama-3.2-1B', { rope_parameters: { rope_theta: 500000 } }, '"rope_scaling" {'],
    [
      'a factor that contradicts the positions',
      'Phi-4-mini',
      { rope_scaling: { ...CONFIGURATIONS['Phi-4-mini'].rope_scaling, factor: 4 } },
      'has "rope_scaling.factor" 4; allowed: 32',
    ],
    [
      'too few factors',
      'Phi-4-mini',
      { rope_scaling: { type: 'longrope', short_factor: [1, 2], long_factor: [1, 2] } },
      'has "rope_scaling.short_factor" [1,2]; allowed: a list of 48',
    ],
    [
      'a factor that is no number',
      'Phi-4-mini',
      { rope_scaling: { ...CONFIGURATIONS['Phi-4-mini'].rope_scaling, long_factor: [Number.NaN] } },
      'has "rope_scaling.long_factor" ["NaN"]; allowed: a list of 48',
    ],
    [
      'an odd rotary size',
      'Phi-4-mini',
      { partial_rotary_factor: 0.258 },
      'allowed: an even number of rotated elements',
    ],
    ['an odd head size', 'Falcon3-1B', { head_dim: 63 }, 'has "head_dim" 63; allowed: an even number'],
    [
      'a partly rotated Llama',
      'Llama-3.2-1B',
      { partial_rotary_factor: 0.5 },
      '"partial_rotary_factor" 0.5; allowed: 1',
    ],
    [
      'one embedding for Gemma 3 in the newer form',
      'gemma-3-1b-it',
      { rope_parameters: { rope_theta: 1000000 } },
      'has "rope_parameters" {"rope_theta":1000000}; allowed: an object with "full_attention"',
    ],
  ];
  test.each(refused)('%s', (_name, model, change, sentence) => {
    const problems = problemsOf(() => rotariesOf(model, change));
    expect(problems.join('\n')).toContain(sentence);
    expect(new Set(problems.map((one) => one.split('; allowed')[0])).size).toBe(problems.length);
  });
});

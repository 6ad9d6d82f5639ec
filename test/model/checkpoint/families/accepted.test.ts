import { describe, expect, test } from 'vitest';
import { decoderSpecOf, withFamilyDefaults } from '../../../../src/model/checkpoint/families/decoder-spec.ts';
import type { DecoderSpec, MlpSpec } from '../../../../src/protocol/decoder/decoder-spec.ts';
import { tensorsOf } from './checkpoint.ts';
import { CONFIGURATIONS, type Config, MODEL_NAMES, type ModelName } from './configurations.ts';
import SAVED from './saved.json' with { type: 'json' };

const specOf = (name: ModelName, context = 4096): DecoderSpec => {
  const config: Config = CONFIGURATIONS[name];
  return decoderSpecOf(config, tensorsOf(config), context);
};
const firstLayer = (spec: DecoderSpec) => spec.layers[0]!;

describe('configurations of the hub', () => {
  test.each(MODEL_NAMES)('%s is described with every layer', (name) => {
    const config: Config = CONFIGURATIONS[name];
    const text = (config['text_config'] ?? config) as Config;
    const spec = specOf(name);
    expect(spec.layers).toHaveLength(Number(text['num_hidden_layers']));
    expect(spec.hiddenSize).toBe(text['hidden_size']);
    expect(spec.vocabSize).toBe(text['vocab_size'] ?? 262208);
    for (const { attention } of spec.layers) expect(attention.heads % attention.kvHeads).toBe(0);
  });

  test.each([
    ['Llama-3.2-1B', 64, 64 ** -0.5, 'silu', 1e-5],
    ['Falcon3-1B', 256, 256 ** -0.5, 'silu', 1e-6],
    ['Qwen2.5-0.5B', 64, 64 ** -0.5, 'silu', 1e-6],
    ['Qwen3-0.6B', 128, 128 ** -0.5, 'silu', 1e-6],
    ['Phi-4-mini', 128, 128 ** -0.5, 'silu', 1e-5],
    ['gemma-2b', 256, 256 ** -0.5, 'gelu_tanh', 1e-6],
    ['gemma-2-2b', 256, 256 ** -0.5, 'gelu_tanh', 1e-6],
    ['granite-3.3-2b', 64, 0.015625, 'silu', 1e-5],
  ] as const)('%s: head size, scale, activation, epsilon', (name, headSize, scale, activation, epsilon) => {
    const { attention, mlp } = firstLayer(specOf(name));
    expect(attention).toMatchObject({ headSize, scale });
    expect(mlp.activation).toBe(activation);
    expect(specOf(name).finalNorm.epsilon).toBe(epsilon);
  });

  test('a model with tied embeddings has the place of the embedding as its head, also by default', () => {
    for (const name of ['Llama-3.2-1B', 'gemma-2b', 'SmolLM3-3B', 'gemma-3-4b-it'] as const)
      expect(specOf(name).head.weight, name).toEqual(specOf(name).embedding);
    expect(specOf('TinyLlama-1.1B').head.weight).not.toEqual(specOf('TinyLlama-1.1B').embedding);
  });

  test('Qwen2 has biases of q, k and v only; a Llama has them with attention_bias, and those of the MLP', () => {
    const { attention, mlp } = firstLayer(specOf('Qwen2.5-0.5B'));
    expect([attention.q.bias?.shape, attention.k.bias?.shape, attention.v.bias?.shape]).toEqual([[896], [128], [128]]);
    expect([attention.output.bias, (mlp as MlpSpec).gate.bias]).toEqual([undefined, undefined]);
    const config = { ...CONFIGURATIONS['SmolLM2-135M'], attention_bias: true, mlp_bias: true, num_hidden_layers: 1 };
    const tensors = tensorsOf(config);
    for (const [name, place] of [...tensors])
      if (name.includes('_proj.'))
        tensors.set(name.replace('.weight', '.bias'), { ...place, shape: place.shape.slice(0, 1) });
    const biased = firstLayer(decoderSpecOf(config, tensors, 128));
    expect(biased.attention.output.bias?.shape).toEqual([576]);
    expect((biased.mlp as MlpSpec).down.bias?.shape).toEqual([576]);
  });

  test('norms of queries and keys: per head for Qwen3 and Gemma 3, over the width for OLMo 2', () => {
    expect(firstLayer(specOf('Qwen3-0.6B')).attention).toMatchObject({ normOver: 'head', qNorm: { offset: 0 } });
    expect(firstLayer(specOf('gemma-3-1b-it')).attention).toMatchObject({ normOver: 'head', kNorm: { offset: 1 } });
    const { attention } = firstLayer(specOf('OLMo-2-0425-1B'));
    expect(attention.normOver).toBe('width');
    expect(attention.qNorm?.weight.shape).toEqual([2048]);
    expect(firstLayer(specOf('Llama-3.2-1B')).attention.normOver).toBeUndefined();
  });

  test('norms of the blocks: in front, behind for OLMo 2, both for Gemma 2 and 3', () => {
    const norms = (name: ModelName) => Object.keys(firstLayer(specOf(name))).filter((key) => key.endsWith('Norm'));
    expect(norms('Llama-2-7b')).toEqual(['attentionInNorm', 'mlpInNorm']);
    expect(norms('OLMo-2-0425-1B')).toEqual(['attentionOutNorm', 'mlpOutNorm']);
    expect(norms('gemma-2-2b')).toEqual(['attentionInNorm', 'attentionOutNorm', 'mlpInNorm', 'mlpOutNorm']);
    expect(norms('gemma-3-1b-it')).toEqual(norms('gemma-2-2b'));
  });

  test('Gemma: scaled embeddings, softcaps of Gemma 2, offsets of the norms', () => {
    expect(specOf('gemma-2b').embeddingScale).toBe(Math.fround(Math.sqrt(2048)));
    const spec = specOf('gemma-2-2b');
    expect(spec.logitSoftcap).toBe(30);
    expect(firstLayer(spec).attention.softcap).toBe(50);
    expect(spec.finalNorm.offset).toBe(1);
    expect(specOf('gemma-3-1b-it').logitSoftcap).toBeUndefined();
    const old: Config = { ...CONFIGURATIONS['gemma-2-2b'], attn_logit_softcapping: null, query_pre_attn_scalar: 144 };
    const { attention } = firstLayer(decoderSpecOf(old, tensorsOf(old), 64));
    expect([attention.softcap, attention.scale]).toEqual([undefined, 144 ** -0.5]);
  });

  test('Granite: the four factors', () => {
    const spec = specOf('granite-3.3-2b');
    expect([spec.embeddingScale, spec.logitScale, firstLayer(spec).residualScale]).toEqual([12, 1 / 8, 0.22]);
  });

  test('the sizes that a file of Gemma 3 with images omits come from the class', () => {
    const spec = specOf('gemma-3-4b-it', 2048);
    expect(firstLayer(spec).attention).toMatchObject({ heads: 8, kvHeads: 4, headSize: 256, window: 1024, rotary: 1 });
    const complete = withFamilyDefaults(CONFIGURATIONS['gemma-3-4b-it'])['text_config'];
    expect(complete).toMatchObject({ vocab_size: 262208, max_position_embeddings: 131072, hidden_size: 2560 });
  });
});

/** Files of further models on the hub, by their differences from a file of the same family. */
const FURTHER: readonly (readonly [string, ModelName, Config])[] = [
  ['Vicuna 16k', 'Llama-2-7b', { rope_scaling: { factor: 4, type: 'linear' }, max_sequence_length: 16384, top_p: 0.6 }],
  ['Code Llama', 'Llama-2-7b', { rope_scaling: null, rope_theta: 1e6, vocab_size: 32016, max_length: 4096 }],
  ['a fine-tuned Llama 3.2', 'Llama-3.2-1B', { unsloth_fixed: true, unsloth_version: '2024.9', pad_token_id: 128004 }],
  ['SmolLM2-1.7B', 'SmolLM2-135M', { 'transformers.js_config': { dtype: 'q4', use_external_data_format: true } }],
  ['Falcon3-7B', 'Falcon3-1B', { _attn_implementation_autoset: true, num_attention_heads: 12, hidden_size: 3072 }],
  ['Mistral Nemo', 'Mistral-7B-v0.3', { head_dim: 128, hidden_size: 5120, max_position_embeddings: 1024000 }],
  ['Ministral 8B', 'Mistral-7B-v0.1', { head_dim: 128, sliding_window: 32768, rope_theta: 1e8 }],
  ['DeepSeek-R1-Distill-Qwen', 'Qwen2.5-0.5B', { use_mrope: false, sliding_window: 4096, rope_theta: 10000 }],
  [
    'Qwen2.5 for 131 072 positions',
    'Qwen2.5-0.5B',
    { rope_scaling: { factor: 4, original_max_position_embeddings: 32768, type: 'yarn' } },
  ],
  ['Qwen3-8B', 'Qwen3-0.6B', { hidden_size: 4096, num_attention_heads: 32, max_window_layers: 36 }],
  [
    'Phi-4',
    'Phi-3-mini-4k',
    { sliding_window: null, original_max_position_embeddings: 16384, num_attention_heads: 24, num_key_value_heads: 6 },
  ],
  ['gemma-7b', 'gemma-2b', { hidden_act: 'gelu', hidden_activation: null, num_key_value_heads: 8 }],
  ['gemma-2-9b', 'gemma-2-2b', { sliding_window_size: 4096, hidden_size: 3584, num_attention_heads: 16 }],
  [
    'gemma-3-27b for text',
    'gemma-3-1b-it',
    { head_dim: 128, query_pre_attn_scalar: 168, rope_scaling: { factor: 8, rope_type: 'linear' } },
  ],
  ['granite-3.3-8b', 'granite-3.3-2b', { attention_multiplier: 0.0078125, logits_scaling: 16, hidden_size: 4096 }],
  ['OLMo-2-1124-7B', 'OLMo-2-0425-1B', { _name_or_path: 'allenai/open_instruct_dev', use_cache: false }],
];

test.each(FURTHER)('%s, which has the family of %s, is accepted', (_, name, change) => {
  const config: Config = { ...CONFIGURATIONS[name], ...change, num_hidden_layers: 2 };
  const { layer_types: _types, no_rope_layers: _layers, ...short } = config;
  expect(decoderSpecOf(short, tensorsOf(short), 4096).layers).toHaveLength(2);
});

describe('windows', () => {
  const windows = (name: ModelName, context: number, change: Config = {}) => {
    const config: Config = { ...CONFIGURATIONS[name], ...change };
    return decoderSpecOf(config, tensorsOf(config), context).layers.map(({ attention }) => attention.window);
  };

  test('Mistral and Phi-3 have one in every layer, unless it is null or hides nothing in the context', () => {
    expect(new Set(windows('Mistral-7B-v0.1', 4097))).toEqual(new Set([4096]));
    expect(new Set(windows('Mistral-7B-v0.1', 4096))).toEqual(new Set([undefined]));
    expect(new Set(windows('Mistral-7B-v0.3', 32768))).toEqual(new Set([undefined]));
    expect(new Set(windows('Phi-3-mini-4k', 4096))).toEqual(new Set([2047]));
  });

  test('an absent window of Mistral is the 4096 of the class', () => {
    const { sliding_window: _, ...config } = CONFIGURATIONS['Mistral-7B-v0.1'];
    expect(decoderSpecOf(config, tensorsOf(config), 8192).layers[0]?.attention.window).toBe(4096);
  });

  test('Qwen2 has one from max_window_layers on, if use_sliding_window asks for it', () => {
    expect(new Set(windows('Qwen2.5-0.5B', 65536))).toEqual(new Set([undefined]));
    const change = { use_sliding_window: true, sliding_window: 64, max_window_layers: 22 };
    expect(windows('Qwen2.5-0.5B', 65536, change).slice(20)).toEqual([undefined, undefined, 64, 64]);
    expect(new Set(windows('Qwen2.5-0.5B', 65536, { ...change, max_window_layers: 0 }))).toEqual(new Set([64]));
  });

  test('Gemma 2 has one in every other layer, Gemma 3 in five of six, with a rotary embedding of their own', () => {
    expect(windows('gemma-2-2b', 8192).slice(0, 4)).toEqual([4096, undefined, 4096, undefined]);
    const local = [512, 512, 512, 512, 512, undefined];
    expect(windows('gemma-3-1b-it', 8192).slice(0, 12)).toEqual([...local, ...local]);
    expect(windows('gemma-3-270m', 8192).slice(0, 6)).toEqual(local);
    const spec = specOf('gemma-3-1b-it', 256);
    expect(spec.layers.slice(0, 7).map(({ attention }) => attention.rotary)).toEqual([1, 1, 1, 1, 1, 0, 1]);
    expect(windows('gemma-3-1b-it', 8192, { sliding_window_pattern: 2 }).slice(0, 3)).toEqual([512, undefined, 512]);
  });

  test('SmolLM3 has no positions in every fourth layer, and windows there', () => {
    const rotaries = specOf('SmolLM3-3B').layers.map(({ attention }) => attention.rotary);
    expect(rotaries.slice(0, 8)).toEqual([0, 0, 0, undefined, 0, 0, 0, undefined]);
    const { no_rope_layers: _, layer_types: __, ...config } = CONFIGURATIONS['SmolLM3-3B'];
    const windowed = { ...config, use_sliding_window: true, sliding_window: 16, no_rope_layer_interval: 2 };
    const layers = decoderSpecOf(windowed, tensorsOf(windowed), 64).layers.slice(0, 3);
    expect(layers.map(({ attention }) => [attention.rotary, attention.window])).toEqual([
      [0, undefined],
      [undefined, 16],
      [0, undefined],
    ]);
  });
});

/**
 * Files that transformers 4.57.6 and 5.18.0 write for small models of each class: `to_json_string`, of version 4
 * with all fields of `PretrainedConfig`.
 */
describe('configurations saved by transformers', () => {
  const saved: Readonly<Record<string, Config>> = SAVED;

  test.each(Object.keys(saved))('%s', (name) => {
    const config = saved[name] ?? {};
    const spec = decoderSpecOf(config, tensorsOf(config), 64);
    expect(spec.layers).toHaveLength(6);
    expect(spec.vocabSize).toBe(300);
  });

  test('both versions describe the same decoder', () => {
    for (const [name, config] of Object.entries(saved)) {
      if (!name.startsWith('4.57.6')) continue;
      const newer = saved[name.replace('4.57.6', '5.18.0')] ?? {};
      expect(decoderSpecOf(newer, tensorsOf(newer), 64), name).toEqual(decoderSpecOf(config, tensorsOf(config), 64));
    }
  });
});

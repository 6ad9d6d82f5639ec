import { describe, expect, test } from 'vitest';
import { decoderSpecOf } from '../../../../src/model/checkpoint/families/decoder-spec.ts';
import type { MlpSpec, TensorPlace } from '../../../../src/protocol/decoder/decoder-spec.ts';
import { type Tensors, tensorsOf } from './checkpoint.ts';
import { CONFIGURATIONS, type Config } from './configurations.ts';
import { problemsOf } from './problems.ts';

const LLAMA: Config = { ...CONFIGURATIONS['SmolLM2-135M'], num_hidden_layers: 2 };
const Q = 'model.layers.1.self_attn.q_proj.weight';

/** The problems after a change of the tensors of a Llama with two layers. */
const problemsAfter = (change: (tensors: Tensors) => void, config: Config = LLAMA): string[] => {
  const tensors = tensorsOf(config);
  change(tensors);
  return problemsOf(() => decoderSpecOf(config, tensors, 128));
};
const place = (tensors: Tensors, name: string): TensorPlace => tensors.get(name)!;

describe('the tensors of a checkpoint', () => {
  test('a missing tensor is named with its shape and the way out', () => {
    expect(problemsAfter((tensors) => tensors.delete(Q))).toEqual([
      `model.safetensors lacks the tensor "${Q}" of the shape [576,576], which config.json needs. ` +
        'Download all files of the model again, or use an ONNX export',
    ]);
  });

  test('a tensor of another shape is refused with both shapes', () => {
    const [problem] = problemsAfter((tensors) => tensors.set(Q, { ...place(tensors, Q), shape: [576, 192] }));
    expect(problem).toContain(`"${Q}" with the shape [576,192]; allowed by config.json: [576,576]`);
    expect(problem).toContain('Use an ONNX export');
  });

  test.each([
    [3, 'int8'],
    [13, 'uint64'],
    [17, 'float8e4m3'],
    [0, 'unknown to ONNX'],
  ])('a tensor of the element type %i is refused with its type', (type, name) => {
    const [problem] = problemsAfter((tensors) => tensors.set(Q, { ...place(tensors, Q), type }));
    expect(problem).toContain(`"${Q}" of the type ${name}; allowed: float32, float16, bfloat16`);
  });

  test.each([
    'model.layers.0.self_attn.q_proj.bias',
    'model.layers.0.self_attn.q_norm.weight',
    'model.layers.0.self_attn.sinks',
    'model.layers.0.(mlp as MlpSpec).gate.weight',
    'model.layers.2.input_layernorm.weight',
    'model.layers.0.self_attn.q_proj.weight_scale_inv',
    'score.weight',
  ])('the unannounced tensor %s is refused by name', (name) => {
    const problems = problemsAfter((tensors) => tensors.set(name, place(tensors, 'model.norm.weight')));
    expect(problems).toEqual([
      `model.safetensors has the unknown tensor "${name}"; allowed: the tensors of the model type llama in ` +
        'config.json. Use an ONNX export of the model',
    ]);
  });

  test('stored frequencies of the rotary embedding are a known leftover', () => {
    const stored = { file: 0, offset: 0, bytes: 128, type: 1, shape: [32] };
    expect(problemsAfter((tensors) => tensors.set('model.layers.0.self_attn.rotary_emb.inv_freq', stored))).toEqual([]);
  });

  test('lm_head.weight beside tied embeddings is the head', () => {
    const tensors = tensorsOf(LLAMA);
    const head = { ...place(tensors, 'model.embed_tokens.weight'), offset: 7 };
    tensors.set('lm_head.weight', head);
    expect(decoderSpecOf(LLAMA, tensors, 128).head.weight).toEqual(head);
  });

  test('a model without tied embeddings needs lm_head.weight', () => {
    const config = { ...LLAMA, tie_word_embeddings: false };
    const [problem] = problemsAfter((tensors) => tensors.delete('lm_head.weight'), config);
    expect(problem).toContain('lacks the tensor "lm_head.weight" of the shape [49152,576]');
  });

  test('a long list of problems is cut, and the number of the others is reported', () => {
    const problems = problemsAfter((tensors) => tensors.clear());
    expect(problems).toHaveLength(9);
    expect(problems.at(-1)).toMatch(/^config\.json describes a model with \d+ more problems$/);
  });

  test('packed matrices of Phi-3 are ranges of rows: q, k, v, and gate, up', () => {
    const config: Config = { ...CONFIGURATIONS['Phi-4-mini'], num_hidden_layers: 1 };
    const tensors = tensorsOf(config);
    const { attention, mlp } = decoderSpecOf(config, tensors, 128).layers[0]!;
    const packed = place(tensors, 'model.layers.0.self_attn.qkv_proj.weight');
    const row = 3072 * 2;
    expect(attention.q.weight).toEqual({ ...packed, shape: [3072, 3072], bytes: 3072 * row });
    expect(attention.k.weight).toMatchObject({ offset: packed.offset + 3072 * row, shape: [1024, 3072] });
    expect(attention.v.weight).toMatchObject({ offset: packed.offset + 4096 * row, bytes: 1024 * row });
    const gateUp = place(tensors, 'model.layers.0.mlp.gate_up_proj.weight');
    expect((mlp as MlpSpec).gate.weight.offset).toBe(gateUp.offset);
    expect((mlp as MlpSpec).up.weight).toMatchObject({ offset: gateUp.offset + 8192 * row, shape: [8192, 3072] });
  });

  test('the text part of Gemma 3 with images has either form of names, and other parts are left alone', () => {
    const config = CONFIGURATIONS['gemma-3-4b-it'];
    const older = tensorsOf(config);
    const newer: Tensors = new Map();
    for (const [name, one] of older)
      newer.set(name.replace('language_model.model.', 'model.language_model.').replace(/^vision/, 'model.vision'), one);
    expect(decoderSpecOf(config, newer, 64)).toEqual(decoderSpecOf(config, older, 64));
    newer.set('model.audio_tower.weight', place(older, 'language_model.model.norm.weight'));
    expect(problemsOf(() => decoderSpecOf(config, newer, 64))[0]).toContain('"model.audio_tower.weight"');
  });
});

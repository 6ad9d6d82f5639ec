/** GGUF models that the worker does not compute: each is refused by the name of its key or its tensor. */
import { describe, expect, it } from 'vitest';
import { decoderSpecOf } from '../../../../src/model/checkpoint/families/decoder-spec.ts';
import { UnsupportedCheckpoint } from '../../../../src/model/checkpoint/families/unsupported.ts';
import { deriveConfig } from '../../../../src/model/checkpoint/gguf/config/derive-config.ts';
import type { GgufModel, MetadataValue } from '../../../../src/model/checkpoint/gguf/gguf-file.ts';
import type { DecoderSpec } from '../../../../src/protocol/decoder/decoder-spec.ts';
import { CHECKPOINTS, checkpointNamed } from '../../../support/checkpoints/models.ts';
import { convertedModel } from '../../../support/gguf/converted-model.ts';
import type { TestTensor } from '../../../support/gguf/gguf-bytes.ts';
import { modelInMemory } from '../../../support/gguf/model-in-memory.ts';

const CONTEXT = 192;

interface Change {
  /** undefined removes the key. */
  readonly keys?: Readonly<Record<string, MetadataValue | undefined>>;
  readonly tensors?: Readonly<Record<string, TestTensor | undefined>>;
}

function changed(name: string, { keys = {}, tensors = {} }: Change): GgufModel {
  const file = convertedModel(checkpointNamed(name));
  const all = Object.entries({ ...file.tensors, ...tensors }).flatMap(([key, one]) =>
    one ? [[key, one] as const] : [],
  );
  const model = modelInMemory({ ...file, tensors: Object.fromEntries(all) });
  const metadata = new Map(model.metadata);
  for (const [key, value] of Object.entries(keys))
    if (value === undefined) metadata.delete(key);
    else metadata.set(key, value);
  return { ...model, metadata };
}

function describedBy(model: GgufModel): DecoderSpec {
  const { config, tensors, origin } = deriveConfig(model);
  return decoderSpecOf(config, tensors, CONTEXT, origin);
}

/** The message of the refusal; fails for a model that is accepted. */
function refusalOf(name: string, change: Change): string {
  try {
    describedBy(changed(name, change));
  } catch (error) {
    if (error instanceof UnsupportedCheckpoint) return error.message;
    throw error;
  }
  throw new Error('the model is accepted');
}

const vector = (size: number): TestTensor => ({
  shape: [size],
  data: new Uint8Array(new Float32Array(size).fill(2).buffer),
});

describe('a key of the metadata', () => {
  it.each<readonly [string, Readonly<Record<string, MetadataValue | undefined>>, string]>([
    ['llama-2', { 'general.architecture': 'mamba' }, 'model.gguf has "general.architecture" "mamba"; allowed: llama, '],
    ['llama-2', { 'general.architecture': undefined }, 'lacks "general.architecture"; allowed: llama, '],
    [
      'llama-2',
      { 'general.type': 'mmproj' },
      'has "general.type" "mmproj"; allowed: model. Use a GGUF file of the model itself',
    ],
    ['llama-2', { 'llama.embedding_length': undefined }, 'model.gguf lacks "llama.embedding_length"; allowed: an'],
    ['llama-2', { 'llama.attention.head_count': 'four' }, 'has "llama.attention.head_count" "four"; allowed: a num'],
    [
      'llama-2',
      { 'llama.attention.head_count': 3 },
      'has "llama.embedding_length" 64; allowed: a multiple of "llama.attention.head_count", 3',
    ],
    ['llama-2', { 'llama.attention.head_count_kv': 3 }, 'has "llama.attention.head_count_kv" 3; allowed: a divisor'],
    [
      'llama-2',
      { 'llama.attention.head_count_kv': Int32Array.of(2, 4) },
      'has "llama.attention.head_count_kv" [2,4]; allowed: the same number for all layers',
    ],
    ['llama-2', { 'llama.block_count': 2n ** 63n }, '"llama.block_count" 9223372036854775808; allowed: a number below'],
    ['llama-2', { 'llama.block_count': 2 ** 32 - 1 }, '"llama.block_count" 4294967295; allowed: an integer from 1 to'],
    ['gemma-2', { 'gemma2.block_count': 2 ** 32 - 1 }, '"gemma2.block_count" 4294967295; allowed: an integer from 1'],
    ['llama-2', { 'llama.attention.value_length': 32 }, 'has "llama.attention.value_length" 32; allowed: 16'],
    ['llama-2', { 'llama.rope.dimension_count': 8 }, 'has "llama.rope.dimension_count" 8; allowed: 16'],
    ['llama-2', { 'llama.rope.freq_base': -1 }, 'has "llama.rope.freq_base" -1; allowed: a number above 0'],
    ['llama-2', { 'llama.rope.scaling.type': 'cubic' }, '"cubic"; allowed: linear, none, yarn, longrope'],
    ['llama-2', { 'llama.rope.scaling.type': 'longrope' }, 'longrope with the tensor rope_factors_long.weight'],
    ['llama-2', { 'llama.rope.scaling.attn_factor': 2 }, 'has "llama.rope.scaling.attn_factor" 2; allowed: 1'],
    ['llama-yarn', { 'llama.rope.scaling.yarn_ext_factor': 2 }, '"llama.rope.scaling.yarn_ext_factor" 2; allowed: 1'],
    ['llama-2', { 'llama.expert_count': 8 }, 'has "llama.expert_count" 8; allowed: 0'],
    ['llama-2', { 'llama.attention.causal': false }, 'has "llama.attention.causal" false; allowed: true'],
    ['llama-2', { 'llama.logit_scale': 0.5 }, 'has the unknown key "llama.logit_scale" with the value 0.5'],
    ['qwen2', { 'qwen2.attention.sliding_window': 8 }, 'has "qwen2.attention.sliding_window" 8; allowed: 0'],
    ['qwen3', { 'qwen3.pooling_type': 3 }, 'has "qwen3.pooling_type" 3; allowed: 0'],
    ['granite', { 'granite.rope.scaling.finetuned': false }, 'has "granite.rope.scaling.finetuned" false; allowed'],
    ['granite', { 'granite.logit_scale': undefined, 'granite.x': 1 }, '"granite.x" with the value 1'],
    ['gemma-2', { 'gemma2.rope.freq_base_swa': 5 }, 'allowed: the value of "gemma2.rope.freq_base"'],
    [
      'gemma-3',
      { 'gemma3.attention.sliding_window_pattern': Uint8Array.of(1, 0) },
      'has "gemma3.attention.sliding_window_pattern" [1,0]; allowed: a list of 4 flags',
    ],
  ])('of %s, case %#', (name, keys, message) => {
    expect(refusalOf(name, { keys })).toContain(message);
  });
});

describe('a tensor', () => {
  it.each<readonly [string, string, TestTensor | undefined, string]>([
    ['llama-2', 'blk.0.attn_q_norm.weight', vector(16), 'has the unknown tensor "blk.0.attn_q_norm.weight"; allowed'],
    ['llama-2', 'model.norm.weight', vector(64), 'has the unknown tensor "model.norm.weight"'],
    ['llama-2', 'blk.2.attn_norm.weight', vector(64), 'has the unknown tensor "blk.2.attn_norm.weight"'],
    ['llama-2', 'blk.1.ffn_down.weight', undefined, 'lacks the tensor "blk.1.ffn_down.weight" of the shape [64,96]'],
    [
      'llama-2',
      'output_norm.weight',
      vector(60),
      '"output_norm.weight" with the shape [60]; allowed by model.gguf: [64]',
    ],
    ['llama-2', 'token_embd.weight', undefined, 'model.gguf lacks "token_embd.weight"'],
    ['llama-2', 'rope_freqs.weight', vector(5), 'has the tensor "rope_freqs.weight"; allowed: 8 numbers above 0'],
    ['qwen2', 'rope_freqs.weight', vector(8), 'has the tensor "rope_freqs.weight"; allowed: no such tensor'],
    ['llama-yarn', 'rope_freqs.weight', vector(8), 'allowed: no such tensor beside the type yarn'],
    ['phi3-long', 'rope_factors_short.weight', undefined, 'lacks the tensor "rope_factors_short.weight"'],
    ['gemma-2', 'blk.0.post_ffw_norm.weight', undefined, 'lacks the tensor "blk.0.post_ffw_norm.weight"'],
    ['llama-2', 'blk.00.attn_norm.weight', vector(64), 'has the unknown tensor "blk.00.attn_norm.weight"; allowed'],
  ])('of %s: %s', (name, tensor, value, message) => {
    expect(refusalOf(name, { tensors: { [tensor]: value } })).toContain(message);
  });

  it('of experts beyond the limit is refused: a name takes no bytes of weights', () => {
    const model = changed('qwen3-moe', { keys: { 'qwen3moe.expert_count': 1024 } });
    const tensors = new Map(model.tensors);
    const { file, offset } = tensors.get('token_embd.weight')!;
    for (let layer = 0; layer < 300; layer++)
      tensors.set(`blk.${layer}.ffn_up_exps.weight`, { file, offset, bytes: 0, type: 1, shape: [1024, 0, 64] });
    expect(() => describedBy({ ...model, tensors })).toThrow('has more than 262144 matrices of experts');
  });

  it('in blocks is a matrix, and never a norm', () => {
    const model = changed('llama-2', {});
    const tensors = new Map(model.tensors);
    const inBlocks = (name: string): void => {
      const { file, offset, shape } = tensors.get(name)!;
      tensors.set(name, { file, offset, shape, format: 'q8_0', bytes: 68 });
    };
    inBlocks('blk.0.ffn_down.weight');
    expect(describedBy({ ...model, tensors }).layers[0]!.mlp).toMatchObject({ down: { weight: { format: 'q8_0' } } });
    inBlocks('blk.0.ffn_norm.weight');
    expect(() => describedBy({ ...model, tensors })).toThrow(
      'has the tensor "blk.0.ffn_norm.weight" in the format q8_0; allowed: float32, float16, bfloat16',
    );
  });
});

describe('hostile metadata', () => {
  const VALUES: readonly MetadataValue[] = [
    ...['', 'x'.repeat(1e5), '__proto__', -1, 0, 0.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53, 2n ** 64n, true],
    ...[[], ['a'], [Int32Array.of(1)], new Int32Array(0), Float32Array.of(Number.NaN), BigUint64Array.of(4n)],
  ];

  it.each(CHECKPOINTS.map(({ name }) => name))('of %s is refused in words, or computes something', (name) => {
    const model = changed(name, {});
    for (const key of model.metadata.keys())
      for (const value of VALUES)
        try {
          const metadata = new Map([...model.metadata, [key, value]]);
          expect(describedBy({ ...model, metadata }).layers.length).toBeGreaterThan(0);
        } catch (error) {
          if (!(error instanceof UnsupportedCheckpoint)) throw error;
          expect(error.message.length).toBeLessThan(3000);
        }
  });
});

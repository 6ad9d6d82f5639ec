/**
 * The rows of Qwen2, with biases of q, k and v, and of Qwen3, with norms of queries and keys per head.
 * Defaults: Qwen2Config and Qwen3Config of transformers.
 */
import { type Family, HIDDEN_ACT, NORMS_BEFORE, oneRotary, plainScales, TEXT_NAMES } from '../family.ts';
import { qwenLayers } from '../layer-kinds.ts';

const DEFAULTS = {
  num_key_value_heads: 32,
  hidden_act: 'silu',
  max_position_embeddings: 32_768,
  rms_norm_eps: 1e-6,
  rope_theta: 10_000,
  tie_word_embeddings: false,
  use_sliding_window: false,
  sliding_window: 4096,
  max_window_layers: 28,
};
const SHARED = {
  activation: HIDDEN_ACT,
  norms: NORMS_BEFORE,
  normOffset: 0,
  layers: qwenLayers,
  rotaries: oneRotary,
  scales: plainScales,
  names: TEXT_NAMES,
} as const;

export const QWEN2: Family = {
  modelType: 'qwen2',
  architectures: ['Qwen2ForCausalLM'],
  defaults: DEFAULTS,
  ...SHARED,
  qkvBias: true,
};

export const QWEN3: Family = {
  modelType: 'qwen3',
  architectures: ['Qwen3ForCausalLM'],
  defaults: { ...DEFAULTS, head_dim: 128, attention_bias: false },
  ...SHARED,
  qkNorm: 'head',
};

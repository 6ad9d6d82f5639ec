/** The keys in the metadata of GGUF files: names for messages, and values without an effect. Pure. */
import type { MetadataValue } from '../gguf-file.ts';

/** Fields of config.json, and the keys that they come from, without the name of the architecture. */
const FIELD_KEYS: Readonly<Record<string, string>> = {
  hidden_size: 'embedding_length',
  num_hidden_layers: 'block_count',
  num_attention_heads: 'attention.head_count',
  num_key_value_heads: 'attention.head_count_kv',
  head_dim: 'attention.key_length',
  intermediate_size: 'feed_forward_length',
  max_position_embeddings: 'context_length',
  rms_norm_eps: 'attention.layer_norm_rms_epsilon',
  sliding_window: 'attention.sliding_window',
  layer_types: 'attention.sliding_window_pattern',
  attn_logit_softcapping: 'attn_logit_softcapping',
  final_logit_softcapping: 'final_logit_softcapping',
  logits_scaling: 'logit_scale',
  residual_multiplier: 'residual_scale',
  embedding_multiplier: 'embedding_scale',
  attention_multiplier: 'attention.scale',
  rope_theta: 'rope.freq_base',
  rope_local_base_freq: 'rope.freq_base_swa',
  partial_rotary_factor: 'rope.dimension_count',
  original_max_position_embeddings: 'rope.scaling.original_context_length',
  'rope_scaling.factor': 'rope.scaling.factor',
  'rope_scaling.original_max_position_embeddings': 'rope.scaling.original_context_length',
  'rope_scaling.attention_factor': 'rope.scaling.attn_factor',
  'rope_scaling.beta_fast': 'rope.scaling.yarn_beta_fast',
  'rope_scaling.beta_slow': 'rope.scaling.yarn_beta_slow',
  num_experts: 'expert_count',
  num_local_experts: 'expert_count',
  num_experts_per_tok: 'expert_used_count',
  moe_intermediate_size: 'expert_feed_forward_length',
};
/** Fields that do not come from a key of the architecture. */
const OTHERS: Readonly<Record<string, string>> = {
  model_type: 'general.architecture',
  vocab_size: 'token_embd.weight',
};

/** The key of a field; the field itself if it comes from no key. */
export function fieldKey(field: string, architecture: string): string {
  const key = FIELD_KEYS[field];
  return key === undefined ? (OTHERS[field] ?? field) : `${architecture}.${key}`;
}

/**
 * Keys that no row reads, and their values without an effect; null = any value. The original context and the
 * borders of yarn have no effect in other types of scaling.
 */
export const NEUTRAL_KEYS: Readonly<Record<string, readonly MetadataValue[] | null>> = {
  vocab_size: null,
  tensor_data_layout: null,
  'attention.layer_norm_epsilon': null,
  'rope.scaling.finetuned': null,
  'rope.scaling.original_context_length': null,
  'rope.scaling.yarn_beta_fast': null,
  'rope.scaling.yarn_beta_slow': null,
  'rope.scaling.yarn_ext_factor': [1],
  'rope.scaling.yarn_attn_factor': [1],
  'rope.scaling.yarn_log_multiplier': [0],
  'attention.causal': [true],
  'attention.max_alibi_bias': [0],
  'attention.clamp_kqv': [0],
  'attention.sliding_window': [0],
  'attention.temperature_scale': [0],
  use_parallel_residual: [false],
  attn_logit_softcapping: [0],
  final_logit_softcapping: [0],
  expert_used_count: [0],
  expert_feed_forward_length: [0],
  expert_shared_count: [0],
  expert_group_count: [0, 1],
  expert_group_used_count: [0, 1],
  expert_weights_scale: [0, 1],
  expert_weights_norm: [true],
  expert_gating_func: [1],
  nextn_predict_layers: [0],
  pooling_type: [0],
  'mm.tokens_per_image': null,
};

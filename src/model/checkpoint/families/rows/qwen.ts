/**
 * The rows of Qwen2, with biases of q, k and v, of Qwen3, with norms of queries and keys per head, and of
 * Qwen3-MoE, with a mixture of experts. Defaults: Qwen2Config, Qwen3Config and Qwen3MoeConfig of
 * transformers.
 */
import { expertCounts, sparseLayers } from '../experts.ts';
import { type Family, HIDDEN_ACT, NORMS_BEFORE, oneRotary, plainScales, SILU, TEXT_NAMES } from '../family.ts';
import { fullLayers, qwenLayers, windowLayers } from '../layer-kinds.ts';

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

export const QWEN3_MOE: Family = {
  ...QWEN3,
  activation: { field: 'hidden_act', names: SILU },
  modelType: 'qwen3_moe',
  architectures: ['Qwen3MoeForCausalLM'],
  defaults: {
    ...{ ...DEFAULTS, num_key_value_heads: 4, attention_bias: false, intermediate_size: 6144 },
    ...{ decoder_sparse_step: 1, mlp_only_layers: null, moe_intermediate_size: 768 },
    ...{ num_experts: 128, num_experts_per_tok: 8, norm_topk_prob: false },
  },
  // A window counts for all layers: Qwen3MoeModel in modeling_qwen3_moe.py.
  layers: (fields, layers) => {
    fields.value('sliding_window');
    fields.value('max_window_layers');
    return (fields.flag('use_sliding_window') ? windowLayers : fullLayers)(fields, layers);
  },
  // Qwen3MoeTopKRouter and Qwen3MoeExperts.
  experts: (fields) => ({
    ...expertCounts(fields, { count: 'num_experts', chosen: 'num_experts_per_tok' }),
    inner: fields.count('moe_intermediate_size'),
    softmaxOver: 'all',
    normalizes: fields.flag('norm_topk_prob'),
    activation: { kind: 'silu' },
    router: 'gate',
    hasBias: false,
    isSparse: sparseLayers(fields),
  }),
};

/**
 * The row of gpt-oss: a mixture of experts in all layers, a window in every other layer, a sink in each head.
 * Defaults: GptOssConfig of transformers, except for the rotary embedding: a file without one is refused.
 */
import type { ConfigFields } from '../config-fields.ts';
import { type ExpertsPlan, expertCounts } from '../experts.ts';
import { type Family, NORMS_BEFORE, oneRotary, plainScales, SILU, type Sizes, TEXT_NAMES } from '../family.ts';
import { gemma2Layers } from '../layer-kinds.ts';

export const GPT_OSS: Family = {
  modelType: 'gpt_oss',
  architectures: ['GptOssForCausalLM'],
  defaults: {
    head_dim: 64,
    num_key_value_heads: 8,
    hidden_act: 'silu',
    rms_norm_eps: 1e-5,
    rope_theta: 150_000,
    tie_word_embeddings: false,
    attention_bias: true,
    sliding_window: 128,
    num_local_experts: 128,
    num_experts_per_tok: 4,
    swiglu_alpha: 1.702,
    swiglu_limit: 7,
  },
  activation: { field: 'hidden_act', names: SILU },
  norms: NORMS_BEFORE,
  normOffset: 0,
  layers: gemma2Layers,
  rotaries: (fields, options) => {
    // transformers has yarn with factor 32 as the default.
    const isGiven = ['rope_scaling', 'rope_parameters'].some((name) => (fields.value(name) ?? undefined) !== undefined);
    if (!isGiven) fields.refuse('rope_scaling', 'an object that describes the rotary embedding');
    return oneRotary(fields, options);
  },
  scales: plainScales,
  names: TEXT_NAMES,
  hasSinks: true,
  experts,
};

/** Source: GptOssExperts and GptOssTopKRouter in modeling_gpt_oss.py. */
function experts(fields: ConfigFields, { intermediate }: Sizes): ExpertsPlan {
  const counts = expertCounts(fields, { count: 'num_local_experts', chosen: 'num_experts_per_tok' });
  // Leftovers of the first files: the number of chosen experts again, and the context of the first training.
  const chosen = fields.value('experts_per_token') ?? counts.chosen;
  if (chosen !== counts.chosen) fields.refuse('experts_per_token', `${counts.chosen}, "num_experts_per_tok"`);
  fields.value('initial_context_length');
  // Other methods are refused before. The names of the tensors show the parts that are not quantized.
  const quantization = fields.value('quantization_config') ?? null;
  return {
    ...counts,
    isInMxfp4: quantization !== null,
    inner: intermediate,
    softmaxOver: 'chosen',
    normalizes: false,
    activation: {
      kind: 'clamped_swiglu',
      alpha: fields.positive('swiglu_alpha'),
      limit: fields.positive('swiglu_limit'),
    },
    router: 'router',
    hasBias: true,
    isSparse: () => true,
  };
}

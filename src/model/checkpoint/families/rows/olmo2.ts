/**
 * The row of OLMo 2: norms behind the blocks, and norms of queries and keys over the whole width. Defaults:
 * Olmo2Config of transformers.
 */
import { type Family, HIDDEN_ACT, oneRotary, plainScales, TEXT_NAMES } from '../family.ts';
import { fullLayers } from '../layer-kinds.ts';

export const OLMO2: Family = {
  modelType: 'olmo2',
  architectures: ['Olmo2ForCausalLM'],
  defaults: {
    hidden_act: 'silu',
    max_position_embeddings: 2048,
    rms_norm_eps: 1e-5,
    rope_theta: 10_000,
    tie_word_embeddings: false,
    attention_bias: false,
  },
  activation: HIDDEN_ACT,
  norms: { attentionOut: 'post_attention_layernorm', mlpOut: 'post_feedforward_layernorm' },
  normOffset: 0,
  qkNorm: 'width',
  layers: fullLayers,
  rotaries: oneRotary,
  scales: plainScales,
  names: TEXT_NAMES,
};

/**
 * The row of Granite 3: a Llama with factors of embeddings, attention, residuals and logits. Defaults:
 * GraniteConfig of transformers.
 */
import { type Family, HIDDEN_ACT, NORMS_BEFORE, oneRotary, TEXT_NAMES } from '../family.ts';
import { fullLayers } from '../layer-kinds.ts';

export const GRANITE: Family = {
  modelType: 'granite',
  architectures: ['GraniteForCausalLM'],
  defaults: {
    hidden_act: 'silu',
    rms_norm_eps: 1e-6,
    rope_theta: 10_000,
    tie_word_embeddings: false,
    attention_bias: false,
    mlp_bias: false,
    embedding_multiplier: 1,
    attention_multiplier: 1,
    residual_multiplier: 1,
    logits_scaling: 1,
  },
  activation: HIDDEN_ACT,
  norms: NORMS_BEFORE,
  normOffset: 0,
  layers: fullLayers,
  rotaries: oneRotary,
  // modeling_granite.py: the attention multiplier replaces 1 / √head size; the logits are divided.
  scales: (fields) => ({
    attention: fields.positive('attention_multiplier'),
    residual: fields.positive('residual_multiplier'),
    embeddingScale: fields.positive('embedding_multiplier'),
    logitScale: 1 / fields.positive('logits_scaling'),
  }),
  names: TEXT_NAMES,
};

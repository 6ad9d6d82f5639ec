/** The row of SmolLM3: some layers without positions. Defaults: SmolLM3Config of transformers. */
import { type Family, HIDDEN_ACT, NORMS_BEFORE, oneRotary, plainScales, TEXT_NAMES } from '../family.ts';
import { smollm3Layers } from '../layer-kinds.ts';

export const SMOLLM3: Family = {
  modelType: 'smollm3',
  architectures: ['SmolLM3ForCausalLM'],
  defaults: {
    num_key_value_heads: 4,
    hidden_act: 'silu',
    max_position_embeddings: 32_768,
    rms_norm_eps: 1e-6,
    rope_theta: 2_000_000,
    tie_word_embeddings: true,
    attention_bias: false,
    mlp_bias: false,
    use_sliding_window: false,
    sliding_window: null,
    no_rope_layer_interval: 4,
  },
  activation: HIDDEN_ACT,
  norms: NORMS_BEFORE,
  normOffset: 0,
  layers: smollm3Layers,
  rotaries: oneRotary,
  scales: plainScales,
  names: TEXT_NAMES,
};

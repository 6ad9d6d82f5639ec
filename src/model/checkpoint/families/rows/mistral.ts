/** The row of Mistral. Its class has no biases. Defaults: MistralConfig of transformers. */
import { type Family, HIDDEN_ACT, NORMS_BEFORE, oneRotary, plainScales, TEXT_NAMES } from '../family.ts';
import { windowLayers } from '../layer-kinds.ts';

export const MISTRAL: Family = {
  modelType: 'mistral',
  architectures: ['MistralForCausalLM'],
  defaults: {
    num_key_value_heads: 8,
    hidden_act: 'silu',
    rms_norm_eps: 1e-6,
    rope_theta: 10_000,
    tie_word_embeddings: false,
    sliding_window: 4096,
  },
  activation: HIDDEN_ACT,
  norms: NORMS_BEFORE,
  normOffset: 0,
  layers: windowLayers,
  rotaries: oneRotary,
  scales: plainScales,
  names: TEXT_NAMES,
};

/**
 * The row of Llama 2, 3 and 3.x, also of TinyLlama, Yi, SmolLM2 and Falcon 3. Defaults: LlamaConfig of
 * transformers.
 */
import { type Family, HIDDEN_ACT, NORMS_BEFORE, oneRotary, plainScales, TEXT_NAMES } from '../family.ts';
import { fullLayers } from '../layer-kinds.ts';

export const LLAMA: Family = {
  modelType: 'llama',
  architectures: ['LlamaForCausalLM', 'LLaMAForCausalLM'],
  defaults: {
    hidden_act: 'silu',
    rms_norm_eps: 1e-6,
    rope_theta: 10_000,
    tie_word_embeddings: false,
    attention_bias: false,
    mlp_bias: false,
  },
  // Falcon 3 names its gated MLP a second time.
  neutral: { activation: ['swiglu'] },
  activation: HIDDEN_ACT,
  norms: NORMS_BEFORE,
  normOffset: 0,
  layers: fullLayers,
  rotaries: oneRotary,
  scales: plainScales,
  names: TEXT_NAMES,
};

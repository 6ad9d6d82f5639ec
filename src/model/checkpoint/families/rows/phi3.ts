/**
 * The row of Phi-3, Phi-3.5 and Phi-4-mini: packed matrices, a part of each head rotated, longrope.
 * Defaults: Phi3Config of transformers.
 */
import { type Family, HIDDEN_ACT, NORMS_BEFORE, plainScales, TEXT_NAMES } from '../family.ts';
import { windowLayers } from '../layer-kinds.ts';
import { rotaryOf, type Scaling } from '../rope.ts';

/** configuration_phi3.py replaces the older names `su` and `yarn` by `longrope`. */
const SCALINGS: Readonly<Record<string, Scaling>> = {
  default: 'default',
  longrope: 'longrope',
  su: 'longrope',
  yarn: 'longrope',
};

export const PHI3: Family = {
  modelType: 'phi3',
  architectures: ['Phi3ForCausalLM'],
  defaults: {
    hidden_act: 'silu',
    max_position_embeddings: 4096,
    original_max_position_embeddings: 4096,
    rms_norm_eps: 1e-5,
    rope_theta: 10_000,
    partial_rotary_factor: 1,
    tie_word_embeddings: false,
    sliding_window: null,
  },
  // Fields of phi3small, which the files of Phi-4-mini still have.
  neutral: { full_attn_mod: [1], interpolate_factor: [1] },
  activation: HIDDEN_ACT,
  isPacked: true,
  norms: NORMS_BEFORE,
  normOffset: 0,
  layers: windowLayers,
  rotaries: (fields, options) => {
    fields.count('original_max_position_embeddings');
    return [rotaryOf(fields, { ...options, scalings: SCALINGS })];
  },
  scales: plainScales,
  names: TEXT_NAMES,
};

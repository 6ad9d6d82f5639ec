/**
 * The rows of Gemma 1, 2 and 3. All of them scale the embeddings by √hidden_size and store norms as
 * differences from 1. transformers rounds the factor to the type of the weights; the graph computes in
 * float32. Defaults: GemmaConfig, Gemma2Config and Gemma3TextConfig of transformers.
 */
import { type Family, GELU_TANH, NORMS_BEFORE, oneRotary, type Scales, type Sizes, TEXT_NAMES } from '../family.ts';
import { fullLayers, gemma2Layers, gemma3Layers } from '../layer-kinds.ts';
import { ropeObject, rotaryWith, USUAL_SCALINGS } from '../rope.ts';

const DEFAULTS = {
  head_dim: 256,
  rms_norm_eps: 1e-6,
  rope_theta: 10_000,
  tie_word_embeddings: true,
  attention_bias: false,
};
/** Norms in front of and behind both blocks. */
const FOUR_NORMS = {
  attentionIn: 'input_layernorm',
  attentionOut: 'post_attention_layernorm',
  mlpIn: 'pre_feedforward_layernorm',
  mlpOut: 'post_feedforward_layernorm',
};
const HIDDEN_ACTIVATION = { field: 'hidden_activation', names: GELU_TANH };

const gemmaScales = ({ hidden, headSize }: Sizes): Scales => ({
  attention: headSize ** -0.5,
  residual: 1,
  embeddingScale: Math.fround(Math.sqrt(hidden)),
  logitScale: 1,
});

/** Gemma 2 and 3: attention scaled by `query_pre_attn_scalar ** -0.5`, and the two softcaps; null = none. */
const cappedScales: Family['scales'] = (fields, sizes) => {
  const attentionSoftcap = fields.optionalPositive('attn_logit_softcapping');
  const logitSoftcap = fields.optionalPositive('final_logit_softcapping');
  return {
    ...gemmaScales(sizes),
    attention: fields.positive('query_pre_attn_scalar') ** -0.5,
    ...(attentionSoftcap === undefined ? {} : { attentionSoftcap }),
    ...(logitSoftcap === undefined ? {} : { logitSoftcap }),
  };
};

export const GEMMA: Family = {
  modelType: 'gemma',
  architectures: ['GemmaForCausalLM'],
  defaults: { ...DEFAULTS, num_key_value_heads: 16, hidden_act: 'gelu_pytorch_tanh' },
  neutral: { hidden_activation: [null, 'gelu_pytorch_tanh'] },
  // configuration_gemma.py of 5.18.0: "gelu" in the official files means the approximation by tanh.
  activation: { field: 'hidden_act', names: { ...GELU_TANH, gelu: 'gelu_tanh' } },
  norms: NORMS_BEFORE,
  normOffset: 1,
  layers: fullLayers,
  rotaries: oneRotary,
  scales: (_fields, sizes) => gemmaScales(sizes),
  names: TEXT_NAMES,
};

export const GEMMA2: Family = {
  modelType: 'gemma2',
  architectures: ['Gemma2ForCausalLM'],
  defaults: {
    ...DEFAULTS,
    num_key_value_heads: 4,
    hidden_activation: 'gelu_pytorch_tanh',
    query_pre_attn_scalar: 256,
    sliding_window: 4096,
    attn_logit_softcapping: 50,
    final_logit_softcapping: 30,
  },
  neutral: { hidden_act: ['gelu_pytorch_tanh'] },
  activation: HIDDEN_ACTIVATION,
  norms: FOUR_NORMS,
  normOffset: 1,
  layers: gemma2Layers,
  rotaries: oneRotary,
  scales: cappedScales,
  names: TEXT_NAMES,
};

/**
 * The first rotary embedding is that of the layers that read all tokens: `rope_theta` and the scaling. The
 * second one has `rope_local_base_freq` and no scaling in files of transformers 4.
 */
const gemma3Rotaries: Family['rotaries'] = (fields, options) => {
  const object = ropeObject(fields);
  const isNested = object.isGiven('full_attention') || object.isGiven('sliding_attention');
  if (!isNested && (fields.value('rope_parameters') ?? undefined) !== undefined)
    fields.refuse('rope_parameters', 'an object with "full_attention" and "sliding_attention", null');
  const full = isNested ? object.child('full_attention') : object;
  const sliding = object.child('sliding_attention');
  if (isNested) object.refuseUnread('"rope_parameters" with an object for each layer type');
  const usual = { ...options, scalings: USUAL_SCALINGS };
  return [
    rotaryWith(fields, full, { ...usual, thetaField: 'rope_theta' }),
    rotaryWith(fields, sliding, { ...usual, thetaField: 'rope_local_base_freq' }),
  ];
};

export const GEMMA3_TEXT: Family = {
  modelType: 'gemma3_text',
  architectures: ['Gemma3ForCausalLM'],
  // The files of the models with images omit sizes that have these values.
  defaults: {
    ...DEFAULTS,
    vocab_size: 262_208,
    hidden_size: 2304,
    intermediate_size: 9216,
    num_hidden_layers: 26,
    num_attention_heads: 8,
    num_key_value_heads: 4,
    max_position_embeddings: 131_072,
    hidden_activation: 'gelu_pytorch_tanh',
    query_pre_attn_scalar: 256,
    sliding_window: 4096,
    sliding_window_pattern: 6,
    attn_logit_softcapping: null,
    final_logit_softcapping: null,
    rope_theta: 1_000_000,
    rope_local_base_freq: 10_000,
  },
  neutral: { hidden_act: ['gelu_pytorch_tanh'] },
  activation: HIDDEN_ACTIVATION,
  norms: FOUR_NORMS,
  normOffset: 1,
  qkNorm: 'head',
  layers: gemma3Layers,
  rotaries: gemma3Rotaries,
  scales: cappedScales,
  names: TEXT_NAMES,
};

/**
 * The part of a Gemma 3 with images that computes text. The second form of names is that of transformers 5.
 */
export const GEMMA3: Family = {
  ...GEMMA3_TEXT,
  modelType: 'gemma3',
  architectures: ['Gemma3ForConditionalGeneration'],
  names: [
    {
      body: 'language_model.model.',
      head: 'language_model.lm_head',
      others: ['vision_tower.', 'multi_modal_projector.'],
    },
    {
      body: 'model.language_model.',
      head: 'lm_head',
      others: ['model.vision_tower.', 'model.multi_modal_projector.'],
    },
  ],
  text: {
    field: 'text_config',
    modelType: 'gemma3_text',
    others: ['vision_config', 'mm_tokens_per_image'],
  },
};

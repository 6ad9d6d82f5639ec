/**
 * The table of architectures: one row for each `general.architecture` that the worker computes. Source of
 * each row: the file of the architecture in src/models and its converter in conversion of llama.cpp. Pure.
 */
import type { Fields } from '../../families/config-fields.ts';
import { layerTypes, windowOf } from './layer-windows.ts';
import type { MetadataFields } from './metadata-fields.ts';
import type { RopeTraits } from './rope-config.ts';
import {
  GEMMA2_PARTS,
  GEMMA3_PARTS,
  GPT_OSS_PARTS,
  type LayerParts,
  LLAMA_PARTS,
  OLMO2_PARTS,
  PHI3_PARTS,
  QWEN3_MOE_PARTS,
  QWEN3_PARTS,
} from './tensor-names.ts';

/** Sizes that the rows need. */
export interface KnownSizes {
  readonly layers: number;
  readonly hidden: number;
  readonly heads: number;
  readonly headSize: number;
}

/** A row of the table. */
export interface Architecture {
  /** `general.architecture`. */
  readonly name: string;
  /** `model_type` of the family in transformers. */
  readonly modelType: string;
  readonly parts: LayerParts;
  /** Biases of q, k, v and the output, or of the MLP, are optional. */
  readonly optionalBiases?: readonly ('attention' | 'mlp')[];
  /** The rotary embedding rotates neighbours: the converter reorders the rows of q and k. */
  readonly isInterleaved?: true;
  /** A mixture of experts. */
  readonly hasExperts?: true;
  /** The converter adds 1 to the norms. */
  readonly hasWholeNorms?: true;
  readonly rope?: RopeTraits;
  /** Fields of config.json beside the common ones. */
  readonly extra?: (fields: MetadataFields, sizes: KnownSizes) => Fields;
}

const LLAMA = {
  modelType: 'llama',
  parts: LLAMA_PARTS,
  optionalBiases: ['attention', 'mlp'],
  isInterleaved: true,
  rope: { factors: 'divisors' },
} as const;

/**
 * Scale of the attention in Gemma 2 and 3: `1 / √head size`, except in the model of 27 billion weights. Its
 * file has no key for it; llama.cpp knows the model by its number of layers.
 */
const gemmaScale = (largest: number, { layers, hidden, heads, headSize }: KnownSizes): Fields => ({
  query_pre_attn_scalar: layers === largest ? Math.trunc(hidden / heads) : headSize,
});

const gemma2Fields: Architecture['extra'] = (fields, sizes) => {
  const base = fields.number('rope.freq_base_swa');
  if (base !== undefined && base !== (fields.number('rope.freq_base') ?? 10_000))
    fields.refuse('rope.freq_base_swa', `the value of "${fields.key('rope.freq_base')}"`);
  return {
    ...gemmaScale(46, sizes),
    sliding_window: fields.number('attention.sliding_window') ?? 4096,
    layer_types: layerTypes(fields, sizes.layers, 2),
    attn_logit_softcapping: fields.number('attn_logit_softcapping') ?? 50,
    final_logit_softcapping: fields.number('final_logit_softcapping') ?? 30,
  };
};

/** A file without a window has only layers that read all tokens. */
const gemma3Fields: Architecture['extra'] = (fields, sizes) => {
  const window = windowOf(fields);
  return {
    ...gemmaScale(62, sizes),
    sliding_window: window ?? null,
    layer_types: layerTypes(fields, sizes.layers, window === undefined ? 1 : 6),
    rope_local_base_freq: fields.number('rope.freq_base_swa') ?? 10_000,
    final_logit_softcapping: fields.nonzero('final_logit_softcapping') ?? null,
  };
};

/** llama.cpp takes 0 and an absent key for 1, or for `1 / √head size`. */
const graniteFields: Architecture['extra'] = (fields, { headSize }) => {
  const isFinetuned = fields.value('rope.scaling.finetuned') ?? true;
  if (isFinetuned !== true) fields.refuse('rope.scaling.finetuned', 'true, which keeps the rotary embedding');
  return {
    logits_scaling: fields.number('logit_scale'),
    residual_multiplier: fields.nonzero('residual_scale') ?? 1,
    embedding_multiplier: fields.nonzero('embedding_scale') ?? 1,
    attention_multiplier: fields.nonzero('attention.scale') ?? headSize ** -0.5,
  };
};

/** llama.cpp always divides the weights of the chosen experts by their sum. */
const qwen3MoeFields: Architecture['extra'] = (fields) => ({
  num_experts: fields.number('expert_count'),
  num_experts_per_tok: fields.number('expert_used_count'),
  moe_intermediate_size: fields.number('expert_feed_forward_length'),
  norm_topk_prob: true,
});

const gptOssFields: Architecture['extra'] = (fields, sizes) => {
  fields.number('feed_forward_length');
  return {
    num_local_experts: fields.number('expert_count'),
    num_experts_per_tok: fields.number('expert_used_count'),
    intermediate_size: fields.number('expert_feed_forward_length'),
    sliding_window: fields.number('attention.sliding_window'),
    layer_types: layerTypes(fields, sizes.layers, 2),
    attention_bias: true,
  };
};

export const ARCHITECTURES: readonly Architecture[] = [
  {
    ...LLAMA,
    name: 'llama',
    // The window of Mistral 7B, which llama.cpp does not read.
    extra: (fields) => {
      const window = windowOf(fields);
      return window === undefined ? {} : { model_type: 'mistral', sliding_window: window };
    },
  },
  { ...LLAMA, name: 'mistral3' },
  { name: 'qwen2', modelType: 'qwen2', parts: LLAMA_PARTS },
  { name: 'qwen3', modelType: 'qwen3', parts: QWEN3_PARTS, optionalBiases: ['attention'] },
  {
    name: 'qwen3moe',
    modelType: 'qwen3_moe',
    parts: QWEN3_MOE_PARTS,
    optionalBiases: ['attention'],
    hasExperts: true,
    extra: qwen3MoeFields,
  },
  {
    name: 'phi3',
    modelType: 'phi3',
    parts: PHI3_PARTS,
    rope: { isPartial: true, factors: 'longrope' },
    // llama.cpp does not compute the window; transformers does.
    extra: (fields) => ({ sliding_window: windowOf(fields) ?? null }),
  },
  { name: 'gemma', modelType: 'gemma', parts: LLAMA_PARTS, hasWholeNorms: true },
  { name: 'gemma2', modelType: 'gemma2', parts: GEMMA2_PARTS, hasWholeNorms: true, extra: gemma2Fields },
  { name: 'gemma3', modelType: 'gemma3_text', parts: GEMMA3_PARTS, hasWholeNorms: true, extra: gemma3Fields },
  { ...LLAMA, name: 'granite', modelType: 'granite', extra: graniteFields },
  {
    name: 'smollm3',
    modelType: 'smollm3',
    parts: LLAMA_PARTS,
    optionalBiases: ['attention', 'mlp'],
    isInterleaved: true,
  },
  { name: 'olmo2', modelType: 'olmo2', parts: OLMO2_PARTS, optionalBiases: ['attention'] },
  {
    name: 'gpt-oss',
    modelType: 'gpt_oss',
    parts: GPT_OSS_PARTS,
    hasExperts: true,
    rope: { truncates: false },
    extra: gptOssFields,
  },
];

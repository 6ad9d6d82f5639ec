/**
 * One row of the table of families: the facts in which families of decoders differ. The parts that they
 * share are in config-fields.ts, rope.ts, layer-kinds.ts and layers.ts. Pure.
 */
import type { DecoderSpec, MlpSpec, RotarySpec } from '../../../protocol/decoder/decoder-spec.ts';
import type { ConfigFields, Fields } from './config-fields.ts';
import type { ExpertsPlan } from './experts.ts';
import type { LayerKinds } from './layer-kinds.ts';
import { type RopeOptions, rotaryOf, USUAL_SCALINGS } from './rope.ts';
import type { TensorNames } from './tensors.ts';

export type Activation = MlpSpec['activation'];

/** Sizes of a decoder. */
export interface Sizes {
  readonly vocab: number;
  readonly hidden: number;
  readonly intermediate: number;
  readonly layers: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headSize: number;
}

/** Names of the norms of a layer, without `.weight`; an absent norm is the identity. */
export interface LayerNorms {
  readonly attentionIn?: string;
  readonly attentionOut?: string;
  readonly mlpIn?: string;
  readonly mlpOut?: string;
}

/** Factors and limits of a model. */
export interface Scales extends Pick<DecoderSpec, 'embeddingScale' | 'logitScale' | 'logitSoftcap'> {
  /** Factor of the products of queries and keys. */
  readonly attention: number;
  readonly attentionSoftcap?: number;
  readonly residual: number;
}

export interface Family {
  /** `model_type` in config.json. */
  readonly modelType: string;
  /** Allowed names in `architectures`, if the file has them. */
  readonly architectures: readonly string[];
  /**
   * Values of absent fields: the defaults of the configuration class in transformers. A family reads an
   * optional field, such as `attention_bias`, if it is listed here; in other families, refuseUnknown allows
   * only the value without an effect.
   */
  readonly defaults: Fields;
  /** Fields without an effect at the listed values, beside those of known-fields.ts. */
  readonly neutral?: Readonly<Record<string, readonly unknown[]>>;
  /** Field of the activation, and its names in the file. */
  readonly activation: { readonly field: string; readonly names: Readonly<Record<string, Activation>> };
  /** Queries, keys and values always have biases; else as `attention_bias` states, also for the output. */
  readonly qkvBias?: true;
  /** One matrix for q, k and v, and one for gate and up. */
  readonly isPacked?: true;
  readonly norms: LayerNorms;
  /** 1: the norms store the difference from 1. */
  readonly normOffset: 0 | 1;
  /** Norms of queries and keys: over each head, or over the whole width. */
  readonly qkNorm?: 'head' | 'width';
  readonly layers: LayerKinds;
  readonly rotaries: (fields: ConfigFields, options: Omit<RopeOptions, 'scalings'>) => readonly RotarySpec[];
  readonly scales: (fields: ConfigFields, sizes: Sizes) => Scales;
  /** Each head of attention has a sink. */
  readonly hasSinks?: true;
  /** The mixtures of experts that replace the MLPs; absent = none. */
  readonly experts?: (fields: ConfigFields, sizes: Sizes) => ExpertsPlan;
  /** Places of the decoder in the checkpoint, in the order of preference. */
  readonly names: readonly TensorNames[];
  /** The object of config.json that describes the decoder; absent = the file itself. */
  readonly text?: {
    readonly field: string;
    readonly modelType: string;
    /** Fields beside it that do not concern the decoder. */
    readonly others: readonly string[];
  };
}

/** Names of `ACT2FN` in activations.py of transformers for the two activations. */
export const SILU: Readonly<Record<string, Activation>> = { silu: 'silu', swish: 'silu' };
export const GELU_TANH: Readonly<Record<string, Activation>> = {
  gelu_pytorch_tanh: 'gelu_tanh',
  gelu_new: 'gelu_tanh',
};

/** The activation of most families. */
export const HIDDEN_ACT = { field: 'hidden_act', names: { ...SILU, ...GELU_TANH } };

/** Norms in front of the blocks, as in Llama. */
export const NORMS_BEFORE: LayerNorms = { attentionIn: 'input_layernorm', mlpIn: 'post_attention_layernorm' };

/** Names of the tensors of a model of text. */
export const TEXT_NAMES: readonly TensorNames[] = [{ body: 'model.', head: 'lm_head' }];

/** One rotary embedding with the usual scalings. */
export const oneRotary: Family['rotaries'] = (fields, options) => [
  rotaryOf(fields, { ...options, scalings: USUAL_SCALINGS }),
];

/** Attention scaled by `1 / √head size`, and no other factor. */
export const plainScales: Family['scales'] = (_fields, { headSize }) => ({
  attention: headSize ** -0.5,
  residual: 1,
  embeddingScale: 1,
  logitScale: 1,
});

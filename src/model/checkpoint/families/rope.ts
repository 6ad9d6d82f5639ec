/**
 * The rotary embedding of a configuration: `rope_theta` with `rope_scaling` (transformers 4) or
 * `rope_parameters` (transformers 5). Source of the rules: `RotaryEmbeddingConfigMixin` and the functions
 * `_compute_*_parameters` in modeling_rope_utils.py, transformers 4.57.6 and 5.18.0. A value that the two
 * versions treat differently is refused. Pure.
 */
import type { RotarySpec } from '../../../protocol/decoder/decoder-spec.ts';
import type { ConfigFields } from './config-fields.ts';
import {
  defaultFrequencies,
  type Frequencies,
  linearFrequencies,
  llama3Frequencies,
  longropeFrequencies,
  longropeMagnitude,
  yarnFrequencies,
  yarnMagnitude,
} from './frequencies.ts';

export type Scaling = 'default' | 'linear' | 'llama3' | 'yarn' | 'longrope';

export interface RopeOptions {
  readonly headSize: number;
  /** The kinds that the family computes, by their names in the file. */
  readonly scalings: Readonly<Record<string, Scaling>>;
  /** Positions that the worker uses; only longrope depends on it. */
  readonly context: number;
}

/** Scalings of the families that compute with the functions of `ROPE_INIT_FUNCTIONS`, except longrope. */
export const USUAL_SCALINGS: Readonly<Record<string, Scaling>> = {
  default: 'default',
  linear: 'linear',
  llama3: 'llama3',
  yarn: 'yarn',
};

/** The fields of one rotary embedding. */
interface Rope {
  readonly fields: ConfigFields;
  /** `rope_scaling`, `rope_parameters`, or the entry of a layer type in `rope_parameters`. */
  readonly object: ConfigFields;
  readonly theta: number;
  /** Number of rotated elements of a head. */
  readonly size: number;
  readonly context: number;
}

/** The fields of the scaling: `rope_parameters` of transformers 5, else `rope_scaling`. */
export function ropeObject(fields: ConfigFields): ConfigFields {
  const [older, newer] = [fields.value('rope_scaling'), fields.value('rope_parameters')];
  if ((newer ?? undefined) === undefined) return fields.child('rope_scaling');
  if ((older ?? undefined) !== undefined) fields.refuse('rope_scaling', 'null beside "rope_parameters"');
  return fields.child('rope_parameters');
}

/** The only rotary embedding of a model. */
export function rotaryOf(fields: ConfigFields, options: RopeOptions): RotarySpec {
  return rotaryWith(fields, ropeObject(fields), { ...options, thetaField: 'rope_theta' });
}

/**
 * A rotary embedding with the scaling of `object`.
 * @param thetaField the field beside `object` that has the base, if `object` has none.
 */
export function rotaryWith(
  fields: ConfigFields,
  object: ConfigFields,
  options: RopeOptions & { readonly thetaField: string },
): RotarySpec {
  const theta = baseOf(fields, object, options.thetaField);
  const size = rotarySize(fields, object, options.headSize);
  const kind = kindOf(object, options.scalings);
  const rotary = RULES[kind]({ fields, object, theta, size, context: options.context });
  if (!rotary.frequencies.every(Number.isFinite)) fields.refuse(options.thetaField, 'a base with finite frequencies');
  object.refuseUnread(`a rotary embedding of the type ${kind}`);
  return rotary;
}

function baseOf(fields: ConfigFields, object: ConfigFields, name: string): number {
  const outer = fields.positive(name);
  if (!object.isGiven('rope_theta')) return outer;
  const inner = object.positive('rope_theta');
  if (fields.isGiven(name) && inner !== outer) object.refuse('rope_theta', `the value of "${name}"`);
  return inner;
}

/**
 * `int(head_dim * partial_rotary_factor)`; only a family whose row has the field rotates a part of a head.
 */
function rotarySize(fields: ConfigFields, object: ConfigFields, headSize: number): number {
  const isPartial = fields.isOfFamily('partial_rotary_factor');
  const outer = isPartial ? fields.positive('partial_rotary_factor') : 1;
  const factor = object.isGiven('partial_rotary_factor') ? object.positive('partial_rotary_factor') : outer;
  const owner = object.isGiven('partial_rotary_factor') ? object : fields;
  if (!isPartial && factor !== 1) object.refuse('partial_rotary_factor', '1');
  if (fields.isGiven('partial_rotary_factor') && isPartial && factor !== outer)
    object.refuse('partial_rotary_factor', 'the value outside of the object');
  const size = Math.trunc(headSize * factor);
  if (size >= 2 && size % 2 === 0 && size <= headSize) return size;
  const rotated = `an even number of rotated elements, at most ${headSize} in a head; here ${size}`;
  owner.refuse(factor === 1 ? 'head_dim' : 'partial_rotary_factor', rotated);
  return 2;
}

/** `rope_type`, or `type` in older files. */
function kindOf(object: ConfigFields, scalings: Readonly<Record<string, Scaling>>): Scaling {
  const [older, newer] = [object.value('type'), object.value('rope_type')];
  if (older !== undefined && newer !== undefined && older !== newer) object.refuse('type', 'the value of "rope_type"');
  if (older === undefined && newer === undefined) return 'default';
  return object.choice(newer === undefined ? 'type' : 'rope_type', scalings) ?? 'default';
}

const RULES: Readonly<Record<Scaling, (rope: Rope) => RotarySpec>> = {
  default: ({ size, theta }) => plain(defaultFrequencies(size, theta)),
  linear: ({ object, size, theta }) =>
    plain(linearFrequencies(defaultFrequencies(size, theta), object.positive('factor'))),
  llama3: llama3Rotary,
  yarn: yarnRotary,
  longrope: longropeRotary,
};

const plain = (frequencies: Frequencies): RotarySpec => ({ frequencies, magnitude: 1 });

function llama3Rotary({ object, size, theta }: Rope): RotarySpec {
  const [lowFactor, highFactor] = [object.positive('low_freq_factor'), object.positive('high_freq_factor')];
  if (highFactor <= lowFactor) object.refuse('high_freq_factor', 'a number above "low_freq_factor"');
  const factor = object.positive('factor');
  const original = object.count('original_max_position_embeddings');
  return plain(llama3Frequencies(defaultFrequencies(size, theta), { factor, lowFactor, highFactor, original }));
}

/** Without `original_max_position_embeddings`, both versions take `max_position_embeddings`. */
function yarnRotary({ fields, object, size, theta }: Rope): RotarySpec {
  const factor = object.positive('factor');
  const given = object.optionalCount('original_max_position_embeddings');
  const original = given ?? fields.count('max_position_embeddings');
  const [mscale, mscaleAllDim] = [object.optionalPositive('mscale'), object.optionalPositive('mscale_all_dim')];
  const attention = object.optionalPositive('attention_factor');
  const scaling = {
    factor,
    original,
    betaFast: object.optionalPositive('beta_fast') ?? 32,
    betaSlow: object.optionalPositive('beta_slow') ?? 1,
    truncate: object.isGiven('truncate') ? object.flag('truncate') : true,
  };
  if (theta === 1) object.refuse('rope_theta', 'a number other than 1');
  const magnitude = attention ?? yarnMagnitude(factor, mscale, mscaleAllDim);
  return { frequencies: yarnFrequencies(size, theta, scaling), magnitude };
}

const isNumber = (value: unknown): value is number => typeof value === 'number' && value > 0 && value < 2 ** 53;

/**
 * The graph has one table, so the choice of the factors is made once: the short ones if the context of the
 * worker is at most `original_max_position_embeddings`, else the long ones, for short prompts too. vLLM
 * chooses in the same way; transformers chooses in each run. `short_mscale` and `long_mscale` are the
 * magnitudes of Phi-3.5-MoE (modeling_phimoe.py).
 */
function longropeRotary({ fields, object, size, theta, context }: Rope): RotarySpec {
  const original = fields.count('original_max_position_embeddings');
  const inner = object.optionalCount('original_max_position_embeddings');
  if (inner !== undefined && inner !== original)
    object.refuse('original_max_position_embeddings', `${original}, the value outside of the object`);
  const ratio = fields.count('max_position_embeddings') / original;
  const factor = object.optionalPositive('factor') ?? ratio;
  if (factor !== ratio) object.refuse('factor', `${ratio}, from the numbers of positions`);
  const element = { is: isNumber, allowed: 'numbers above 0' };
  const isShort = context <= original;
  const short = object.list('short_factor', size / 2, element);
  const long = object.list('long_factor', size / 2, element);
  for (const name of ['short_factor', 'long_factor'])
    if ((object.value(name) ?? undefined) === undefined) object.refuse(name, `a list of ${size / 2} numbers`);
  const magnitudes = [object.optionalPositive('short_mscale'), object.optionalPositive('long_mscale')];
  const stated = object.optionalPositive('attention_factor') ?? magnitudes[isShort ? 0 : 1];
  const frequencies = longropeFrequencies(size, theta, (isShort ? short : long) ?? []);
  return { frequencies, magnitude: stated ?? longropeMagnitude(factor, original) };
}

/**
 * The rotary embedding of a GGUF file as fields of config.json. Source of the keys, their defaults and their
 * effects: llama-model.cpp, llama-context.cpp and `rope_yarn` in ggml-cpu/ops.cpp of llama.cpp. Pure.
 *
 * The factor of cosines and sines for yarn: llama.cpp cancels the factor `1 + 0.1 × ln(factor)` of
 * `rope_yarn` and multiplies by that of transformers, so that the rule of transformers holds for both.
 */
import type { Fields } from '../../families/config-fields.ts';
import { yarnMagnitude } from '../../families/frequencies.ts';
import { shown } from '../../families/unsupported.ts';
import type { MetadataFields } from './metadata-fields.ts';

/** `freq_base` of llama.cpp for a file without the key. */
const USUAL_BASE = 10_000;
const TYPES = ['linear', 'none', 'yarn', 'longrope'] as const;
/** The tensors of the factors. */
const [DIVISORS, SHORT, LONG] = ['rope_freqs.weight', 'rope_factors_short.weight', 'rope_factors_long.weight'] as const;

export interface RopeTraits {
  /** Rotates a part of each head. */
  readonly isPartial?: true;
  /** The tensors of factors that llama.cpp reads: divisors of the frequencies, or those of longrope. */
  readonly factors?: 'divisors' | 'longrope';
  /** False: yarn interpolates between fractions of pairs (gpt-oss in transformers). */
  readonly truncates?: false;
}

export interface RopeFields {
  readonly fields: Fields;
  readonly divisors?: readonly number[];
}

/**
 * @param headSize elements of a head; undefined if the file states none.
 * @param ropeFactors values of the tensors of factors.
 */
export function ropeFields(
  fields: MetadataFields,
  traits: RopeTraits,
  headSize: number | undefined,
  ropeFactors: ReadonlyMap<string, Float32Array>,
): RopeFields {
  const size = fields.number('rope.dimension_count') ?? headSize;
  if (headSize !== undefined && size !== headSize && traits.isPartial === undefined)
    fields.refuse('rope.dimension_count', `${headSize}, the elements of a head`);
  const given = new Map([...ropeFactors].filter(([name]) => isRead(name, traits)));
  for (const name of ropeFactors.keys())
    if (!given.has(name)) refuseFactors(fields, name, 'no such tensor in this architecture');
  for (const [name, factors] of given)
    if (factors.length * 2 !== size || !factors.every((one) => one > 0 && Number.isFinite(one)))
      refuseFactors(fields, name, `${(size ?? 0) / 2} numbers above 0`);
  const divisors = given.get(DIVISORS);
  const scaling = given.has(LONG) || given.has(SHORT) ? longrope(fields, given) : scalingOf(fields, traits);
  if (divisors !== undefined && scaling?.['rope_type'] === 'yarn')
    refuseFactors(fields, DIVISORS, 'no such tensor beside the type yarn');
  return {
    fields: {
      rope_theta: fields.number('rope.freq_base') ?? USUAL_BASE,
      ...(scaling && { rope_scaling: scaling }),
      ...(traits.isPartial && size !== undefined && headSize !== undefined && partial(size, headSize)),
      ...(traits.factors === 'longrope' && original(fields)),
    },
    ...(divisors && { divisors: [...divisors] }),
  };
}

const isRead = (name: string, { factors }: RopeTraits): boolean =>
  factors === (name === DIVISORS ? 'divisors' : 'longrope');

function refuseFactors({ problems }: MetadataFields, name: string, allowed: string): void {
  problems.tensor(`has the tensor ${shown(name)}; allowed: ${allowed}`);
}

/** The fraction is moved up a little, because transformers rounds the product with the head size down. */
const partial = (size: number, headSize: number): Fields => ({
  partial_rotary_factor: size === headSize ? 1 : (size + 0.25) / headSize,
});

function original(fields: MetadataFields): Fields {
  const positions = fields.number('rope.scaling.original_context_length') ?? fields.number('context_length');
  return { original_max_position_embeddings: positions };
}

function scalingOf(fields: MetadataFields, { truncates }: RopeTraits): Fields | undefined {
  const type = fields.choice('rope.scaling.type', TYPES);
  // llama.cpp reads the old key if the new one is absent, and takes 0 for 1.
  const [newer, older] = [fields.number('rope.scaling.factor'), fields.number('rope.scale_linear')];
  const factor = (newer ?? older) || 1;
  if (type === 'longrope') fields.refuse('rope.scaling.type', `linear, none, yarn; longrope with the tensor ${LONG}`);
  if (type === 'yarn') return yarn(fields, factor, truncates);
  refuseMagnitude(fields);
  return type === 'none' || factor === 1 ? undefined : { rope_type: 'linear', factor };
}

/** Only yarn and longrope have a factor of cosines and sines. */
function refuseMagnitude(fields: MetadataFields): void {
  if ((fields.number('rope.scaling.attn_factor') ?? 1) !== 1) fields.refuse('rope.scaling.attn_factor', '1');
}

/**
 * `yarn_attn_factor` is `attention_factor` of transformers, `attn_factor` a factor beside it, and
 * `yarn_log_multiplier` is `mscale_all_dim`, with the other one of 1.
 */
function yarn(fields: MetadataFields, factor: number, truncates: false | undefined): Fields {
  const [attention, beside] = [
    fields.nonzero('rope.scaling.yarn_attn_factor'),
    fields.number('rope.scaling.attn_factor') ?? 1,
  ];
  const all = fields.nonzero('rope.scaling.yarn_log_multiplier');
  const magnitude = attention ?? (all === undefined ? yarnMagnitude(factor) : yarnMagnitude(factor, 1, all));
  return {
    rope_type: 'yarn',
    factor,
    original_max_position_embeddings: fields.nonzero('rope.scaling.original_context_length') ?? null,
    beta_fast: fields.nonzero('rope.scaling.yarn_beta_fast') ?? null,
    beta_slow: fields.nonzero('rope.scaling.yarn_beta_slow') ?? null,
    attention_factor: magnitude * beside,
    ...(truncates === false && { truncate: false }),
  };
}

/**
 * The converter writes neither the type nor the factor for Phi-3. It writes `attn_factor`; without it, the
 * rule of transformers holds.
 */
function longrope(fields: MetadataFields, given: ReadonlyMap<string, Float32Array>): Fields {
  fields.choice('rope.scaling.type', ['longrope', 'linear', 'none']);
  if ((fields.number('rope.scaling.factor') ?? 1) !== 1) fields.refuse('rope.scaling.factor', '1');
  for (const name of [SHORT, LONG])
    if (!given.has(name)) fields.problems.tensor(`lacks the tensor ${shown(name)} beside the other factors`);
  return {
    rope_type: 'longrope',
    short_factor: [...(given.get(SHORT) ?? [])],
    long_factor: [...(given.get(LONG) ?? [])],
    attention_factor: fields.nonzero('rope.scaling.attn_factor') ?? null,
  };
}

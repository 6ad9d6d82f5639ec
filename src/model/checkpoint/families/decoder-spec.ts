/**
 * From the configuration and the names of the tensors to the description of the decoder. Nothing is
 * guessed: a field, a value or a tensor that the row of the family does not know is refused by name. Reads
 * no files.
 */
import type { DecoderSpec, RotarySpec, StoredMatrix } from '../../../protocol/decoder/decoder-spec.ts';
import { ConfigFields, type Fields, isObject } from './config-fields.ts';
import type { Family, Sizes } from './family.ts';
import { refuseQuantization, refuseUnknown } from './known-fields.ts';
import { type LayerPlan, layerOf, normOf } from './layers.ts';
import { CONFIG_JSON, type ConfigOrigin } from './origin.ts';
import { FAMILIES, familyOf } from './rows/table.ts';
import { CheckpointTensors, type TensorNames } from './tensors.ts';
import { Problems, shown, UnsupportedCheckpoint } from './unsupported.ts';

/** Layers of the largest models of these families: 126, Llama 3.1 405B. */
const MOST_LAYERS = 1024;

/**
 * Describes the decoder of a checkpoint.
 * @param config the contents of config.json.
 * @param tensors all tensors of the checkpoint by name.
 * @param context positions that the worker uses. It selects the factors of longrope, see rope.ts, and the
 *   windows that hide something.
 * @param origin where the configuration comes from; absent = a file config.json.
 * @throws UnsupportedCheckpoint with each field or tensor that is not supported, at most eight of them.
 */
export function decoderSpecOf(
  config: Fields,
  tensors: ReadonlyMap<string, StoredMatrix>,
  context: number,
  origin: ConfigOrigin = CONFIG_JSON,
): DecoderSpec {
  const problems = new Problems(origin);
  const { family, fields } = readFamily(config, problems);
  const sizes = readSizes(fields);
  const { headSize } = sizes;
  const rotaries = family.rotaries(fields, { headSize, context }).map((rotary) => withOrigin(rotary, origin));
  const scales = family.scales(fields, sizes);
  const kinds = family.layers(fields, sizes.layers);
  const experts = family.experts?.(fields, sizes);
  const activation = fields.choice(family.activation.field, family.activation.names) ?? 'silu';
  const isTied = fields.flag('tie_word_embeddings');
  const found = new CheckpointTensors(tensors, problems);
  const plan: LayerPlan = {
    family,
    tensors: found,
    sizes,
    scales,
    activation,
    context,
    epsilon: fields.positive('rms_norm_eps'),
    hasAttentionBias: optionalFlag(fields, 'attention_bias'),
    hasMlpBias: optionalFlag(fields, 'mlp_bias'),
    ...(experts && { experts }),
  };
  refuseUnknown(fields, family.modelType, family.neutral);
  problems.check();
  const names = namesOf(family, found);
  const shape = [sizes.vocab, sizes.hidden] as const;
  const embedding = found.matrix(`${names.body}embed_tokens.weight`, shape);
  const spec: DecoderSpec = {
    vocabSize: sizes.vocab,
    hiddenSize: sizes.hidden,
    embedding,
    embeddingScale: scales.embeddingScale,
    rotaries,
    layers: kinds.map((kind, layer) => layerOf(plan, { body: names.body, layer }, kind)),
    finalNorm: normOf(plan, `${names.body}norm`, sizes.hidden),
    // Both tensors are equal, or the embeddings are not tied: transformers 5 compares them.
    head: isTied && !found.has(`${names.head}.weight`) ? { weight: embedding } : found.linear(names.head, shape),
    logitScale: scales.logitScale,
    ...(scales.logitSoftcap === undefined ? {} : { logitSoftcap: scales.logitSoftcap }),
  };
  found.refuseOthers(family.modelType, names.others);
  problems.check();
  return spec;
}

/**
 * Checks the fields that can be checked without the tensors and the context: the model type, the classes and
 * the quantization.
 * @throws UnsupportedCheckpoint if no row of the table of families describes the model.
 */
export function checkFamily(config: Fields): void {
  const problems = new Problems();
  readFamily(config, problems);
  problems.check();
}

/**
 * The configuration with the defaults of its family, for readers that need a size which the file omits. A
 * configuration of another type is returned as it is.
 */
export function withFamilyDefaults(config: Fields): Fields {
  const family = familyOf(config['model_type']);
  if (family === undefined) return config;
  if (family.text === undefined) return { ...family.defaults, ...config };
  const text = config[family.text.field];
  return isObject(text) ? { ...config, [family.text.field]: { ...family.defaults, ...text } } : config;
}

/** The row of `model_type`, and the fields that describe the decoder. Reports fields outside of them. */
function readFamily(config: Fields, problems: Problems): { readonly family: Family; readonly fields: ConfigFields } {
  const outer = new ConfigFields(config, { problems });
  const family = familyOf(outer.value('model_type'));
  if (refuseQuantization(config, problems)) problems.check();
  if (family === undefined) return refuseType(outer);
  refuseArchitectures(outer, family);
  if (family.text === undefined)
    return { family, fields: new ConfigFields(config, { problems, defaults: family.defaults }) };
  const { field, modelType, others } = family.text;
  const text = outer.value(field);
  if (!isObject(text)) outer.refuse(field, 'an object that describes the part for text');
  for (const name of others) outer.value(name);
  refuseUnknown(outer, family.modelType, { tie_word_embeddings: [true] });
  const values = isObject(text) ? text : {};
  const fields = new ConfigFields(values, { problems, defaults: family.defaults, path: `${field}.` });
  if (fields.isGiven('model_type') && fields.value('model_type') !== modelType) fields.refuse('model_type', modelType);
  if (refuseQuantization(values, problems) || !isObject(text)) problems.check();
  return { family, fields };
}

function refuseType(fields: ConfigFields): never {
  fields.refuse('model_type', FAMILIES.map(({ modelType }) => modelType).join(', '));
  throw new UnsupportedCheckpoint(fields.problems.found);
}

/**
 * `architectures` names the class of the model. A class of the family computes what the row states, with
 * `auto_map` too: transformers runs the code of the repository only if the user trusts it, else its own
 * class of this name. Another class, or code for a class without a name, can compute something else.
 */
function refuseArchitectures(fields: ConfigFields, family: Family): void {
  const value = fields.value('architectures') ?? [];
  const known = (name: unknown): boolean => family.architectures.some((one) => one === name);
  const allowed = family.architectures.map(shown).join(', ');
  if (!Array.isArray(value) || !value.every(known)) fields.refuse('architectures', `a list of ${allowed}`);
  else if (value.length === 0 && (fields.value('auto_map') ?? undefined) !== undefined)
    fields.refuse('auto_map', `null, or ${allowed} in "architectures"`);
}

function readSizes(fields: ConfigFields): Sizes {
  const [hidden, heads, layers] = [
    fields.count('hidden_size'),
    fields.count('num_attention_heads'),
    fields.count('num_hidden_layers', MOST_LAYERS),
  ];
  const kvHeads = fields.optionalCount('num_key_value_heads') ?? heads;
  if (heads % kvHeads !== 0) fields.refuse('num_key_value_heads', `a divisor of "num_attention_heads", ${heads}`);
  const given = fields.optionalCount('head_dim');
  if (given === undefined && hidden % heads !== 0)
    fields.refuse('hidden_size', `a multiple of "num_attention_heads", ${heads}, or a file with "head_dim"`);
  return {
    vocab: fields.count('vocab_size'),
    hidden,
    intermediate: fields.count('intermediate_size'),
    layers,
    heads,
    kvHeads,
    headSize: given ?? Math.max(1, Math.trunc(hidden / heads)),
  };
}

/** The rotary embedding with the facts that only a GGUF file states. */
function withOrigin(rotary: RotarySpec, { isInterleaved, divisors }: ConfigOrigin): RotarySpec {
  const divided = (frequency: number, pair: number): number => Math.fround(frequency / (divisors?.[pair] ?? 1));
  return {
    ...rotary,
    frequencies: divisors ? rotary.frequencies.map(divided) : rotary.frequencies,
    ...(isInterleaved && { interleaved: true }),
  };
}

/** A flag that only the families read which state its default. */
function optionalFlag(fields: ConfigFields, name: string): boolean {
  return fields.isOfFamily(name) && fields.flag(name);
}

/** The names under which the checkpoint has the embedding. */
function namesOf(family: Family, tensors: CheckpointTensors): TensorNames {
  const found = family.names.find(({ body }) => tensors.has(`${body}embed_tokens.weight`)) ?? family.names[0];
  return found ?? { body: 'model.', head: 'lm_head' };
}

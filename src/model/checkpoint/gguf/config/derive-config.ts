/**
 * Derives the configuration of a model and the names of its tensors from its GGUF file, in the form in which
 * transformers has them, so that the table of families describes the decoder. Nothing is guessed: an unknown
 * key or tensor is refused by name. Pure.
 */
import { basename } from 'node:path';
import type { Fields } from '../../families/config-fields.ts';
import { MOST_EXPERTS } from '../../families/experts.ts';
import type { ConfigOrigin } from '../../families/origin.ts';
import { Problems, quoted, UnsupportedCheckpoint } from '../../families/unsupported.ts';
import type { DerivedFiles } from '../derived-files.ts';
import type { GgufModel } from '../gguf-file.ts';
import { ARCHITECTURES, type Architecture } from './architectures.ts';
import { fieldKey, NEUTRAL_KEYS } from './keys.ts';
import { MetadataFields, shownValue } from './metadata-fields.ts';
import { type RopeFields, ropeFields } from './rope-config.ts';
import { EMBEDDING, HEAD, nameInFile, tensorsOf } from './tensor-names.ts';

/** Kinds of GGUF files with a model: `general.type`. A file without the key is older than the key. */
const MODEL = 'model';

/**
 * Derives config.json, the facts that it has no field for, and the tensors by the names of transformers.
 * @throws UnsupportedCheckpoint with each key or tensor that is not supported, at most eight of them.
 */
export function deriveConfig(
  model: Pick<GgufModel, 'modelFile' | 'metadata' | 'tensors' | 'ropeFactors'>,
): Pick<DerivedFiles, 'config' | 'origin' | 'tensors'> {
  const { metadata, tensors, ropeFactors } = model;
  const file = basename(model.modelFile);
  const architecture = architectureOf(model, file);
  const named = originOf(architecture, file);
  const problems = new Problems(named);
  const fields = new MetadataFields(metadata, architecture.name, problems);
  const { headSize, ...sizes } = sizesOf(fields);
  const rope = ropeFields(fields, architecture.rope ?? {}, headSize, ropeFactors);
  const experts = expertCount(fields, architecture);
  const config: Fields = {
    model_type: architecture.modelType,
    vocab_size: tensors.get(EMBEDDING)?.shape[0],
    hidden_size: sizes.hidden,
    num_hidden_layers: sizes.layers,
    num_attention_heads: sizes.heads,
    num_key_value_heads: fields.number('attention.head_count_kv') ?? sizes.heads,
    ...(headSize !== undefined && { head_dim: headSize }),
    intermediate_size: fields.number('feed_forward_length'),
    max_position_embeddings: fields.number('context_length'),
    rms_norm_eps: fields.number('attention.layer_norm_rms_epsilon'),
    tie_word_embeddings: !tensors.has(HEAD),
    ...biasesOf(architecture, tensors),
    ...rope.fields,
    ...architecture.extra?.(fields, {
      layers: sizes.layers ?? 0,
      hidden: sizes.hidden ?? 0,
      heads: sizes.heads ?? 1,
      headSize: headSize ?? 0,
    }),
  };
  fields.refuseUnread(NEUTRAL_KEYS);
  const found = tensorsOf(tensors, { name: architecture.name, parts: architecture.parts, experts }, problems);
  problems.check();
  return { config: withoutAbsent(config), origin: withFacts(named, architecture, rope), tensors: found };
}

/** @throws UnsupportedCheckpoint for a file that is no model, or of an unknown architecture */
function architectureOf({ metadata }: Pick<GgufModel, 'metadata'>, file: string): Architecture {
  const refuse = (key: string, allowed: string): never => {
    const value = metadata.get(key);
    const start = value === undefined ? `lacks ${quoted(key)}` : `has ${quoted(key)} ${shownValue(value)}`;
    const wayOut = `Use a GGUF file of ${allowed === MODEL ? 'the model itself' : 'one of them'}, or an ONNX export of the model`;
    throw new UnsupportedCheckpoint([{ file, problem: `${start}; allowed: ${allowed}. ${wayOut}` }]);
  };
  const type = metadata.get('general.type') ?? MODEL;
  if (type !== MODEL) refuse('general.type', MODEL);
  const name = metadata.get('general.architecture');
  const found = ARCHITECTURES.find((one) => one.name === name);
  return found ?? refuse('general.architecture', ARCHITECTURES.map((one) => one.name).join(', '));
}

function originOf({ name: architecture, parts }: Architecture, file: string): ConfigOrigin {
  return {
    file,
    tensorFile: file,
    fieldName: (field) => fieldKey(field, architecture),
    tensorName: (name) => nameInFile(name, parts),
  };
}

const withFacts = (named: ConfigOrigin, architecture: Architecture, { divisors }: RopeFields): ConfigOrigin => ({
  ...named,
  ...(architecture.isInterleaved && { isInterleaved: true }),
  ...(architecture.hasWholeNorms && { hasWholeNorms: true }),
  ...(divisors && { divisors }),
});

/** The size of a head is that of the keys; values of another size are refused. */
function sizesOf(fields: MetadataFields) {
  const [hidden, heads] = [fields.number('embedding_length'), fields.number('attention.head_count')];
  const quotient = hidden !== undefined && heads !== undefined ? hidden / heads : undefined;
  const headSize = fields.number('attention.key_length') ?? (Number.isInteger(quotient) ? quotient : undefined);
  const values = fields.number('attention.value_length') ?? headSize;
  if (headSize !== undefined && values !== headSize)
    fields.refuse('attention.value_length', `${headSize}, the elements of a key`);
  return { hidden, heads, layers: fields.number('block_count'), headSize };
}

/** Number of experts in a layer; 0 for an architecture without them. Reports another number. */
function expertCount(fields: MetadataFields, { hasExperts }: Architecture): number {
  const experts = fields.number('expert_count') ?? 0;
  const [least, most] = hasExperts ? [1, MOST_EXPERTS] : [0, 0];
  if (experts < least || experts > most) fields.refuse('expert_count', hasExperts ? `a number up to ${most}` : '0');
  return Math.min(experts, most);
}

/** A bias in the first layer stands for biases in all layers: a tensor that is absent is reported later. */
function biasesOf({ optionalBiases = [] }: Architecture, tensors: GgufModel['tensors']): Fields {
  return {
    ...(optionalBiases.includes('attention') && { attention_bias: tensors.has('blk.0.attn_q.bias') }),
    ...(optionalBiases.includes('mlp') && { mlp_bias: tensors.has('blk.0.ffn_up.bias') }),
  };
}

const withoutAbsent = (config: Fields): Fields =>
  Object.fromEntries(Object.entries(config).filter(([, value]) => value !== undefined));

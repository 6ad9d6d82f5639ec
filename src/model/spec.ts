/**
 * Reads a model's configuration files once, validates them field by field, and returns one value, the spec.
 * Reads only files of the model's folder. Ignores unknown fields; reports a required field that is missing or
 * invalid by file and name.
 */
import { basename, dirname } from 'node:path';
import { z } from 'zod';
import type { TensorNames } from '../protocol/loading.ts';
import {
  NEUTRAL,
  NEUTRAL_NAMES,
  SAMPLING,
  type SamplingDefaults,
  type SamplingParameter,
} from '../protocol/sampling.ts';
import { type GenaiConfig, readGenai, searchOf, tensorNamesOf } from './genai.ts';
import { count, ids, isFields, readFields, sampling } from './json-fields.ts';
import type { ModelFiles } from './locate.ts';
import { ModelError, type ModelProblem } from './problems.ts';
import { namedTokens, readTemplateFile } from './template-source.ts';

export type TokenizerKind = z.infer<typeof tokenizerKind>;

export interface ModelSpec {
  /** The folder's base name. */
  readonly name: string;
  /** The first architecture in config.json, such as `LlamaForCausalLM`; the model type if there is none. */
  readonly architecture: string;
  readonly vocabSize: number;
  /**
   * Maximum number of tokens of prompt and output together: the model's positions, or the tokenizer's limit
   * if that is lower.
   */
  readonly contextLength: number;
  /** End-of-sequence ids, ascending; empty for a model that never ends a sequence by itself. */
  readonly eosIds: readonly number[];
  /** The model's sampling defaults, for the fields that a request omits. */
  readonly sampling: SamplingDefaults;
  readonly tokenizerKind: TokenizerKind;
  /** The names of inputs and outputs in the configuration. */
  readonly names: TensorNames;
}

const tokenizerKind = z.enum(['bpe', 'unigram', 'wordpiece']);

/**
 * config.json with the names of Llama. `OLDER_NAMES` are the names of GPT-2, GPT-J, T5 and MPT for the same
 * fields.
 * @param needed true if no other file gives the shape of the model.
 */
const modelConfig = (needed: boolean) =>
  z.looseObject({
    architectures: z.array(z.string()).nullish(),
    model_type: needed ? z.string() : z.string().nullish(),
    vocab_size: count(needed),
    max_position_embeddings: count(needed),
    num_hidden_layers: count(needed),
    num_attention_heads: count(needed),
    num_key_value_heads: count(false),
    head_dim: count(false),
    hidden_size: count(needed),
    eos_token_id: ids,
  });
type ModelConfig = z.infer<ReturnType<typeof modelConfig>>;

const OLDER_NAMES: Readonly<Record<string, readonly string[]>> = {
  max_position_embeddings: ['n_positions', 'n_ctx', 'max_seq_len'],
  num_hidden_layers: ['n_layer', 'n_layers', 'num_layers'],
  num_attention_heads: ['n_head', 'n_heads', 'num_heads'],
  hidden_size: ['n_embd', 'd_model'],
};

/**
 * Renames older fields. A multimodal model describes its text part in `text_config`; top-level fields take
 * precedence.
 */
function withLlamaNames(config: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const fields = { ...config };
  const text = config['text_config'];
  for (const [name, value] of isFields(text) ? Object.entries(text) : []) fields[name] ??= value;
  for (const [name, older] of Object.entries(OLDER_NAMES))
    fields[name] ??= older.map((old) => fields[old]).find(Boolean);
  return fields;
}

const generationConfig = z.looseObject({ ...sampling, eos_token_id: ids });

const token = z.union([z.string(), z.object({ content: z.string() }).transform(({ content }) => content)]).nullish();
const tokenizerConfig = z.looseObject({ eos_token: token, model_max_length: z.number().nullish() });

/**
 * The kind of a tokenizer.json and the ids of its tokens: BPE and WordPiece map a text to its id, Unigram
 * lists pairs of text and score in the order of ids.
 */
const tokenizer = z.looseObject({
  added_tokens: z.array(z.object({ id: z.int(), content: z.string() })).default([]),
  model: z.preprocess(
    withKind,
    z.looseObject({
      type: z.string().toLowerCase().pipe(tokenizerKind),
      // The entries are not validated, because there are as many as the model has tokens.
      vocab: z.custom<object>((value) => typeof value === 'object' && value !== null, 'expected a vocabulary'),
    }),
  ),
});

/**
 * Older files, such as GPT-2's, do not state their kind. Only BPE has merges, and only Unigram lists its
 * vocabulary.
 */
function withKind(model: unknown): unknown {
  if (typeof model !== 'object' || model === null || !('vocab' in model)) return model;
  return { type: 'merges' in model ? 'bpe' : Array.isArray(model.vocab) ? 'unigram' : 'wordpiece', ...model };
}

/**
 * Reads a model's configuration. If several files state the same fact, the first file in this list takes
 * precedence:
 * - vocabulary and context: `genai_config.json`, which describes this very graph, then `config.json`;
 * - names of inputs and outputs: `genai_config.json`; the engine uses default names for the others;
 * - sampling: `generation_config.json` as a whole, which the model's author wrote, then GenAI's `search`;
 * - end-of-sequence ids: the ids of all files together.
 *
 * The graph implements a sliding window of attention (`sliding_window`) and scaled positions
 * (`rope_scaling`). This reader ignores both: the cache always holds the whole context.
 * @throws ModelError with every file that is not valid JSON and every field that is missing or invalid.
 */
export async function readSpec(files: ModelFiles): Promise<ModelSpec> {
  const problems: ModelProblem[] = [];
  const { configFile, genaiConfigFile } = files;
  const config = await readFields(configFile, modelConfig(genaiConfigFile === undefined), problems, withLlamaNames);
  const genai = await readGenai(genaiConfigFile, configFile === undefined, problems);
  const generation = await readFields(files.generationConfigFile, generationConfig, problems);
  const tokenizerSettings = (await readFields(files.tokenizerConfigFile, tokenizerConfig, problems)) ?? {};
  const tokenizerFields = await readFields(files.tokenizerFile, tokenizer, problems);
  await checkTemplate(files, problems);
  const shape = problems.length === 0 ? shapeOf(config, genai, problems) : undefined;
  if (shape === undefined || tokenizerFields === undefined || problems.length > 0)
    throw new ModelError(files.folder, problems);
  const { vocabSize } = shape;
  const eos = [
    generation?.eos_token_id,
    genai?.model.eos_token_id,
    config?.eos_token_id,
    idOf(tokenizerSettings.eos_token, tokenizerFields),
  ];
  const modelType = genai?.model.type ?? config?.model_type ?? 'unknown';
  return {
    name: basename(files.folder),
    architecture: config?.architectures?.[0] ?? modelType,
    ...shape,
    contextLength: Math.min(shape.contextLength, tokenizerLimit(tokenizerSettings.model_max_length)),
    eosIds: idsWithin(vocabSize, ...eos),
    sampling: samplingOf(generation ?? searchOf(genai) ?? {}),
    tokenizerKind: tokenizerFields.model.type,
    names: tensorNamesOf(genai),
  };
}

type Shape = Pick<ModelSpec, 'vocabSize' | 'contextLength'>;

/**
 * A field that both files lack is reported for config.json, because a genai_config.json beside it need not be
 * complete. Layers, heads and sizes are required although the engine reads them from the graph: a
 * configuration without them is truncated.
 */
function shapeOf(
  config: ModelConfig | undefined,
  genai: GenaiConfig | undefined,
  problems: ModelProblem[],
): Shape | undefined {
  const required = (name: string, ...values: (number | null | undefined)[]): number => {
    const value = values.find((one) => typeof one === 'number');
    if (value === undefined)
      problems.push({ file: 'config.json', problem: `lacks "${name}", as does genai_config.json` });
    return value ?? 1;
  };
  const { model } = genai ?? {};
  const decoder = model?.decoder;
  const heads = (): number =>
    required('num_attention_heads', decoder?.num_attention_heads, config?.num_attention_heads);
  const shape = {
    vocabSize: required('vocab_size', model?.vocab_size, config?.vocab_size),
    contextLength: required('max_position_embeddings', model?.context_length, config?.max_position_embeddings),
  };
  required('num_hidden_layers', decoder?.num_hidden_layers, config?.num_hidden_layers);
  if (!decoder?.num_key_value_heads && !config?.num_key_value_heads) heads();
  if (!decoder?.head_size && !config?.head_dim) {
    required('hidden_size', config?.hidden_size);
    heads();
  }
  return problems.length === 0 ? shape : undefined;
}

/**
 * Without a tokenizer_config.json, a template can be rendered only if it names no special tokens, because
 * that file contains their texts. Reports such a template: without the special tokens the prompt would have
 * another format than the model's training data.
 */
async function checkTemplate(files: ModelFiles, problems: ModelProblem[]): Promise<void> {
  const { chatTemplateFile: path, tokenizerConfigFile } = files;
  if (path === undefined || tokenizerConfigFile !== undefined) return;
  // A file that cannot be read is reported as an unusable template, and not here.
  const named = namedTokens(await readTemplateFile(dirname(path), basename(path)).catch(() => ''));
  if (named.length === 0) return;
  problems.push({
    file: 'tokenizer_config.json',
    problem: `is missing, and ${basename(path)} names its ${named.map((name) => `"${name}"`).join(', ')}`,
  });
}

/**
 * A parameter that the file lacks is neutral (contract, "POST /execute body"). `do_sample: false` means
 * greedy: temperature 0 and the penalties of the file. The filters of the file are ignored, because exports
 * write `top_k: 1` beside `do_sample: false`, and a request with a temperature must draw from more than one
 * token.
 */
function samplingOf(given: z.infer<typeof generationConfig>): SamplingDefaults {
  const greedy = given.do_sample === false;
  const defaults = NEUTRAL_NAMES.flatMap((name) => {
    const { stage, modelKey }: SamplingParameter = SAMPLING[name];
    const value = modelKey && given[modelKey];
    return typeof value === 'number' && (stage === 'penalty' || !greedy) ? [[name, value] as const] : [];
  });
  return { ...NEUTRAL, ...(greedy && { temperature: 0 }), ...Object.fromEntries(defaults) };
}

/**
 * The maximum length of a tokenizer; infinite without a limit. transformers writes 10³⁰ for "no limit known";
 * a value below 1 also means no limit.
 */
function tokenizerLimit(length: number | null | undefined): number {
  return length !== null && length !== undefined && length >= 1 ? Math.floor(length) : Number.POSITIVE_INFINITY;
}

/** The ids of all lists that are in the vocabulary, without duplicates, ascending. */
function idsWithin(vocabSize: number, ...lists: (number | readonly number[] | null | undefined)[]): number[] {
  const all = lists.flatMap((list) => list ?? []);
  return [...new Set(all.filter((id) => id >= 0 && id < vocabSize))].sort((a, b) => a - b);
}

/** The id of an added token or of a token of the vocabulary, by its text. */
function idOf(text: string | null | undefined, { added_tokens, model }: z.infer<typeof tokenizer>): number | undefined {
  if (text === null || text === undefined) return undefined;
  const added = added_tokens.find(({ content }) => content === text)?.id;
  if (added !== undefined) return added;
  if (Array.isArray(model.vocab)) {
    const place = model.vocab.findIndex((entry) => Array.isArray(entry) && entry[0] === text);
    return place >= 0 ? place : undefined;
  }
  const id: unknown = Object.getOwnPropertyDescriptor(model.vocab, text)?.value;
  return typeof id === 'number' ? id : undefined;
}

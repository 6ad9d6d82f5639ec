/**
 * Reads a model's configuration files once, validates them field by field, and returns one value, the spec.
 * Reads only files of the model's folder. Ignores unknown fields; reports a required field that is missing or
 * invalid by file and name.
 */
import { basename, dirname } from 'node:path';
import { z } from 'zod';
import type { TensorNames } from '../protocol/loading.ts';
import type { SamplingDefaults } from '../protocol/sampling.ts';
import { MAX_TOKENIZER_BYTES } from '../protocol/text/json-text.ts';
import { withFamilyDefaults } from './checkpoint/families/decoder-spec.ts';
import type { ModelFiles } from './locate.ts';
import { ModelError, type ModelProblem } from './problems.ts';
import { type GenaiConfig, readGenai, searchOf, tensorNamesOf } from './spec/genai.ts';
import { count, ids, isFields, type JsonSource, readFields, sourceName } from './spec/json-fields.ts';
import { type ModelTokens, mergeTokens } from './spec/merged-tokens.ts';
import { type IgnoredField, samplingDefaults } from './spec/sampling-defaults.ts';
import { sourcesOf } from './spec/sources.ts';
import { readStatements } from './spec/token-statements.ts';
import { type TokenizerKind, tokenizerFields } from './spec/vocabulary-lookup.ts';
import { namedTokens, readTemplateFile } from './template-source.ts';

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
  /** The tokens of all files together. */
  readonly tokens: ModelTokens;
  /** Fields with wrong values, which are not used. */
  readonly ignored: readonly IgnoredField[];
  /** The names of inputs and outputs in the configuration. */
  readonly names: TensorNames;
}

/**
 * config.json with the names of Llama. `OLDER_NAMES` are the names of GPT-2, GPT-J, T5 and MPT for the same
 * fields.
 * @param needed true if no other file gives the shape of the model.
 */
export const modelConfig = (needed: boolean) =>
  z.looseObject({
    architectures: z.array(z.string()).nullish(),
    model_type: needed ? z.string() : z.string().nullish(),
    vocab_size: count(needed),
    max_position_embeddings: count(false),
    num_hidden_layers: count(needed),
    num_attention_heads: count(false),
    num_key_value_heads: count(false),
    head_dim: count(false),
    hidden_size: count(false),
    eos_token_id: ids,
  });
type ModelConfig = z.infer<ReturnType<typeof modelConfig>>;

const OLDER_NAMES: Readonly<Record<string, readonly string[]>> = {
  max_position_embeddings: ['n_positions', 'n_ctx', 'max_seq_len', 'max_sequence_length', 'seq_length'],
  num_hidden_layers: ['n_layer', 'n_layers', 'num_layers'],
  num_attention_heads: ['n_head', 'n_heads', 'num_heads'],
  hidden_size: ['n_embd', 'd_model'],
};

/**
 * Renames older fields. A multimodal model describes its text part in `text_config`; top-level fields take
 * precedence.
 */
export function withLlamaNames(config: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const fields = { ...config };
  const text = config['text_config'];
  for (const [name, value] of isFields(text) ? Object.entries(text) : []) fields[name] ??= value;
  for (const [name, older] of Object.entries(OLDER_NAMES))
    fields[name] ??= older.map((old) => fields[old]).find(Boolean);
  return fields;
}

/**
 * The preparation of config.json. A checkpoint gets the defaults of its family, because transformers leaves
 * out fields with default values. An ONNX file comes with a complete configuration, or is reported.
 */
export function preparationFor(files: Pick<ModelFiles, 'choices'>): typeof withLlamaNames {
  return hasCheckpoint(files) ? (config) => withLlamaNames(withFamilyDefaults(config)) : withLlamaNames;
}

const hasCheckpoint = ({ choices }: Pick<ModelFiles, 'choices'>): boolean =>
  choices.some(({ checkpoint }) => checkpoint !== undefined);

const generationConfig = z.looseObject({ eos_token_id: ids });

/**
 * Reads a model's configuration. If several files state the same fact, the first file in this list takes
 * precedence:
 * - vocabulary and context: `genai_config.json`, which describes this very graph, then `config.json`;
 * - names of inputs and outputs of an .onnx file: `genai_config.json`; the engine uses default names for the
 *   others, and for the graph of a checkpoint;
 * - sampling: `generation_config.json` as a whole, which the model's author wrote, then GenAI's `search`;
 * - end-of-sequence ids: the ids of all files together;
 * - tokens: see merged-tokens.ts.
 *
 * The graph implements a sliding window of attention (`sliding_window`) and scaled positions
 * (`rope_scaling`). This reader ignores both: the cache always holds the whole context.
 * @throws ModelError with every file that is not valid JSON and every field that is missing or invalid.
 */
export async function readSpec(files: ModelFiles, { context }: SpecOptions = {}): Promise<ModelSpec> {
  const problems: ModelProblem[] = [];
  const { genaiConfigFile } = files;
  const sources = sourcesOf(files);
  const prepare = preparationFor(files);
  const config = await readFields(sources.config, modelConfig(genaiConfigFile === undefined), problems, { prepare });
  const genai = await readGenai(genaiConfigFile, sources.config === undefined, problems);
  const isShapeRead = problems.length === 0;
  const generation = await readFields(sources.generationConfig, generationConfig, problems);
  const statements = await readStatements({ ...files, tokenizerConfigFile: sources.tokenizerConfig }, problems);
  const large = { mostBytes: MAX_TOKENIZER_BYTES };
  const tokenizer = await readFields(sources.tokenizer, tokenizerFields, problems, large);
  await checkTemplate(files, problems);
  const shape = isShapeRead ? shapeOf(config, genai, { context, problems, source: sources.config }) : undefined;
  const named = tokenizer && { file: sourceName(sources.tokenizer), fields: tokenizer };
  const tokens = named && mergeTokens(named, statements, problems);
  if (shape === undefined || tokenizer === undefined || tokens === undefined || problems.length > 0)
    throw new ModelError(files.folder, problems);
  const eos = [generation?.eos_token_id, genai?.model.eos_token_id, config?.eos_token_id, tokens.eosId];
  const ignored: IgnoredField[] = [];
  const defaults = generation
    ? samplingDefaults(generation, sourceName(sources.generationConfig), ignored)
    : samplingDefaults(searchOf(genai) ?? {}, basename(genaiConfigFile ?? ''), ignored);
  return {
    name: basename(files.folder),
    architecture: config?.architectures?.[0] ?? genai?.model.type ?? config?.model_type ?? 'unknown',
    ...shape,
    contextLength: Math.min(shape.contextLength, tokenizerLimit(statements.modelMaxLength)),
    eosIds: idsWithin(shape.vocabSize, ...eos),
    sampling: defaults,
    tokenizerKind: tokenizer.model.type,
    names: hasCheckpoint(files) ? {} : tensorNamesOf(genai),
    tokens,
    ignored,
  };
}

/** Facts of the settings that a model may lack. */
export interface SpecOptions {
  /** `--context`: the context length of a model whose files do not state one. */
  readonly context?: number | undefined;
}

type Shape = Pick<ModelSpec, 'vocabSize' | 'contextLength'>;

interface ShapeProblems {
  readonly problems: ModelProblem[];
  /** The file of the configuration. */
  readonly source: JsonSource | undefined;
}

/**
 * A field that both files lack is reported for config.json, because a genai_config.json beside it need not be
 * complete. Layers, heads and sizes are required although the engine reads them from the graph: a
 * configuration without them is truncated. Models without attention over positions, such as Mamba, have no
 * `max_position_embeddings`: the operator chooses the context.
 */
function shapeOf(
  config: ModelConfig | undefined,
  genai: GenaiConfig | undefined,
  { context, problems, source }: SpecOptions & ShapeProblems,
): Shape {
  const { model } = genai ?? {};
  const decoder = model?.decoder;
  const lack = (name: string, remedy = ''): void => {
    const isGenai = config === undefined;
    const named = typeof source === 'object' ? source.fieldName(name) : name;
    const field = isGenai && name === 'max_position_embeddings' ? 'model.context_length' : named;
    const both = !isGenai && genai !== undefined ? ', as does genai_config.json' : '';
    const file = isGenai ? 'genai_config.json' : sourceName(source);
    problems.push({ file, problem: `lacks "${field}"${both}${remedy}` });
  };
  const vocabSize = model?.vocab_size ?? config?.vocab_size ?? undefined;
  const contextLength = model?.context_length ?? config?.max_position_embeddings ?? context;
  const heads = decoder?.num_attention_heads ?? config?.num_attention_heads;
  const hasHeadSize = Boolean(decoder?.head_size ?? config?.head_dim);
  if (vocabSize === undefined) lack('vocab_size');
  if (contextLength === undefined)
    lack('max_position_embeddings', ': set --context to the number of tokens of prompt and output together');
  if (!(decoder?.num_hidden_layers ?? config?.num_hidden_layers)) lack('num_hidden_layers');
  if (!heads && !(hasHeadSize && (decoder?.num_key_value_heads ?? config?.num_key_value_heads)))
    lack('num_attention_heads');
  if (!hasHeadSize && !config?.hidden_size) lack('hidden_size');
  return { vocabSize: vocabSize ?? 1, contextLength: contextLength ?? 1 };
}

/**
 * Without a tokenizer_config.json and a special_tokens_map.json, a template can be rendered only if it names
 * no special tokens, because these files contain their texts. Reports such a template: without the special
 * tokens the prompt would have another format than the model's training data.
 */
async function checkTemplate(files: ModelFiles, problems: ModelProblem[]): Promise<void> {
  const { chatTemplateFile: path, tokenizerConfigFile, specialTokensFile, derived } = files;
  if (path === undefined || (tokenizerConfigFile ?? specialTokensFile ?? derived) !== undefined) return;
  // A file that cannot be read is reported as an unusable template, and not here.
  const named = namedTokens(await readTemplateFile(dirname(path), basename(path)).catch(() => ''));
  if (named.length === 0) return;
  problems.push({
    file: 'tokenizer_config.json',
    problem: `is missing, and ${basename(path)} names its ${named.map((name) => `"${name}"`).join(', ')}`,
  });
}

/**
 * The maximum length of a tokenizer; infinite without a limit. transformers writes 10³⁰ for "no limit known";
 * a value below 1 also means no limit.
 */
function tokenizerLimit(length: number | undefined): number {
  return length !== undefined && length >= 1 ? Math.floor(length) : Number.POSITIVE_INFINITY;
}

/** The ids of all lists that are in the vocabulary, without duplicates, ascending. */
function idsWithin(vocabSize: number, ...lists: (number | readonly number[] | null | undefined)[]): number[] {
  const all = lists.flatMap((list) => list ?? []);
  return [...new Set(all.filter((id) => id >= 0 && id < vocabSize))].sort((a, b) => a - b);
}

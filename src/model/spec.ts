/**
 * What a model says about itself: its configuration files, read once, checked field by field, as one value. Reads files of the model's
 * folder and nothing else; unknown fields are ignored, a needed one that is missing or wrong is told by file and name.
 */
import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { z } from 'zod';
import type { TensorNames } from '../protocol/loading.ts';
import type { Sampling } from '../protocol/messages.ts';
import { namedTokens, templateOf } from '../text/template/chat-template.ts';
import { type GenaiConfig, portNamesOf, readGenai, searchOf } from './genai.ts';
import { count, ids, isFields, readFields, sampling } from './json-fields.ts';
import type { ModelFiles } from './locate.ts';
import { ModelError, type ModelProblem } from './problems.ts';

/** How a model wants to be sampled when a request does not say. */
export type SamplingDefaults = Pick<Sampling, 'temperature' | 'topP' | 'topK' | 'minP' | 'repetitionPenalty'>;

export type TokenizerKind = z.infer<typeof tokenizerKind>;

export interface ModelSpec {
  /** The folder's base name. */
  readonly name: string;
  /** As given, such as `LlamaForCausalLM`; the model type where no architecture is named. */
  readonly architecture: string;
  readonly modelType: string;
  readonly vocabSize: number;
  /** Tokens, prompt and output together: the model's positions, or the tokenizer's limit if that is lower. */
  readonly contextLength: number;
  /** Ids that end a sequence, ascending; empty for a model that never ends by itself. */
  readonly eosIds: readonly number[];
  readonly bosId: number | undefined;
  readonly padId: number | undefined;
  readonly sampling: SamplingDefaults;
  readonly layers: number;
  readonly kvHeads: number;
  /** Elements of one head's key. */
  readonly headDim: number;
  readonly tokenizerKind: TokenizerKind;
  readonly hasChatTemplate: boolean;
  /** What the model calls its inputs and outputs, as far as it says. */
  readonly names: TensorNames;
}

const tokenizerKind = z.enum(['bpe', 'unigram', 'wordpiece']);

/**
 * config.json by the names of Llama; `OLDER_NAMES` are those of GPT-2, GPT-J, T5 and MPT for the same.
 * @param needed whether the shape of the model is said nowhere else.
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
    bos_token_id: ids,
    pad_token_id: ids,
  });
type ModelConfig = z.infer<ReturnType<typeof modelConfig>>;

const OLDER_NAMES: Readonly<Record<string, readonly string[]>> = {
  max_position_embeddings: ['n_positions', 'n_ctx', 'max_seq_len'],
  num_hidden_layers: ['n_layer', 'n_layers', 'num_layers'],
  num_attention_heads: ['n_head', 'n_heads', 'num_heads'],
  hidden_size: ['n_embd', 'd_model'],
};

/** Models that see or hear say of their text part in `text_config` what they do not say at the top. */
function asLlamaSays(config: Readonly<Record<string, unknown>>): Record<string, unknown> {
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

/** Of tokenizer.json, what kind it is and where its tokens' ids are: BPE and WordPiece map text to id, Unigram lists pairs of text and score. */
const tokenizer = z.looseObject({
  added_tokens: z.array(z.object({ id: z.int(), content: z.string() })).default([]),
  model: z.preprocess(
    withKind,
    z.looseObject({
      type: z.string().toLowerCase().pipe(tokenizerKind),
      // Not looked into: it has as many entries as the model has tokens.
      vocab: z.custom<object>((value) => typeof value === 'object' && value !== null, 'expected a vocabulary'),
    }),
  ),
});

/** Older files, such as GPT-2's own, do not name their kind: only BPE has merges, only Unigram lists its vocabulary. */
function withKind(model: unknown): unknown {
  if (typeof model !== 'object' || model === null || !('vocab' in model)) return model;
  return { type: 'merges' in model ? 'bpe' : Array.isArray(model.vocab) ? 'unigram' : 'wordpiece', ...model };
}

/** A chat template in a file of its own: alone, or as the one field of a JSON file. */
const templateFile = z.looseObject({ chat_template: z.union([z.string(), z.array(z.looseObject({}))]) });

/**
 * Reads a model's configuration. Where several files say the same, this counts:
 * - shape and context: `genai_config.json`, which describes this very graph, then `config.json`;
 * - names of inputs and outputs: `genai_config.json` alone, all others are found by the engine;
 * - sampling: `generation_config.json` as a whole, which is the author's own, or else GenAI's `search`;
 * - ids that end a sequence: those of all files together; the other ids: `genai_config.json`, then `config.json`.
 *
 * A window that attention looks back through (`sliding_window`) and stretched positions (`rope_scaling`) are the graph's own business:
 * the cache is kept for the whole context whatever they say.
 * @throws ModelError with every file that is not valid JSON and every field that is missing or wrong.
 */
export async function readSpec(files: ModelFiles): Promise<ModelSpec> {
  const problems: ModelProblem[] = [];
  const { configFile, genaiConfigFile } = files;
  const config = await readFields(configFile, modelConfig(genaiConfigFile === undefined), problems, asLlamaSays);
  const genai = await readGenai(genaiConfigFile, configFile === undefined, problems);
  const generation = await readFields(files.generationConfigFile, generationConfig, problems);
  const wording = (await readFields(files.tokenizerConfigFile, tokenizerConfig, problems)) ?? {};
  const words = await readFields(files.tokenizerFile, tokenizer, problems);
  await checkTemplate(files, problems);
  const shape = problems.length === 0 ? shapeOf(config, genai, problems) : undefined;
  if (shape === undefined || words === undefined || problems.length > 0) throw new ModelError(files.folder, problems);
  const { vocabSize } = shape;
  const eos = [
    generation?.eos_token_id,
    genai?.model.eos_token_id,
    config?.eos_token_id,
    idOf(wording.eos_token, words),
  ];
  const modelType = genai?.model.type ?? config?.model_type ?? 'unknown';
  return {
    name: basename(files.folder),
    architecture: config?.architectures?.[0] ?? modelType,
    modelType: config?.model_type ?? modelType,
    ...shape,
    contextLength: Math.min(shape.contextLength, saneLength(wording.model_max_length)),
    eosIds: idsWithin(vocabSize, ...eos),
    bosId: idsWithin(vocabSize, genai?.model.bos_token_id ?? config?.bos_token_id)[0],
    padId: idsWithin(vocabSize, genai?.model.pad_token_id ?? config?.pad_token_id)[0],
    sampling: samplingOf(generation ?? searchOf(genai) ?? {}),
    tokenizerKind: words.model.type,
    hasChatTemplate: files.chatTemplateFile !== undefined || templateOf(wording) !== undefined,
    names: portNamesOf(genai),
  };
}

type Shape = Pick<ModelSpec, 'vocabSize' | 'contextLength' | 'layers' | 'kvHeads' | 'headDim'>;

/** What neither file says is a problem of config.json: of two files, GenAI's may be the one that is brief. */
function shapeOf(
  config: ModelConfig | undefined,
  genai: GenaiConfig | undefined,
  problems: ModelProblem[],
): Shape | undefined {
  const of = (name: string, ...said: (number | null | undefined)[]): number => {
    const value = said.find((one) => typeof one === 'number');
    if (value === undefined)
      problems.push({ file: 'config.json', problem: `lacks "${name}", as does genai_config.json` });
    return value ?? 1;
  };
  const { model } = genai ?? {};
  const decoder = model?.decoder;
  const heads = (): number => of('num_attention_heads', decoder?.num_attention_heads, config?.num_attention_heads);
  const headDim = decoder?.head_size ?? config?.head_dim;
  const shape = {
    vocabSize: of('vocab_size', model?.vocab_size, config?.vocab_size),
    contextLength: of('max_position_embeddings', model?.context_length, config?.max_position_embeddings),
    layers: of('num_hidden_layers', decoder?.num_hidden_layers, config?.num_hidden_layers),
    kvHeads: decoder?.num_key_value_heads ?? config?.num_key_value_heads ?? heads(),
    headDim: headDim ?? Math.floor(of('hidden_size', config?.hidden_size) / heads()),
  };
  return problems.length === 0 ? shape : undefined;
}

/**
 * A template that is alone can be rendered, unless it names special tokens: what they look like stands in tokenizer_config.json, and a
 * prompt without its first token is one that the model was never trained on.
 */
async function checkTemplate(files: ModelFiles, problems: ModelProblem[]): Promise<void> {
  const { chatTemplateFile: path, tokenizerConfigFile } = files;
  if (path === undefined) return;
  if (path.endsWith('.json')) await readFields(path, templateFile, problems);
  if (tokenizerConfigFile !== undefined) return;
  const named = namedTokens(await readFile(path, 'utf8'));
  if (named.length === 0) return;
  problems.push({
    file: 'tokenizer_config.json',
    problem: `is missing, and ${basename(path)} names its ${named.map((name) => `"${name}"`).join(', ')}`,
  });
}

/**
 * `do_sample: false` is greedy, and what would shape a draw is off, so that a request that asks for a temperature gets one: exports write
 * `top_k: 1` beside it. The rest is as given, or else off (contract, "POST /execute body").
 */
function samplingOf(given: z.infer<typeof generationConfig>): SamplingDefaults {
  const repetitionPenalty = given.repetition_penalty ?? 1;
  if (given.do_sample === false) return { temperature: 0, topP: 1, topK: 0, minP: 0, repetitionPenalty };
  return {
    temperature: given.temperature ?? 1,
    topP: given.top_p ?? 1,
    topK: given.top_k ?? 0,
    minP: given.min_p ?? 0,
    repetitionPenalty,
  };
}

/** transformers writes 10³⁰ for "no limit known", which is above any model's positions; nonsense below 1 counts as that. */
function saneLength(length: number | null | undefined): number {
  return length !== null && length !== undefined && length >= 1 ? Math.floor(length) : Number.POSITIVE_INFINITY;
}

/** All ids of the lists that are in the vocabulary, once each, ascending. */
function idsWithin(vocabSize: number, ...lists: (number | readonly number[] | null | undefined)[]): number[] {
  const all = lists.flatMap((list) => list ?? []);
  return [...new Set(all.filter((id) => id >= 0 && id < vocabSize))].sort((a, b) => a - b);
}

/** Id of a token by its text: an added token, or one of the model's vocabulary. */
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

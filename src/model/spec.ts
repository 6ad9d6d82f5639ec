/**
 * What a model says about itself: its configuration files, read once, checked field by field, as one value. Reads files of the model's
 * folder and nothing else; unknown fields are ignored, a needed one that is missing or wrong is told by file and name.
 */
import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { z } from 'zod';
import type { Sampling } from '../bridge/protocol.ts';
import { templateOf } from '../text/chat-template.ts';
import { ModelError, type ModelFiles, type ModelProblem } from './locate.ts';

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
}

const count = z.int().min(1);
/** An id, a list of ids, or nothing; configurations write −1 for "none" too. */
const ids = z.union([z.int(), z.array(z.int())]).nullish();
const tokenizerKind = z.enum(['bpe', 'unigram', 'wordpiece']);

/** config.json by the names of Llama; `OLDER_NAMES` are those of GPT-2, GPT-J, T5 and MPT for the same. */
const config = z.looseObject({
  architectures: z.array(z.string()).nullish(),
  model_type: z.string(),
  vocab_size: count,
  max_position_embeddings: count,
  num_hidden_layers: count,
  num_attention_heads: count,
  num_key_value_heads: count.nullish(),
  head_dim: count.nullish(),
  hidden_size: count,
  eos_token_id: ids,
  bos_token_id: ids,
  pad_token_id: ids,
});

const OLDER_NAMES: Readonly<Record<string, readonly string[]>> = {
  max_position_embeddings: ['n_positions', 'n_ctx', 'max_seq_len'],
  num_hidden_layers: ['n_layer', 'n_layers', 'num_layers'],
  num_attention_heads: ['n_head', 'n_heads', 'num_heads'],
  hidden_size: ['n_embd', 'd_model'],
};

const generationConfig = z.looseObject({
  do_sample: z.boolean().nullish(),
  temperature: z.number().min(0).nullish(),
  top_p: z.number().min(0).max(1).nullish(),
  top_k: z.int().min(0).nullish(),
  min_p: z.number().min(0).max(1).nullish(),
  repetition_penalty: z.number().positive().nullish(),
  eos_token_id: ids,
});

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

/**
 * Reads a model's configuration.
 * @throws ModelError with every file that is not valid JSON and every field that is missing or wrong.
 */
export async function readSpec(files: ModelFiles): Promise<ModelSpec> {
  const problems: ModelProblem[] = [];
  const model = await readFields(files.configFile, config, problems, OLDER_NAMES);
  const generation = await readFields(files.generationConfigFile, generationConfig, problems);
  const wording = await readFields(files.tokenizerConfigFile, tokenizerConfig, problems);
  const words = await readFields(files.tokenizerFile, tokenizer, problems);
  if (model === undefined || wording === undefined || words === undefined || problems.length > 0) {
    throw new ModelError(files.folder, problems);
  }
  return {
    name: basename(files.folder),
    architecture: model.architectures?.[0] ?? model.model_type,
    modelType: model.model_type,
    vocabSize: model.vocab_size,
    contextLength: Math.min(model.max_position_embeddings, saneLength(wording.model_max_length)),
    eosIds: idsWithin(model.vocab_size, generation?.eos_token_id, model.eos_token_id, idOf(wording.eos_token, words)),
    bosId: idsWithin(model.vocab_size, model.bos_token_id)[0],
    padId: idsWithin(model.vocab_size, model.pad_token_id)[0],
    sampling: samplingOf(generation ?? {}),
    layers: model.num_hidden_layers,
    kvHeads: model.num_key_value_heads ?? model.num_attention_heads,
    headDim: model.head_dim ?? Math.floor(model.hidden_size / model.num_attention_heads),
    tokenizerKind: words.model.type,
    hasChatTemplate: files.chatTemplateFile !== undefined || templateOf(wording) !== undefined,
  };
}

/** `do_sample: false` is greedy, whatever else it says; the rest is as given, or else off (contract, "POST /execute body"). */
function samplingOf(given: z.infer<typeof generationConfig>): SamplingDefaults {
  return {
    temperature: given.do_sample === false ? 0 : (given.temperature ?? 1),
    topP: given.top_p ?? 1,
    topK: given.top_k ?? 0,
    minP: given.min_p ?? 0,
    repetitionPenalty: given.repetition_penalty ?? 1,
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

/** Reads one JSON file by a schema. Undefined: there is no such file to read, or it has problems, which are added to the list. */
async function readFields<S extends z.ZodType>(
  path: string | undefined,
  schema: S,
  problems: ModelProblem[],
  olderNames: Readonly<Record<string, readonly string[]>> = {},
): Promise<z.infer<S> | undefined> {
  if (path === undefined) return undefined;
  const file = basename(path);
  const parsed = await readJson(path);
  if (parsed.problem !== undefined) {
    problems.push({ file, problem: parsed.problem });
    return undefined;
  }
  const given = withNewNames(parsed.value, olderNames);
  const result = schema.safeParse(given, { reportInput: true });
  if (result.success) return result.data;
  for (const issue of result.error.issues) {
    const field = issue.path.join('.');
    const lacking = issue.input === undefined;
    const rule = issue.message.replace(/^Invalid (input|option): /, '');
    problems.push({
      file,
      problem:
        field === ''
          ? 'is not a JSON object'
          : `${lacking ? 'lacks' : 'has a wrong'} "${field}"${lacking ? '' : ` (${rule})`}`,
    });
  }
  return undefined;
}

async function readJson(path: string): Promise<{ value?: unknown; problem?: string }> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    return { problem: `cannot be read (${error instanceof Error && 'code' in error ? error.code : 'unknown reason'})` };
  }
  try {
    return { value: JSON.parse(text) };
  } catch (error) {
    const reason = error instanceof Error ? error.message : 'unknown reason';
    return { problem: `is not valid JSON (${reason.replaceAll(/\s+/g, ' ').slice(0, 120)})` };
  }
}

function withNewNames(value: unknown, olderNames: Readonly<Record<string, readonly string[]>>): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  const fields: Record<string, unknown> = { ...value };
  for (const [name, older] of Object.entries(olderNames))
    fields[name] ??= older.map((old) => fields[old]).find(Boolean);
  return fields;
}

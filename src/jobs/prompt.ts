/**
 * Turns an order into a sequence for the engine: renders and tokenizes the prompt, and applies the model's
 * defaults and the limits of the context.
 */
import { randomBytes } from 'node:crypto';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { WorkerError } from '../contract/errors.ts';
import type { LoadedModel } from '../lifecycle/load-model.ts';
import type { SequenceRequest } from '../protocol/messages.ts';
import type { Sampling } from '../protocol/sampling.ts';
import type { Decoder } from '../text/output/detokenizer.ts';
import type { OutputParser } from '../text/output/parts.ts';
import type { ChatTemplate } from '../text/template/chat-template.ts';
import { EncodeError } from '../text/tokenizer/encode-error.ts';
import { type GenerationOrder, type Input, unitsInAll } from './order.ts';

/** UTF-16 units of a prompt that is prepared in a turn of the event loop of its own. */
export const LONG_UNITS = 2 ** 16;

/** A prompt that is ready for the engine. */
export interface PreparedPrompt {
  readonly sequence: Omit<SequenceRequest, 'id'>;
  /** Ids of the text that the output continues: those of a raw prompt. Empty for an answer to messages. */
  readonly continued: readonly number[];
  /** Turns the ids of the output into text. */
  readonly decoder: Decoder;
  /** Makes the parser of one output; absent: the output is one text. */
  readonly parser?: () => OutputParser;
}

/** An order that is ready for the engine. */
export interface Prepared {
  /** At least one. */
  readonly prompts: readonly PreparedPrompt[];
  /** Outputs for each prompt. */
  readonly choices: number;
  /** Strings that end an output. */
  readonly stops: readonly string[];
  /** True if the job reports the scores of its prompts and no output. */
  readonly scoresOnly: boolean;
  /** Milliseconds to render and tokenize the prompts. */
  readonly tokenizeMs: number;
}

/** Tokens of all prompts. */
export const tokensIn = ({ prompts }: Pick<Prepared, 'prompts'>): number =>
  prompts.reduce((sum, { sequence }) => sum + sequence.prompt.length, 0);

/**
 * Renders and tokenizes the prompts of an order. The engine does not receive them yet.
 * @param cap the operator's maximum number of generated tokens
 * @throws WorkerError `PROMPT_TOO_LONG` with both numbers if a prompt and one token do not fit into the
 *   context; `INVALID_REQUEST` if the model's template rejects the messages, if it does not exist, if
 *   template or tokenizer need too much time, text or memory, or if a prompt has a token that the model
 *   lacks; `TEMPLATE_UNUSABLE`; or the reason of `signal`
 */
export async function prepare(
  order: GenerationOrder,
  model: LoadedModel,
  cap: number,
  signal: AbortSignal,
): Promise<Prepared> {
  const began = performance.now();
  const prompts: PreparedPrompt[] = [];
  for (const input of order.inputs) prompts.push(await preparePrompt(input, { order, model, cap, signal }));
  return {
    prompts,
    choices: order.choices ?? 1,
    stops: order.stop ?? [],
    scoresOnly: order.maxTokens === 0,
    tokenizeMs: performance.now() - began,
  };
}

interface PromptParts {
  readonly order: GenerationOrder;
  readonly model: LoadedModel;
  readonly cap: number;
  readonly signal: AbortSignal;
}

async function preparePrompt(input: Input, parts: PromptParts): Promise<PreparedPrompt> {
  const { order, model, cap, signal } = parts;
  const { context } = model.facts;
  // A prompt that needs all of the context has no room for an output.
  const prompt = await inputIds(input, order, model, { mostTokens: context - 1, signal });
  const left = context - prompt.length;
  if (left < 1) throw tooLong(`${prompt.length}`, prompt.length, model.facts);
  if (prompt.length === 0) throw invalid('prompt', 'min_tokens', 'prompt must give at least one token');
  checkIds(prompt, input, model);
  const maxTokens = Math.max(1, Math.min(order.maxTokens ?? cap, cap, left));
  const sequence = {
    prompt,
    maxTokens,
    minTokens: Math.min(order.minTokens ?? 0, maxTokens),
    endIds: order.ignoreEos ? [] : model.spec.eosIds,
    sampling: samplingOf(order.sampling, model),
    ...(order.logprobs !== undefined && { logprobs: order.logprobs }),
  };
  return { sequence, continued: continuesText(input, order, model) ? prompt : [], decoder: model.tokenizer };
}

/** The least maximum of the tokens of a text that is only counted or converted to ids. */
export const LEAST_COUNTED = 2 ** 18;
/** That maximum: a text may be longer than the context, because the caller shortens it afterwards. */
export const mostCounted = ({ facts }: LoadedModel): number => Math.max(LEAST_COUNTED, facts.context);

/** How a text is encoded. */
export interface EncodeRules {
  /** More tokens are refused. */
  readonly mostTokens: number;
  /**
   * Adds the special tokens of the tokenizer. Absent: only to a prompt without a template, which writes them.
   */
  readonly addSpecialTokens?: boolean;
  /** Rejects with the reason of the signal. */
  readonly signal: AbortSignal;
}

/** The part of an order that decides its prompts. */
type PromptOrder = Pick<GenerationOrder, 'inputs' | 'template'>;

/**
 * The ids of an order's first input, as a job would get them. The engine receives nothing, and the limits of
 * the context do not apply.
 * @throws WorkerError as `prepare`
 */
export async function promptIds(order: PromptOrder, model: LoadedModel, rules: EncodeRules): Promise<number[]> {
  const [input] = order.inputs;
  if (input === undefined) return [];
  // The body of a long prompt took most of this turn: other requests go first.
  if (unitsInAll(order) > LONG_UNITS) await nextTurn();
  const ids = await inputIds(input, order, model, rules);
  // The tokenizer refuses only texts that are certainly longer.
  if (ids.length > rules.mostTokens) throw tooLong(`${ids.length}`, ids.length, model.facts, rules);
  return ids;
}

async function inputIds(input: Input, order: PromptOrder, model: LoadedModel, rules: EncodeRules): Promise<number[]> {
  if ('ids' in input) return [...input.ids];
  return encodePrompt(input, model, templateOf(input, order.template, model), rules);
}

/** True if the output continues a text: a prompt that is taken as it is, or the beginning of an answer. */
function continuesText(input: Input, order: GenerationOrder, model: LoadedModel): boolean {
  if ('messages' in input) return input.answerStart !== undefined;
  return templateOf(input, order.template, model) === undefined;
}

/**
 * The chat template for an order. Undefined for a prompt that is taken as it is, because it is `raw` or the
 * model has no template: the output then continues the prompt.
 */
function templateOf(input: Input, template: string | undefined, { templates }: LoadedModel): ChatTemplate | undefined {
  if ('ids' in input || ('prompt' in input && input.raw)) return undefined;
  if (templates.exist || template !== undefined) return templates.choose(template);
  if ('prompt' in input) return undefined;
  throw invalid('messages', 'unsupported', 'messages require a model with a chat template; use prompt instead');
}

/** The ids of the prompt. A template gets a prompt as one user message. */
async function encodePrompt(
  input: Exclude<Input, { ids: readonly number[] }>,
  { tokenizer, facts }: LoadedModel,
  template: ChatTemplate | undefined,
  rules: EncodeRules,
): Promise<number[]> {
  try {
    if (template) {
      const conversation = 'messages' in input ? input : { messages: [{ role: 'user', content: input.prompt }] };
      return await tokenizer.encode(conversation, { addSpecialTokens: false, ...rules, template });
    }
    const { prompt: text, addSpecialTokens = true } = 'prompt' in input ? input : { prompt: '' };
    return await tokenizer.encode(text, { addSpecialTokens, ...rules });
  } catch (error) {
    if (!(error instanceof EncodeError)) throw error;
    if (error.kind === 'too_long') throw tooLong(`at least ${error.leastTokens}`, error.leastTokens, facts, rules);
    const message = `${error.message}: send a shorter text, or use another model`;
    throw invalid(fieldOf(input), error.kind, message);
  }
}

/**
 * Refuses a prompt with an id that the model cannot compute: some tokenizers have more tokens than the model
 * has rows. The error names the token as the tokenizer's file has it.
 */
function checkIds(prompt: readonly number[], input: Input, { tokenizer, facts }: LoadedModel): void {
  const id = prompt.find((one) => one >= facts.idLimit);
  if (id === undefined) return;
  const field = fieldOf(input);
  if ('ids' in input)
    throw invalid(field, 'vocabulary', `${field} must have token ids from 0 to ${facts.idLimit - 1}, but has ${id}`);
  const message = `${field} must have no token that the model lacks, but gives ${tokenizer.shownToken(id)}, id ${id}; the ids of the model end at ${facts.idLimit - 1}. Remove it from the text; if the chat template adds it, use another model`;
  throw invalid(field, 'vocabulary', message);
}

const fieldOf = (input: Input): string => ('messages' in input ? 'messages' : 'prompt');

function tooLong(
  number: string,
  tokensIn: number,
  { context }: Pick<LoadedModel['facts'], 'context'>,
  { mostTokens = 0 }: Partial<EncodeRules> = {},
): WorkerError {
  const limit = mostTokens < context ? `prompt and output share ${context}` : `at most ${mostTokens} are allowed here`;
  const message = `The prompt has ${number} tokens; ${limit}.`;
  return new WorkerError('PROMPT_TOO_LONG', message, { details: { tokens_in: tokensIn, context_length: context } });
}

function invalid(field: string, constraint: string, message: string): WorkerError {
  return new WorkerError('INVALID_REQUEST', undefined, { violations: [{ field, constraint, message }] });
}

/** The value of the order, otherwise the default of the model. An order without a seed gets a random one. */
function samplingOf(requested: GenerationOrder['sampling'], { spec }: LoadedModel): Sampling {
  return { seed: drawSeed(), ...spec.sampling, ...requested };
}

/** 53 random bits: the range of seeds that a caller can choose. */
function drawSeed(): number {
  return Number(randomBytes(8).readBigUInt64BE() >> 11n);
}

/**
 * Turns an order into a sequence for the engine: renders and tokenizes the prompt, and applies the model's
 * defaults and the limits of the context.
 */
import { randomBytes } from 'node:crypto';
import type { Submission } from '../bridge/client.ts';
import { WorkerError } from '../contract/errors.ts';
import type { LoadedModel } from '../lifecycle/load-model.ts';
import type { Sampling } from '../protocol/sampling.ts';
import type { Compiled } from '../text/grammar/grammar-compiler.ts';
import type { Decoder } from '../text/output/detokenizer.ts';
import { markedDecoder } from '../text/output/marked-decoder.ts';
import type { OutputParser } from '../text/output/parts.ts';
import { UndividedText } from '../text/output/undivided-text.ts';
import { OrderGrammars } from './grammar/output-grammar.ts';
import type { GenerationOrder, Input } from './order.ts';
import { encodeInput, fieldOf, invalid, openInput, tooLong } from './prompt-ids.ts';

/** A prompt that is ready for the engine. */
export interface PreparedPrompt {
  readonly sequence: Submission;
  /**
   * Ids of the text that the output continues: those of a raw prompt. Empty for an answer to messages, unless
   * its form is demanded.
   */
  readonly continued: readonly number[];
  /** Turns the ids of the output into text. */
  readonly decoder: Decoder;
  /** Makes the parser of one output; absent: the output is one text. */
  readonly parser?: () => OutputParser;
  /** The grammar of the output; absent: any text. */
  readonly grammar?: Compiled;
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

/** The grammars of all prompts: equal ones once. */
export const grammarsIn = ({ prompts }: Pick<Prepared, 'prompts'>): readonly Compiled[] => [
  ...new Map(prompts.flatMap(({ grammar }) => (grammar ? [[grammar.key, grammar]] : []))).values(),
];

/**
 * Renders and tokenizes the prompts of an order. The engine does not receive them yet.
 * @param cap the operator's maximum number of generated tokens
 * @throws WorkerError `PROMPT_TOO_LONG` with both numbers if a prompt and one token do not fit into the
 *   context; `INVALID_REQUEST` if the model's template rejects the messages, if it does not exist, if
 *   template or tokenizer need too much time, text or memory, or if a prompt or the logit bias has a token
 *   that the model lacks, or if the demanded form cannot be compiled; `SCHEMA_TOO_COMPLEX`;
 *   `TEMPLATE_UNUSABLE`; or the reason of `signal`
 */
export async function prepare(
  order: GenerationOrder,
  model: LoadedModel,
  cap: number,
  signal: AbortSignal,
): Promise<Prepared> {
  const began = performance.now();
  checkBias(order, model);
  const prompts: PreparedPrompt[] = [];
  const parts = { order, model, cap, signal, grammars: new OrderGrammars(order, model, signal) };
  for (const input of order.inputs) prompts.push(await preparePrompt(input, parts));
  checkScores(prompts, order);
  return {
    prompts,
    choices: order.choices ?? 1,
    stops: order.stop ?? [],
    scoresOnly: order.maxTokens === 0,
    tokenizeMs: performance.now() - began,
  };
}

/**
 * Maximum number of log-probabilities of the prompts in one answer, counted once for each output: about 50
 * MB of JSON.
 */
export const MAX_PROMPT_SCORES = 2 ** 20;

/** Refuses prompts whose scores make too long an answer. */
function checkScores(prompts: readonly PreparedPrompt[], { promptLogprobs, choices = 1 }: GenerationOrder): void {
  if (promptLogprobs === undefined) return;
  const scores = tokensIn({ prompts }) * (promptLogprobs + 1) * choices;
  if (scores <= MAX_PROMPT_SCORES) return;
  const message = `prompt must have at most ${MAX_PROMPT_SCORES} log-probabilities with all alternatives and outputs, but has ${scores}; send fewer prompts, or lower logprobs or n`;
  throw invalid('prompt', 'scores', message);
}

interface PromptParts {
  readonly order: GenerationOrder;
  readonly model: LoadedModel;
  readonly cap: number;
  readonly signal: AbortSignal;
  readonly grammars: OrderGrammars;
}

async function preparePrompt(input: Input, parts: PromptParts): Promise<PreparedPrompt> {
  const { order, model, cap, signal, grammars } = parts;
  const { context } = model.facts;
  // A prompt that needs all of the context has no room for an output.
  const opened = openInput(input, order, model);
  const [prompt, grammar] = await Promise.all([
    encodeInput(opened, model, { mostTokens: context - 1, signal }),
    grammars.of(opened.dialogue),
  ]);
  const { dialogue } = opened;
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
    ...(order.promptLogprobs !== undefined && { promptLogprobs: order.promptLogprobs }),
    ...(grammar && { grammar: { key: grammar.key, program: grammar.program } }),
    ...(order.logitBias && order.logitBias.length > 0 && { logitBias: order.logitBias }),
    ...(order.cacheSalt !== undefined && { cacheSalt: order.cacheSalt }),
  };
  // An output of a form keeps a space that a decoder strips at the beginning of a text.
  const continued = opened.continues || order.format ? prompt : [];
  const prepared = { sequence, continued, ...(grammar && { grammar }) };
  if (!dialogue) return { ...prepared, decoder: model.tokenizer };
  const decoder = markedDecoder(model.tokenizer, dialogue.markers);
  const { parser, conversation } = dialogue;
  if (!order.undivided) return { ...prepared, decoder, parser };
  const { answerStart = '' } = conversation;
  return { ...prepared, decoder, parser: () => new UndividedText(parser(), answerStart) };
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

/** Refuses a bias of an id that the model never computes, with one violation for each such id. */
function checkBias({ logitBias = [] }: GenerationOrder, { facts }: LoadedModel): void {
  const violations = logitBias
    .filter(([id]) => id >= facts.idLimit)
    .map(([id]) => ({
      field: `logit_bias.${id}`,
      constraint: 'vocabulary',
      message: `logit_bias.${id} must be an id of the model, but its ids end at ${facts.idLimit - 1}`,
      value: id,
    }));
  if (violations.length > 0) throw new WorkerError('INVALID_REQUEST', undefined, { violations });
}

/** The value of the order, otherwise the default of the model. An order without a seed gets a random one. */
function samplingOf(requested: GenerationOrder['sampling'], { spec }: LoadedModel): Sampling {
  return { seed: drawSeed(), ...spec.sampling, ...requested };
}

/** 53 random bits: the range of seeds that a caller can choose. */
function drawSeed(): number {
  return Number(randomBytes(8).readBigUInt64BE() >> 11n);
}

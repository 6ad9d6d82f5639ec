/**
 * The ids of a prompt: chooses the chat template, prepares and renders the conversation, and tokenizes the
 * text.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { WorkerError } from '../contract/errors.ts';
import type { LoadedModel } from '../lifecycle/load-model.ts';
import type { CacheLimit } from '../protocol/loading.ts';
import type { ChatTemplate } from '../text/template/chat-template.ts';
import { EncodeError } from '../text/tokenizer/encode-error.ts';
import { type Dialogue, prepareDialogue } from '../text/tools/dialogue.ts';
import { reasoningVariables } from '../text/tools/output-profile.ts';
import { profileOf } from '../text/tools/profile.ts';
import { type GenerationOrder, type Input, promptConversation, unitsInAll } from './order.ts';

/** UTF-16 units of a prompt that is prepared in a turn of the event loop of its own. */
export const LONG_UNITS = 2 ** 16;
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

/** An input with its chat template, ready to be rendered. */
export interface OpenedInput {
  readonly rendered: Input;
  /** The field of the body that holds the input. */
  readonly field: string;
  readonly template?: ChatTemplate | undefined;
  /** The prepared conversation, for an output that is divided into parts. */
  readonly dialogue?: Dialogue | undefined;
  /** True if the output continues a text: a prompt that is taken as it is, or the beginning of an answer. */
  readonly continues: boolean;
}

/** The part of an order that decides its prompts. */
export type PromptOrder = Pick<GenerationOrder, 'inputs' | 'template' | 'toolUse' | 'format'>;

/**
 * The ids of an order's first input, as a job would get them. The engine receives nothing, and the limits of
 * the context do not apply.
 * @throws WorkerError as `encodeInput`
 */
export async function promptIds(
  order: PromptOrder,
  model: LoadedModel,
  rules: EncodeRules,
): Promise<readonly number[]> {
  const [input] = order.inputs;
  if (input === undefined) return [];
  // The body of a long prompt took most of this turn: other requests go first.
  if (unitsInAll(order) > LONG_UNITS) await nextTurn();
  const ids = await encodeInput(openInput(input, order, model), model, rules);
  // The tokenizer refuses only texts that are certainly longer.
  if (ids.length > rules.mostTokens) throw tooLong(`${ids.length}`, ids.length, model.facts, rules);
  return ids;
}

/**
 * Chooses the template of one input, and prepares its conversation.
 * @throws WorkerError `INVALID_REQUEST` if the template does not exist; `TEMPLATE_UNUSABLE`
 */
export function openInput(input: Input, order: PromptOrder, model: LoadedModel): OpenedInput {
  if ('ids' in input) return { rendered: input, field: fieldOf(input), continues: true };
  const template = templateOf(input, order.template, model);
  const dialogue = template && dialogueOf(input, order, template);
  const rendered = dialogue?.conversation ?? input;
  const continues = 'messages' in rendered ? rendered.answerStart !== undefined : template === undefined;
  return { rendered, field: fieldOf(input), template, dialogue, continues };
}

/**
 * Renders and tokenizes one input.
 * @throws WorkerError `PROMPT_TOO_LONG`; `INVALID_REQUEST` if the model's template rejects the messages, or
 *   if template or tokenizer need too much time, text or memory; or the reason of the signal
 */
export async function encodeInput(
  opened: OpenedInput,
  model: LoadedModel,
  rules: EncodeRules,
): Promise<readonly number[]> {
  const { rendered } = opened;
  return 'ids' in rendered ? rendered.ids : encodeText(rendered, opened, model, rules);
}

/**
 * The chat template for an order. Undefined for a prompt that is taken as it is, because it is `raw` or the
 * model has no template: the output then continues the prompt.
 */
function templateOf(input: Input, template: string | undefined, { templates }: LoadedModel): ChatTemplate | undefined {
  if ('prompt' in input && input.raw) return undefined;
  if (templates.exist || template !== undefined) return templates.choose(template);
  if ('prompt' in input) {
    if (!input.tools) return undefined;
    throw invalid('tools', 'unsupported', 'tools require a model with a chat template; send the prompt without them');
  }
  throw invalid('messages', 'unsupported', 'messages require a model with a chat template; use prompt instead');
}

/**
 * The conversation as the template accepts it, with the parser of its outputs; undefined for a plain output.
 */
function dialogueOf(input: Input, { toolUse, format }: PromptOrder, template: ChatTemplate): Dialogue | undefined {
  if ('ids' in input || !toolUse) return undefined;
  const given = 'prompt' in input ? promptConversation(input) : input;
  const profile = profileOf(template);
  const variables = { ...reasoningVariables(profile, toolUse.reasoning ?? {}), ...given.variables };
  return prepareDialogue(profile, template, { ...given, variables }, { ...toolUse, format: format?.format });
}

/** The ids of a text or a conversation. A template gets a prompt as one user message. */
async function encodeText(
  input: Exclude<Input, { ids: readonly number[] }>,
  { template, field }: Pick<OpenedInput, 'template' | 'field'>,
  { tokenizer, facts }: LoadedModel,
  rules: EncodeRules,
): Promise<number[]> {
  try {
    if (template) {
      const conversation = 'messages' in input ? input : promptConversation(input);
      return await tokenizer.encode(conversation, { addSpecialTokens: false, ...rules, template });
    }
    const { prompt: text, addSpecialTokens = true } = 'prompt' in input ? input : { prompt: '' };
    return await tokenizer.encode(text, { addSpecialTokens, ...rules });
  } catch (error) {
    if (!(error instanceof EncodeError)) throw error;
    if (error.kind === 'too_long') throw tooLong(`at least ${error.leastTokens}`, error.leastTokens, facts, rules);
    const message = `${error.message}: send a shorter text, or use another model`;
    throw invalid(field, error.kind, message);
  }
}

/** The field of a body that holds an input. */
export const fieldOf = (input: Input): string => ('messages' in input ? 'messages' : 'prompt');

/** The remedies for a cache that holds fewer tokens than the context of the model. */
const REMEDIES: Readonly<Record<CacheLimit['cause'], string>> = {
  memory: 'raise --cache-memory',
  address_space: 'raise the limit of the address space (ulimit -v)',
};

/**
 * The error for a prompt with too many tokens.
 * @param number the tokens as a text: a number, or a bound
 */
export function tooLong(
  number: string,
  tokensIn: number,
  { context, cacheLimit }: Pick<LoadedModel['facts'], 'context' | 'cacheLimit'>,
  { mostTokens = 0 }: Partial<EncodeRules> = {},
): WorkerError {
  const holds =
    cacheLimit === undefined || context === cacheLimit.context
      ? ''
      : `: the cache holds no more, ${REMEDIES[cacheLimit.cause]}`;
  const limit =
    mostTokens < context ? `prompt and output share ${context}${holds}` : `at most ${mostTokens} are allowed here`;
  const message = `The prompt has ${number} tokens; ${limit}.`;
  return new WorkerError('PROMPT_TOO_LONG', message, { details: { tokens_in: tokensIn, context_length: context } });
}

/** The error for one field of a body. */
export function invalid(field: string, constraint: string, message: string): WorkerError {
  return new WorkerError('INVALID_REQUEST', undefined, { violations: [{ field, constraint, message }] });
}

/** Checks the bodies of the tokenizer routes. */
import type { FastifyRequest } from 'fastify';
import {
  DETOKENIZE_FIELDS,
  DetokenizeBody,
  MAX_IDS,
  TOKENIZE_FIELDS,
  TokenizeBody,
  type TokenizeRequest,
} from '../../contract/tokenizer/request.ts';
import type { PromptOrder } from '../../jobs/prompt-ids.ts';
import type { LoadedModel } from '../../lifecycle/load-model.ts';
import type { Conversation } from '../../text/template/conversation.ts';
import { requireBoundedLists } from '../dialect/bounded-lists.ts';
import { checkBody, invalidField } from '../dialect/check.ts';
import { narrateIgnored } from '../dialect/ignored-fields.ts';
import { toolsOf } from '../dialect/tools/function-tools.ts';
import { checkAll } from '../dialect/unknown-fields.ts';
import { messagesOf } from '../openai/chat/messages.ts';

/** A checked body of `POST /tokenize`. */
export interface TokenizeInput {
  readonly body: TokenizeRequest;
  /** The prompt. */
  readonly order: PromptOrder;
  /** Names of the tools that have no effect. */
  readonly ignored: readonly string[];
}

/** @throws WorkerError `INVALID_REQUEST` */
export function tokenizeInput(request: FastifyRequest, { spec }: LoadedModel): TokenizeInput {
  requireBoundedLists(request.body);
  const { value: body, unknown } = checkAll(TokenizeBody, TOKENIZE_FIELDS, request.body);
  const { prompt, messages } = body;
  if ((prompt === undefined) === (messages === undefined))
    throw invalidField('prompt', 'exclusive', 'prompt or messages is required, and not both');
  if (body.add_generation_prompt === false)
    throw invalidField(
      'add_generation_prompt',
      'unsupported',
      'add_generation_prompt must be true: the worker renders prompts that an answer follows',
    );
  const input: TokenizeInput =
    messages === undefined
      ? { body, order: { inputs: [{ prompt: prompt ?? '', raw: true }] }, ignored: chatFieldsIn(body) }
      : chatOrder(body, messages);
  narrateIgnored([...unknown, ...otherModel(body.model, spec.name), ...input.ignored], request);
  return input;
}

/** Names of the fields that have an effect with `messages` only. */
const CHAT_FIELDS = [
  'add_generation_prompt',
  'tools',
  'enable_thinking',
  'reasoning_effort',
  'chat_template_kwargs',
  'template',
] as const;
const chatFieldsIn = (body: TokenizeRequest): string[] => CHAT_FIELDS.filter((name) => body[name] !== undefined);

/** The prompt of a conversation: that of a chat completion with the same fields. */
function chatOrder(body: TokenizeRequest, messages: NonNullable<TokenizeRequest['messages']>): TokenizeInput {
  const { tools, toolUse, ignored } = toolsOf({ tools: body.tools });
  const { enable_thinking: enabled, reasoning_effort: effort, template } = body;
  // A value of JSON.parse has no other types.
  const variables = body.chat_template_kwargs as Conversation['variables'];
  return {
    body,
    order: {
      inputs: [{ messages: messagesOf(messages), tools, variables }],
      toolUse: { ...toolUse, reasoning: { enabled, effort } },
      template,
    },
    ignored,
  };
}

/**
 * The ids of `POST /detokenize`.
 * @throws WorkerError `INVALID_REQUEST`; for an id outside of the vocabulary, with its index
 */
export function detokenizeIds(request: FastifyRequest, { spec, tokenizer }: LoadedModel): readonly number[] {
  // Before the schema, which would describe each of thousands of wrong ids.
  requireIds(request.body);
  const { value, unknown } = checkBody(DetokenizeBody, DETOKENIZE_FIELDS, request.body);
  narrateIgnored([...unknown, ...otherModel(value.model, spec.name)], request);
  const { tokens } = value;
  const at = tokens.findIndex((id) => id >= spec.vocabSize && tokenizer.tokenOf(id) === undefined);
  if (at >= 0) throw outside(at, String(tokens[at]), spec.vocabSize);
  return tokens;
}

function requireIds(body: unknown): void {
  const { tokens } = (body ?? {}) as { readonly tokens?: unknown };
  if (!Array.isArray(tokens)) return;
  if (tokens.length > MAX_IDS)
    throw invalidField(
      'tokens',
      'maximum',
      `tokens must have at most ${MAX_IDS} items; send the ids in several requests`,
    );
  const at = tokens.findIndex((id) => !Number.isSafeInteger(id) || id < 0);
  if (at < 0) return;
  const given: unknown = tokens[at];
  const but = typeof given === 'number' || typeof given === 'boolean' ? `, but is ${given}` : '';
  throw invalidField(`tokens[${at}]`, 'type', `tokens[${at}] must be a whole number from 0 up${but}`);
}

const outside = (at: number, id: string, vocabSize: number) =>
  invalidField(
    `tokens[${at}]`,
    'vocabulary',
    `tokens[${at}] must be the id of a token, from 0 to ${vocabSize - 1}, but is ${id}`,
  );

const otherModel = (given: string | undefined, own: string): string[] =>
  given === undefined || given === own ? [] : ['model'];

/** The answers, events and errors of Anthropic's dialect, for openapi.yaml and for types. */
import { z } from 'zod';
import { EVENTS } from '../events.ts';
import { counted, named } from '../schema.ts';

const type = <N extends string>(name: N) => z.literal(name).meta({ description: 'Same as the `event:` line' });
const text = (description: string) => z.string().meta({ description });

const NARRATIONS = z
  .array(EVENTS.narration)
  .optional()
  .meta({ description: 'Extension. The narration of the request, if it asks for it' });

export const MessageUsage = named(
  'AnthropicUsage',
  z
    .object({
      input_tokens: counted('Tokens of the prompt that the cache did not have. In `message_start`: all of them'),
      cache_creation_input_tokens: counted('Always 0: the worker caches every prompt, at no price'),
      cache_read_input_tokens: counted('Tokens of the prompt that the cache had. In `message_start`: 0'),
      output_tokens: counted('Tokens generated, with those of the reasoning'),
    })
    .meta({ description: 'Tokens of the request' }),
);
const STOP_REASONS = ['end_turn', 'max_tokens', 'stop_sequence', 'tool_use'] as const;
const stopFields = {
  stop_reason: z.enum(STOP_REASONS).nullable().meta({ description: 'Why the answer ended; null before its end' }),
  stop_sequence: z.string().nullable().meta({ description: 'The text of `stop_sequences` that ended the answer' }),
};

export const AnswerBlock = named(
  'AnthropicAnswerBlock',
  z
    .union([
      z.object({ type: z.literal('text').meta({ description: 'Text of the answer' }), text: text('The text') }),
      z.object({
        type: z.literal('thinking').meta({ description: 'Reasoning before the answer' }),
        thinking: text('The reasoning'),
        signature: text('Always empty: this worker signs nothing'),
      }),
      z.object({
        type: z.literal('tool_use').meta({ description: 'Call of a tool' }),
        id: text('Id of the call'),
        name: text('Name of the tool'),
        input: z.record(z.string(), z.unknown()).meta({
          description: 'Arguments. Text that is no JSON object is in its field `INVALID_JSON`',
        }),
      }),
    ])
    .meta({ description: 'A text, a reasoning or a call' }),
);

const messageFields = {
  id: text('Id of the message, and of the job'),
  type: z.literal('message').meta({ description: 'Kind of the object' }),
  role: z.literal('assistant').meta({ description: 'Author of the message' }),
  model: text('Name of the model'),
  content: z.array(AnswerBlock).meta({ description: 'Reasoning, texts and calls, in the order of the output' }),
  ...stopFields,
  usage: MessageUsage,
};
export const AnthropicAnswer = named('AnthropicAnswer', z.object({ ...messageFields, narration: NARRATIONS }));

export const TokenCount = named(
  'AnthropicTokenCount',
  z.object({ input_tokens: counted('Tokens of the prompt, with tools and system prompt') }),
);

const ERROR_TYPES = [
  'invalid_request_error',
  'authentication_error',
  'permission_error',
  'not_found_error',
  'request_too_large',
  'rate_limit_error',
  'api_error',
  'overloaded_error',
  'timeout_error',
] as const;
export type AnthropicErrorType = (typeof ERROR_TYPES)[number];
const errorFields = {
  type: z.literal('error').meta({ description: 'Kind of the object' }),
  error: z
    .object({
      type: z.enum(ERROR_TYPES).meta({ description: 'Class of the error' }),
      message: text('The error as a sentence'),
    })
    .meta({ description: 'The error' }),
  request_id: text('Same as the header `X-Correlation-Id`'),
};
export const AnthropicError = named('AnthropicError', z.object({ ...errorFields, narration: NARRATIONS }));

/** Every event of a stream, by name. */
export const ANTHROPIC_EVENTS = {
  message_start: named(
    'AnthropicMessageStart',
    z.object({
      type: type('message_start'),
      message: z.object(messageFields).meta({ description: 'The message without its content' }),
    }),
  ),
  content_block_start: named(
    'AnthropicBlockStart',
    z.object({ type: type('content_block_start'), index: counted('Index of the block'), content_block: AnswerBlock }),
  ),
  content_block_delta: named(
    'AnthropicBlockDelta',
    z.object({
      type: type('content_block_delta'),
      index: counted('Index of the block'),
      delta: z
        .union([
          z.object({ type: z.literal('text_delta'), text: text('More of the text') }),
          z.object({ type: z.literal('thinking_delta'), thinking: text('More of the reasoning') }),
          z.object({ type: z.literal('signature_delta'), signature: text('Always empty') }),
          z.object({ type: z.literal('input_json_delta'), partial_json: text('More of the arguments, as text') }),
        ])
        .meta({ description: 'The next piece of the block' }),
    }),
  ),
  content_block_stop: named(
    'AnthropicBlockStop',
    z.object({ type: type('content_block_stop'), index: counted('Index of the block') }),
  ),
  message_delta: named(
    'AnthropicMessageDelta',
    z.object({
      type: type('message_delta'),
      delta: z.object(stopFields).meta({ description: 'The end of the message' }),
      usage: MessageUsage,
    }),
  ),
  message_stop: named('AnthropicMessageStop', z.object({ type: type('message_stop') })),
  ping: named(
    'AnthropicPing',
    z.object({ type: type('ping'), narration: EVENTS.narration.optional() }).meta({
      description: 'Keeps a quiet stream open, or carries a narration',
    }),
  ),
  error: named('AnthropicErrorEvent', z.object(errorFields)),
} as const;

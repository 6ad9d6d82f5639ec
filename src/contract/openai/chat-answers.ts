/** The answers of `POST /v1/chat/completions`. Only scripts and tests load this file. */
import { z } from 'zod';
import { counted, named } from '../schema.ts';
import { finish, headFields, index, narrationOfChunk, narrationOfDocument, text, UsageSchema } from './answers.ts';

const FINISH = finish(['stop', 'length', 'tool_calls']);

const score = {
  token: text('Text of the token by itself; U+FFFD for a part of a character'),
  logprob: z.number().meta({ description: 'Natural logarithm of its probability' }),
  bytes: z.array(counted('A byte')).meta({ description: 'The exact bytes of the token' }),
};
const logprobs = z
  .object({
    content: z
      .array(
        z.object({
          ...score,
          top_logprobs: z.array(z.object(score)).meta({ description: 'The most likely tokens at this position' }),
        }),
      )
      .meta({ description: 'The tokens, also those of reasoning and of calls' }),
    refusal: z.null().meta({ description: 'Never set' }),
  })
  .nullable()
  .meta({ description: 'Log-probabilities; null without `logprobs: true`' });

const callFunction = z
  .object({ name: text('Name of the function'), arguments: text('JSON text of an object') })
  .meta({ description: 'The call' });

export const ChatCompletionSchema = named(
  'ChatCompletion',
  z
    .object({
      ...headFields('chat.completion', 'chatcmpl'),
      choices: z
        .array(
          z.object({
            index,
            message: z
              .object({
                role: z.literal('assistant').meta({ description: 'Author' }),
                content: z.string().nullable().meta({ description: 'The answer; null if there are only tool calls' }),
                refusal: z.null().meta({ description: 'Never set' }),
                reasoning_content: text('The reasoning before the answer').optional(),
                reasoning: text('Another name of `reasoning_content`').optional(),
                tool_calls: z
                  .array(z.object({ id: text('Id of the call'), type: z.literal('function'), function: callFunction }))
                  .optional()
                  .meta({ description: 'Calls of functions' }),
              })
              .meta({ description: 'The output' }),
            logprobs,
            finish_reason: FINISH,
          }),
        )
        .meta({ description: 'The outputs' }),
      usage: UsageSchema,
      narration: narrationOfDocument,
    })
    .meta({ description: 'A complete chat' }),
);

const callDelta = z.object({
  index: counted('Index of the call in its choice'),
  id: text('Id of the call, in its first delta').optional(),
  type: z.literal('function').optional(),
  function: z
    .object({ name: text('Name of the function, in the first delta').optional(), arguments: text('The next piece') })
    .meta({ description: 'The next piece of the call' }),
});

export const ChatChunkSchema = named(
  'ChatCompletionChunk',
  z
    .object({
      ...headFields('chat.completion.chunk', 'chatcmpl'),
      choices: z
        .array(
          z.object({
            index,
            delta: z
              .object({
                role: z.literal('assistant').optional().meta({ description: 'In the first delta of a choice' }),
                content: z.string().nullable().optional().meta({ description: 'The next piece of the answer' }),
                reasoning_content: text('The next piece of the reasoning').optional(),
                reasoning: text('Another name of `reasoning_content`').optional(),
                tool_calls: z.array(callDelta).optional().meta({ description: 'The next piece of a call' }),
              })
              .meta({ description: 'The next piece of the output' }),
            logprobs,
            finish_reason: FINISH.nullable(),
          }),
        )
        .meta({ description: 'One choice; none in the chunk with the usage' }),
      usage: UsageSchema.optional(),
      narration: narrationOfChunk,
    })
    .meta({ description: 'A piece of a chat' }),
);

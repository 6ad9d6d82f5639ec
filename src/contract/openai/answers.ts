/**
 * The parts of the answers that chat completions and completions share. Only scripts and tests load this
 * file.
 */
import { z } from 'zod';
import { EVENTS } from '../events.ts';
import { counted, named } from '../schema.ts';

export const text = (description: string) => z.string().meta({ description });

export const OpenAIErrorSchema = named(
  'OpenAIErrorAnswer',
  z
    .object({
      error: z
        .object({
          message: text('The error as a sentence, or all violations of the body'),
          type: text('Class of the error, such as `invalid_request_error`'),
          param: z.string().nullable().meta({ description: 'The first field that breaks a rule' }),
          code: text(
            "The worker's code in lower case. Other names: `context_length_exceeded`, `invalid_api_key`, `model_not_found`",
          ),
        })
        .meta({ description: 'The error' }),
      narration: z
        .array(EVENTS.narration)
        .optional()
        .meta({ description: 'The narration of the request, if the client asks for it and a job has failed' }),
    })
    .meta({ description: 'An error in the form of OpenAI' }),
);

const USAGE = {
  prompt_tokens: counted('Tokens of all prompts'),
  completion_tokens: counted('Tokens generated, of all choices'),
  total_tokens: counted('The sum'),
};
export const UsageSchema = named(
  'OpenAIUsage',
  z
    .object({
      ...USAGE,
      prompt_tokens_details: z
        .object({ cached_tokens: counted('Prompt tokens that were in the cache') })
        .optional()
        .meta({ description: 'Absent from the chunks of `continuous_usage_stats`' }),
      completion_tokens_details: z
        .object({ reasoning_tokens: counted('Tokens of the reasoning') })
        .optional()
        .meta({ description: 'Absent from the chunks of `continuous_usage_stats`' }),
    })
    .meta({ description: 'Tokens of the request' }),
);

/** The fields of every document and chunk. */
export const headFields = (object: string, prefix: string) => ({
  id: text(`Id of the answer and of its job: \`${prefix}-\` and 32 hexadecimal digits. \`POST /cancel\` takes it`),
  object: z.literal(object).meta({ description: 'Kind of the object' }),
  created: counted('When the request was accepted, in seconds since 1970'),
  model: text('Name of the model of this worker'),
  system_fingerprint: text('Version of the worker, type of the weights and device'),
});

export const narrationOfDocument = z
  .array(EVENTS.narration)
  .optional()
  .meta({ description: 'The narration of the request, if the client asks for it' });
export const narrationOfChunk = EVENTS.narration.optional().meta({
  description: 'A narration, if the client asks for it, in a chunk without text',
});

export const index = counted('Index of the choice: index of the prompt × `n` + number of the output');
export const finish = <const R extends readonly string[]>(reasons: R) =>
  z.enum(reasons).meta({ description: 'Why the output ended' });

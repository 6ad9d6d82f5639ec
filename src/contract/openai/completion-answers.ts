/** The answers of `POST /v1/completions`. Only scripts and tests load this file. */
import { z } from 'zod';
import { counted, named } from '../schema.ts';
import { finish, headFields, index, narrationOfChunk, narrationOfDocument, text, UsageSchema } from './answers.ts';

const FINISH = finish(['stop', 'length']);

const logprobs = z
  .object({
    tokens: z.array(text('Name of a token')).meta({
      description:
        'The tokens, with `echo` also those of the prompt: their texts, or bytes such as `bytes:\\xe6\\x97` for a token with a part of a character',
    }),
    token_logprobs: z
      .array(z.number().nullable())
      .meta({ description: 'Their log-probabilities; null for the first token of a prompt' }),
    top_logprobs: z.array(z.record(z.string(), z.number()).nullable()).meta({
      description:
        'Name of a token → log-probability, of the most likely tokens and of the chosen one. If two tokens have the same name, the likelier one counts',
    }),
    text_offset: z
      .array(counted('Characters before the token'))
      .meta({ description: 'Where the tokens begin in the whole text of the choice, in Unicode characters' }),
  })
  .nullable()
  .meta({ description: 'Log-probabilities; null without `logprobs`, and for a chunk without tokens' });

const choice = { index, text: text('The next text'), logprobs };

export const CompletionSchema = named(
  'Completion',
  z
    .object({
      ...headFields('text_completion', 'cmpl'),
      choices: z.array(z.object({ ...choice, finish_reason: FINISH })).meta({ description: 'The outputs' }),
      usage: UsageSchema,
      narration: narrationOfDocument,
    })
    .meta({ description: 'Complete texts' }),
);

export const CompletionChunkSchema = named(
  'CompletionChunk',
  z
    .object({
      ...headFields('text_completion', 'cmpl'),
      choices: z
        .array(z.object({ ...choice, finish_reason: FINISH.nullable() }))
        .meta({ description: 'One choice; none in the chunk with the usage' }),
      usage: UsageSchema.optional(),
      narration: narrationOfChunk,
    })
    .meta({ description: 'A piece of a text' }),
);

/** The answers of the tokenizer routes, for openapi.yaml. */
import { z } from 'zod';
import { counted, named } from '../schema.ts';

const token = (name: string) =>
  z
    .string()
    .nullable()
    .meta({ description: `Text of the ${name}; null without one` });

export const TokenizeAnswer = named(
  'TokenizeAnswer',
  z.object({
    tokens: z.array(z.int().min(0)).meta({ description: 'Ids of the tokens' }),
    count: counted('Number of tokens'),
    max_model_len: counted('Tokens of the context of the worker'),
    token_strs: z
      .array(z.string())
      .optional()
      .meta({ description: 'With `return_token_strs`: the tokens as the vocabulary has them' }),
  }),
);
export const DetokenizeAnswer = named(
  'DetokenizeAnswer',
  z.object({
    prompt: z.string().meta({ description: 'Text of all tokens, with the special tokens' }),
  }),
);
export const TokenizerInfo = named(
  'TokenizerInfo',
  z.object({
    tokenizer_class: z.string().meta({ description: 'Kind of the tokenizer: `bpe`, `unigram` or `wordpiece`' }),
    vocab_size: counted('Tokens that the model can compute'),
    model_max_length: counted('Tokens of the context of the worker'),
    eos_token: token('token that ends a text'),
    bos_token: token('token that begins a text'),
    pad_token: token('token that fills up'),
    unk_token: token('token for unknown text'),
    chat_template: z.string().nullable().meta({ description: 'The default chat template, in Jinja; null without one' }),
  }),
);

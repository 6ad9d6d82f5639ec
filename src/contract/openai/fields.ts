/**
 * The fields that `POST /v1/chat/completions` and `POST /v1/completions` share, with their limits. Only the
 * routes of OpenAI's dialect load this file.
 */
import { z } from 'zod';
import { objectWithNulls, withoutNulls } from '../absent.ts';
import { cacheSaltFields } from '../cache/salt.ts';
import { logitBiasFields, samplingFields } from '../sampling-fields.ts';
import { text } from '../schema.ts';
import { TOOL_LIMITS } from '../tools/fields.ts';

/** Limits of the bodies that no setting changes. Lengths in characters (Unicode code points). */
export const OPENAI_LIMITS = {
  /** Messages of a conversation. An agent adds two for each tool call. */
  messages: 2048,
  /** Parts of the content of one message. */
  parts: 256,
  /** Tool calls of one message. */
  calls: TOOL_LIMITS.calls,
  tools: TOOL_LIMITS.tools,
  /** Characters of the name of a function. */
  nameChars: TOOL_LIMITS.nameChars,
  stops: 16,
  stopChars: 100,
  /** Outputs for each prompt. */
  choices: 16,
  /** Prompts of `POST /v1/completions` × outputs for each. */
  sequences: 128,
  /** Alternatives at each position. */
  topLogprobs: 20,
  /** Characters of `model`, `user` and other names. */
  valueChars: 256,
  /** Tokens of `max_tokens` and `min_tokens`; a higher number than the context is reduced. */
  tokens: Number.MAX_SAFE_INTEGER,
} as const;

const STOP_RULE = `up to ${OPENAI_LIMITS.stops} strings of at most ${OPENAI_LIMITS.stopChars} characters`;

/** True if a text has at most `max` code points. */
const fitsIn = (given: string, max: number): boolean =>
  given.length <= max || (given.length <= 2 * max && Array.from(given).length <= max);

/** A text that ends an output. Its characters are code points. */
export const stopText = () =>
  text().refine((given) => fitsIn(given, OPENAI_LIMITS.stopChars), {
    error: `at most ${OPENAI_LIMITS.stopChars} characters`,
    params: { constraint: 'max_length' },
  });

/** A maximum number of tokens. Parsers map the numbers below 1. */
export const maximum = () => z.int().max(OPENAI_LIMITS.tokens);

/** How a maximum number of tokens is read, for the descriptions. */
export const MAXIMUM_RULE =
  'A number above the rest of the context is reduced. 0 counts as 1, and a negative number as absent';

/** Fields of chat completions and completions; responses have most of them. */
export const sharedFields = () => ({
  model: z.string().max(OPENAI_LIMITS.valueChars).optional().meta({
    description:
      'Any text: a worker has one model, and the answer names it. A narration reports a name that differs from it',
  }),
  max_tokens: maximum()
    .optional()
    .meta({ description: `Maximum number of tokens to generate. ${MAXIMUM_RULE}` }),
  min_tokens: z.int().min(0).max(OPENAI_LIMITS.tokens).optional().meta({
    description: 'End of sequence is not sampled before this many tokens; at most the maximum. Default: 0',
  }),
  ignore_eos: z.boolean().optional().meta({ description: 'true: the output does not end at an end of sequence' }),
  n: z.int().min(1).max(OPENAI_LIMITS.choices).optional().meta({ description: 'Outputs for each prompt. Default: 1' }),
  ...cacheSaltFields(),
  ...samplingFields(),
  top_k: z.int().min(-1).optional().meta({
    description:
      "Keep the k likeliest tokens; 0 and -1 are off. When absent: the model's default, else 0. Extension of vLLM",
  }),
  seed: z
    .number()
    .refine(Number.isInteger, { error: 'a whole number', params: { constraint: 'type' } })
    .optional()
    .meta({
      description:
        'The same seed draws the same tokens; output k of a prompt uses seed + k. A whole number of any size: the rest of its ' +
        'division by 2^53 counts. When absent: drawn at random',
      type: 'integer',
    }),
  logit_bias: z.preprocess(withoutNulls, logitBiasFields().logit_bias).optional(),
  stop: z
    .union([stopText(), z.array(stopText()).max(OPENAI_LIMITS.stops)], { error: STOP_RULE })
    .optional()
    .meta({
      description: `A string, or ${STOP_RULE}, that end the output; they are not part of it. Empty strings count as absent`,
    }),
  stream: z.boolean().optional().meta({ description: 'true: the answer is a stream of chunks. Default: false' }),
  stream_options: objectWithNulls({
    include_usage: z.boolean().optional().meta({ description: 'true: the last chunk has `usage` and no choice' }),
    continuous_usage_stats: z
      .boolean()
      .optional()
      .meta({ description: 'true: every chunk has `usage`. Extension of vLLM' }),
  })
    .optional()
    .meta({ description: 'Options of a stream; without a stream they have no effect' }),
  narration: z
    .boolean()
    .optional()
    .meta({
      description:
        'true: the answer has the narration of the request, as an extra field of chunks without text or of the document. ' +
        'Wins over the header `X-Narration`. Extension of this worker',
    }),
  timeout_ms: z.int().min(1).max(86_400_000).optional().meta({
    description: 'Milliseconds this request may take. When absent: --request-timeout. Extension of this worker',
  }),
});

/** Fields that are accepted and have no effect. A narration lists the ones in a body. */
const NO_EFFECT = ['user', 'store', 'metadata', 'service_tier', 'safety_identifier', 'prompt_cache_key'] as const;

/** Schemas of fields without an effect, for openapi.yaml. */
export const ignoredFields = <const Name extends string = never>(more: readonly Name[] = []) =>
  Object.fromEntries(
    [...NO_EFFECT, ...more].map((name) => [
      name,
      z.unknown().optional().meta({ description: 'Accepted, without an effect; a narration lists it' }),
    ]),
  ) as Record<(typeof NO_EFFECT)[number] | Name, z.ZodOptional<z.ZodUnknown>>;

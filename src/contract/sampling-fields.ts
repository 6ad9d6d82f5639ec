/** How the next token is drawn, as a request may say it. Descriptions become the words of openapi.yaml. */
import { z } from 'zod';

const LARGEST_SEED = Number.MAX_SAFE_INTEGER;

/** Whether `text` has at most `most` code points; looks no further than it must. */
export function fitsIn(text: string, most: number): boolean {
  if (text.length <= most) return true;
  if (text.length > 2 * most) return false;
  let points = 0;
  for (const _ of text) points += 1;
  return points <= most;
}

/** The fields whose rules are the same on every worker. */
export const SAMPLING_FIELDS = {
  temperature: z
    .number()
    .min(0)
    .max(2)
    .optional()
    .meta({ description: "0 is greedy. When absent: the model's own, else 1" }),
  top_p: z.number().min(0).max(1).optional().meta({
    description: "Keep the smallest set of tokens that reaches this probability. When absent: the model's own, else 1",
  }),
  min_p: z.number().min(0).max(1).optional().meta({
    description: "Keep tokens at least this fraction as likely as the likeliest. When absent: the model's own, else 0",
  }),
  top_k: z
    .int()
    .min(0)
    .optional()
    .meta({ description: "Keep the k likeliest tokens; 0 is off. When absent: the model's own, else 0" }),
  repetition_penalty: z.number().gt(0).max(2).optional().meta({
    description: "Makes tokens of prompt and output less likely; 1 is off. When absent: the model's own, else 1",
  }),
  frequency_penalty: z
    .number()
    .min(-2)
    .max(2)
    .optional()
    .meta({ description: 'Subtracted per occurrence in the output; 0 is off' }),
  presence_penalty: z
    .number()
    .min(-2)
    .max(2)
    .optional()
    .meta({ description: 'Subtracted once from every token in the output; 0 is off' }),
  seed: z.int().min(0).max(LARGEST_SEED).optional().meta({
    description: 'The same seed draws the same tokens. When absent: drawn at random and reported in `started`',
  }),
  stop: z
    .array(
      z
        .string()
        .min(1)
        .refine((text) => fitsIn(text, 100), { params: { constraint: 'max_length' } })
        .meta({ maxLength: 100 }),
    )
    .max(4)
    .optional()
    .meta({ description: 'Up to 4 strings of 1 to 100 characters that end the output; they are not part of it' }),
  logprobs: z
    .int()
    .min(0)
    .max(20)
    .optional()
    .meta({ description: 'Report the log-probability of each token and of this many alternatives' }),
  timeout_ms: z
    .int()
    .min(1)
    .max(86_400_000)
    .optional()
    .meta({ description: 'Milliseconds this request may take. When absent: --request-timeout' }),
};

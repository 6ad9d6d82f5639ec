/**
 * The zod schemas of every body. Validation, types and openapi.yaml come from here.
 * Descriptions are read by callers: they become the words of openapi.yaml.
 */
import { z } from 'zod';

/** Limits that the operator sets and a request is held to. */
export interface Limits {
  /** Characters (Unicode code points) of the prompt, or of all messages together. */
  readonly promptChars: number;
  readonly maxTokens: number;
}
export const DEFAULT_LIMITS: Limits = { promptChars: 32_768, maxTokens: 2048 };

const LARGEST_SEED = Number.MAX_SAFE_INTEGER;
/** Registers a schema under the name it has in openapi.yaml. */
export const named = <S extends z.ZodType>(id: string, schema: S): S => schema.meta({ id });

/** Whether `text` has at most `most` code points; looks no further than it must. */
export function fitsIn(text: string, most: number): boolean {
  if (text.length <= most) return true;
  if (text.length > 2 * most) return false;
  let points = 0;
  for (const _ of text) points += 1;
  return points <= most;
}

const JOB_ID = z
  .string()
  .regex(/^[^\p{Cc}\p{Cs}\p{Zl}\p{Zp}]{1,256}$/u)
  .meta({ description: 'Id of the job, chosen by the caller: 1 to 256 characters, no control characters' });

const message = z.object({
  role: z.enum(['system', 'user', 'assistant']),
  content: z.string(),
});

/** The fields whose rules are the same on every worker. */
const SAMPLING_FIELDS = {
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
        .refine((text) => fitsIn(text, 100), { params: { constraint: 'max_length' } }),
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

/** The fields of `POST /execute`, each held to its own rule. */
export function executeFields(limits: Limits = DEFAULT_LIMITS) {
  const chars = (text: string): boolean => fitsIn(text, limits.promptChars);
  return {
    job_id: JOB_ID,
    prompt: z
      .string()
      .min(1)
      .refine(chars, { params: { constraint: 'max_length' } })
      .optional()
      .meta({
        description: `1 to ${limits.promptChars} Unicode characters. Either \`prompt\` or \`messages\``,
        maxLength: limits.promptChars,
      }),
    messages: z
      .array(message)
      .min(1)
      .max(1024)
      .refine((all) => chars(all.map((one) => one.content).join('')), { params: { constraint: 'max_length' } })
      .optional()
      .meta({ description: "A conversation, rendered with the model's chat template" }),
    raw: z.boolean().optional().meta({ description: 'true = do not wrap `prompt` in the chat template' }),
    max_tokens: z.int().min(1).max(limits.maxTokens).optional().meta({
      description: 'Most tokens to generate. When absent: the highest allowed, cut to what the context leaves',
    }),
    min_tokens: z
      .int()
      .min(0)
      .max(limits.maxTokens)
      .optional()
      .meta({ description: 'End of sequence is not drawn before this many tokens' }),
    ...SAMPLING_FIELDS,
  };
}

export const ExecuteBody = named('ExecuteRequest', z.object(executeFields()));
export type ExecuteRequest = z.output<typeof ExecuteBody>;

export const CancelBody = named('CancelRequest', z.object({ job_id: JOB_ID }));
export const CancelAnswer = named(
  'CancelAnswer',
  z.object({ job_id: z.string(), status: z.enum(['cancelling', 'finished']) }),
);
export const ShutdownAnswer = named(
  'ShutdownAnswer',
  z.object({ status: z.literal('draining'), timeout_seconds: z.int() }),
);
export const LiveAnswer = named('LiveAnswer', z.object({ status: z.literal('alive'), worker_id: z.string() }));
export const ReadyAnswer = named('ReadyAnswer', z.object({ status: z.literal('ready'), worker_id: z.string() }));

export const ErrorAnswer = named(
  'ErrorAnswer',
  z.object({
    error: z.object({
      code: z.string().meta({ description: 'Stable name of the error' }),
      message: z.string(),
      retriable: z.boolean().meta({ description: 'Whether the same request can succeed later' }),
      correlation_id: z.string(),
      details: z.record(z.string(), z.union([z.string(), z.number()])).optional(),
      errors: z
        .array(
          z.object({
            field: z.string(),
            constraint: z.string(),
            message: z.string(),
            value: z.union([z.string(), z.number(), z.boolean()]).optional(),
          }),
        )
        .optional()
        .meta({ description: 'Every rule that the request breaks' }),
    }),
  }),
);

export const HealthAnswer = named(
  'Health',
  z.object({
    status: z.enum(['starting', 'healthy', 'draining', 'unhealthy']),
    worker_id: z.string(),
    model: z.string(),
    device: z.string(),
    resident: z.boolean().meta({ description: 'Whether the model is in memory' }),
    vram_bytes: z.int(),
    memory_bytes: z.int(),
    quant_kind: z.string(),
    tokenizer_kind: z.string(),
    vocab_size: z.int(),
    context_length: z.int(),
    uptime_seconds: z.number(),
    slots: z.object({ total: z.int(), busy: z.int() }),
    queue: z.object({ length: z.int(), limit: z.int() }),
    capabilities: z.array(z.string()),
    protocol: z.literal('sse'),
    version: z.string(),
  }),
);
export type Health = z.output<typeof HealthAnswer>;

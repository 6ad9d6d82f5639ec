/**
 * The zod schemas of every body. Validation, types and openapi.yaml come from here.
 * Descriptions are read by callers: they become the words of openapi.yaml.
 */
import { z } from 'zod';
import { ERRORS, type ErrorCode } from './errors.ts';
import { fitsIn, SAMPLING_FIELDS } from './sampling-fields.ts';

/** Limits that the operator sets and a request is held to. */
export interface Limits {
  /** Characters (Unicode code points) of the prompt, or of all messages together. */
  readonly promptChars: number;
  readonly maxTokens: number;
}
const DEFAULT_LIMITS: Limits = { promptChars: 32_768, maxTokens: 2048 };

/** Registers a schema under the name it has in openapi.yaml. */
export const named = <S extends z.ZodType>(id: string, schema: S): S => schema.meta({ id });

const JOB_ID = z
  .string()
  .regex(/^[^\p{Cc}\p{Cs}\p{Zl}\p{Zp}]{1,256}$/u)
  .meta({ description: 'Id of the job, chosen by the caller: 1 to 256 characters, no control characters' });

const message = z.object({
  role: z.enum(['system', 'user', 'assistant']).meta({ description: 'Who says it' }),
  content: z.string().meta({ description: 'What is said' }),
});

/** A number of things, bytes or tokens. */
export const counted = (description: string) => z.int().min(0).meta({ description });
const WORKER_ID = z.string().meta({ description: 'Identity given by the pool-manager (`--worker-id`)' });

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
      .max(256)
      .refine((all) => chars(all.map((one) => one.content).join('')), { params: { constraint: 'max_length' } })
      .optional()
      .meta({ description: "A conversation, rendered with the model's chat template" }),
    raw: z
      .boolean()
      .optional()
      .meta({ description: 'true = do not wrap `prompt` in the chat template. Not with `messages`' }),
    max_tokens: z.int().min(1).max(limits.maxTokens).optional().meta({
      description: 'Most tokens to generate. When absent: the highest allowed, cut to what the context leaves',
    }),
    min_tokens: z.int().min(0).max(limits.maxTokens).optional().meta({
      description: 'End of sequence is not drawn before this many tokens; at most `max_tokens`. When absent: 0',
    }),
    ...SAMPLING_FIELDS,
    on_disconnect: z
      .enum(['cancel', 'continue'])
      .optional()
      .meta({
        description:
          'What happens when the last reader leaves before the end. `cancel`: the job stops. `continue`: it goes on, and waits for a reader ' +
          'at `GET /jobs/{job_id}/events` for `--detach-timeout`. When absent: `cancel`',
      }),
  };
}

export const ExecuteBody = named(
  'ExecuteRequest',
  z.object(executeFields()).meta({
    oneOf: [{ required: ['prompt'] }, { required: ['messages'] }],
    description:
      'One job. Exactly one of `prompt` and `messages` is given. Unknown fields are ignored, and named in a narration. ' +
      'The highest `prompt` length and `max_tokens` are the defaults of `--max-prompt-chars` and `--max-tokens-cap`.',
  }),
);
export type ExecuteRequest = z.output<typeof ExecuteBody>;

export const CancelBody = named('CancelRequest', z.object({ job_id: JOB_ID }));
export const CancelAnswer = named(
  'CancelAnswer',
  z.object({
    job_id: z.string().meta({ description: 'The id that was asked for' }),
    status: z.enum(['cancelling', 'finished']).meta({
      description:
        '`cancelling`: the stream ends with the error `CANCELLED` in a moment. `finished`: it was over already',
    }),
  }),
);
export const ShutdownAnswer = named(
  'ShutdownAnswer',
  z.object({
    status: z.literal('draining').meta({ description: 'No new jobs; those in flight may finish' }),
    timeout_seconds: counted('Seconds that jobs in flight have (`--shutdown-timeout`)'),
  }),
);
export const LiveAnswer = named(
  'LiveAnswer',
  z.object({
    status: z.literal('alive').meta({ description: 'The process answers' }),
    worker_id: WORKER_ID,
    engine_heartbeat_age_ms: counted(
      'Milliseconds since the engine process was last heard: about a second at most while it is idle, as long as a step takes while it works. ' +
        'Absent until it has spoken for the first time',
    ).optional(),
  }),
);
export const ReadyAnswer = named(
  'ReadyAnswer',
  z.object({ status: z.literal('ready').meta({ description: 'A job would be accepted' }), worker_id: WORKER_ID }),
);

const violation = z.object({
  field: z.string().meta({ description: 'Path of the field in the body, or the name of the header' }),
  constraint: z.string().meta({ description: 'Short name of the rule, such as `required` or `maximum`' }),
  message: z.string().meta({ description: 'What the field must be, as a sentence' }),
  value: z
    .union([z.string(), z.number(), z.boolean()])
    .optional()
    .meta({ description: 'What it is, where that may be shown. Words of a prompt never are' }),
});

export const ErrorAnswer = named(
  'ErrorAnswer',
  z
    .object({
      error: z.object({
        code: z.enum(Object.keys(ERRORS) as [ErrorCode]).meta({ description: 'Stable name of the error' }),
        message: z.string().meta({ description: 'One sentence for people' }),
        retriable: z.boolean().meta({ description: 'Whether the same request can succeed later' }),
        correlation_id: z.string().meta({ description: 'The same as in `X-Correlation-Id`' }),
        details: z
          .record(z.string(), z.union([z.string(), z.number()]))
          .optional()
          .meta({ description: 'Facts of this error, such as `slots_total` and `slots_busy` or `retry_after_ms`' }),
        errors: z.array(violation).optional().meta({ description: 'Every rule that the request breaks' }),
      }),
    })
    .meta({ description: 'The one shape of every error that is answered before a stream begins' }),
);

export const HealthAnswer = named(
  'Health',
  z
    .object({
      status: z.enum(['starting', 'healthy', 'draining', 'unhealthy']).meta({
        description: '`starting`: the model is loading. `unhealthy`: the engine process was lost',
      }),
      worker_id: WORKER_ID,
      model: z.string().meta({ description: 'Name of the model; empty while it is loading' }),
      device: z.string().meta({ description: 'Where the model runs: `cpu`, `cuda-0`, …; empty while it is loading' }),
      resident: z.boolean().meta({ description: 'Whether the model is in memory' }),
      vram_bytes: counted('Bytes held on the device; 0 on CPU'),
      memory_bytes: counted('Bytes of memory held by the worker and its engine'),
      quant_kind: z.string().meta({ description: 'Type of the weights, such as `fp32` or `q4`' }),
      tokenizer_kind: z.string().meta({ description: 'Kind of the tokenizer, such as `bpe`' }),
      vocab_size: counted('Ids in the vocabulary'),
      context_length: counted('Tokens per slot, prompt and output together'),
      uptime_seconds: z.number().min(0).meta({ description: 'Seconds since the process began its work' }),
      slots: z
        .object({ total: counted('Sequences that can be decoded together'), busy: counted('Slots that are taken') })
        .meta({ description: 'Rows of the cache' }),
      queue: z
        .object({ length: counted('Requests that wait for a slot'), limit: counted('Requests that may wait') })
        .meta({ description: 'Beyond the limit, `POST /execute` answers 503' }),
      capabilities: z.array(z.string()).meta({ description: 'What the worker can do' }),
      protocol: z.literal('sse').meta({ description: 'How it answers' }),
      version: z.string().meta({ description: 'Version of the worker' }),
    })
    .meta({ description: 'Cached state only: answered in the middle of any load' }),
);
export type Health = z.output<typeof HealthAnswer>;

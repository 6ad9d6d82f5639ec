/**
 * The JSON answers of every route. Types and openapi.yaml come from these schemas; descriptions become its words.
 */
import { z } from 'zod';
import { ERRORS, type ErrorCode } from './errors.ts';
import { counted, named, WORKER_ID } from './schema.ts';

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
export type ErrorBody = z.output<typeof ErrorAnswer>;

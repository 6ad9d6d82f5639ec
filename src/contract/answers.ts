/**
 * The JSON answers of all routes. The types and openapi.yaml, with these descriptions, are derived from the
 * schemas.
 */
import { z } from 'zod';
import { ERRORS, type ErrorCode } from './errors.ts';
import { counted, named, WORKER_ID } from './schema.ts';

export const CancelAnswer = named(
  'CancelAnswer',
  z.object({
    job_id: z.string().meta({ description: 'Id of the job in the request' }),
    status: z.enum(['cancelling', 'finished']).meta({
      description: '`cancelling`: the stream will end with the error `CANCELLED`. `finished`: the job was already over',
    }),
  }),
);
export const ShutdownAnswer = named(
  'ShutdownAnswer',
  z.object({
    status: z.literal('draining').meta({ description: 'New jobs are refused; running jobs may finish' }),
    timeout_seconds: counted(
      'Seconds until the process has ended at the latest (`--shutdown-timeout`). Running jobs get all but the last 4, ' +
        'and at least half',
    ),
  }),
);
export const LiveAnswer = named(
  'LiveAnswer',
  z.object({
    status: z.literal('alive').meta({ description: 'The process responds' }),
    worker_id: WORKER_ID,
    engine_heartbeat_age_ms: counted(
      'Milliseconds since the last message of the engine process: about one second at most while the engine is idle, ' +
        'up to the length of a step while it computes. Absent before its first message',
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
  message: z.string().meta({ description: 'The rule as a sentence' }),
  value: z
    .union([z.string(), z.number(), z.boolean()])
    .optional()
    .meta({ description: 'The rejected value; absent where it may contain text of a prompt' }),
});

export const ErrorAnswer = named(
  'ErrorAnswer',
  z
    .object({
      error: z.object({
        code: z.enum(Object.keys(ERRORS) as [ErrorCode]).meta({ description: 'Stable name of the error' }),
        message: z.string().meta({ description: 'The error as a sentence' }),
        retriable: z.boolean().meta({ description: 'True if the same request can succeed later' }),
        correlation_id: z.string().meta({ description: 'Same as the header `X-Correlation-Id`' }),
        details: z
          .record(z.string(), z.union([z.string(), z.number()]))
          .optional()
          .meta({ description: 'Facts about the error, such as `slots_total`, `slots_busy` and `retry_after_ms`' }),
        errors: z.array(violation).optional().meta({ description: 'All rules that the request breaks' }),
      }),
    })
    .meta({ description: 'Body of every error that is answered before a stream begins' }),
);

export const HealthAnswer = named(
  'Health',
  z
    .object({
      status: z.enum(['starting', 'healthy', 'draining', 'unhealthy']).meta({
        description: '`starting`: the model is loading. `unhealthy`: the engine process was lost',
      }),
      worker_id: WORKER_ID,
      model: z.string().meta({ description: 'Name of the model; empty while the model is loading' }),
      device: z
        .string()
        .meta({ description: 'Device that runs the model: `cpu`, `cuda-0`, …; empty while the model is loading' }),
      resident: z.boolean().meta({ description: 'True if the model is in memory' }),
      vram_bytes: counted('Bytes used on the device; 0 on CPU'),
      memory_bytes: counted(
        'Bytes of memory used by the worker and its engine. Absent if the system does not report them, for example ' +
          'while the worker has no free file descriptor',
      ).optional(),
      quant_kind: z.string().meta({ description: 'Type of the weights, such as `fp32` or `q4`' }),
      tokenizer_kind: z.string().meta({ description: 'Kind of the tokenizer, such as `bpe`' }),
      vocab_size: counted('Number of ids in the vocabulary'),
      context_length: counted('Tokens per slot, prompt and output together'),
      uptime_seconds: z.number().min(0).meta({ description: 'Seconds since the process started' }),
      slots: z
        .object({ total: counted('Sequences that can be decoded at the same time'), busy: counted('Slots in use') })
        .meta({ description: 'Rows of the cache' }),
      queue: z
        .object({
          length: counted('Requests that wait for a slot'),
          limit: counted('Maximum number of waiting requests'),
        })
        .meta({ description: 'A request beyond the limit is answered 503' }),
      capabilities: z.array(z.string()).meta({ description: 'Capabilities of the worker' }),
      protocol: z.literal('sse').meta({ description: 'Protocol of the answers' }),
      version: z.string().meta({ description: 'Version of the worker' }),
    })
    .meta({ description: 'Cached state only, so the answer is fast under any load' }),
);
export type Health = z.output<typeof HealthAnswer>;
export type ErrorBody = z.output<typeof ErrorAnswer>;

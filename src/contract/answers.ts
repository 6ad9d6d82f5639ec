/**
 * The JSON answers of all routes. The types and openapi.yaml, with these descriptions, are derived from the
 * schemas.
 */
import { z } from 'zod';
import { ERRORS, type ErrorCode, STREAM_ERROR_CODES } from './errors.ts';
import { JOB_STATES } from './job-states.ts';
import { counted, IDENTITY_FIELDS, named, RETRY_FIELDS, RUN_ID, STOP_REASON, WORKER_ID } from './schema.ts';

const HEARTBEAT_AGE = counted(
  'Milliseconds since the last message of the engine process: about four seconds at most while the engine is idle, ' +
    'up to the length of a step while it computes. Absent before its first message',
).optional();
const ACCEPTING = z.boolean().meta({ description: 'True if a job would be accepted now' });
const EXPECTED_WAIT =
  'Estimated milliseconds until a new job would have a slot; 0 while a slot is free. A full worker would refuse the job: ' +
  'then this is the wait behind all jobs of the queue. Absent without an estimate, and while the worker is not ready';
const QUEUED_PROMPT_TOKENS = 'Prompt tokens of the requests that wait for a slot';
/** `/ready` needs no token, and the load tells about the requests of other callers. */
const WITH_TOKEN = '. With `--api-token`, only requests with the token get it';

export const CancelAnswer = named(
  'CancelAnswer',
  z.object({
    job_id: z.string().meta({ description: 'Id of the job in the request' }),
    status: z.enum(['cancelling', 'finished']).meta({
      description: '`cancelling`: the stream will end with the error `CANCELLED`. `finished`: the job was already over',
    }),
  }),
);
export type CancelResult = z.output<typeof CancelAnswer>;
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
    engine_heartbeat_age_ms: HEARTBEAT_AGE,
  }),
);
export const ReadyAnswer = named(
  'ReadyAnswer',
  z.object({
    status: z.literal('ready').meta({
      description: 'The model is loaded, the engine answers, and the worker does not drain. A full worker is ready too',
    }),
    worker_id: WORKER_ID,
    accepting: ACCEPTING,
    expected_wait_ms: counted(EXPECTED_WAIT + WITH_TOKEN).optional(),
    queued_prompt_tokens: counted(QUEUED_PROMPT_TOKENS + WITH_TOKEN).optional(),
  }),
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
        ...RETRY_FIELDS,
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

const jobRow = z.object({
  job_id: z.string().meta({ description: 'Id of the job, chosen by the caller' }),
  run_id: RUN_ID,
  correlation_id: z.string().meta({ description: '`X-Correlation-Id` of the request that started the job' }),
  state: z.enum(JOB_STATES).meta({
    description:
      '`waiting`: the prompt is being tokenized, or no slot is free. `running`: the job has a slot. `stopping`: a cancel, a ' +
      'deadline, a stop string or the drain ends the job, and the engine has not confirmed it. `finished`: its events can be read again',
  }),
  stop_reason: STOP_REASON.optional(),
  error_code: z
    .enum(STREAM_ERROR_CODES)
    .optional()
    .meta({ description: 'Code of the error that ended the job; absent for a job with `stop_reason`' }),
  tokens_in: counted('Tokens of the prompt; absent until it is tokenized').optional(),
  tokens_out: counted('Tokens generated so far'),
  readers: counted('Subscribers that read the events now'),
  accepted_at: z.iso.datetime().meta({ description: 'When the job was accepted' }),
  finished_at: z.iso.datetime().optional().meta({ description: 'When the job ended; absent before' }),
  age_ms: counted('Milliseconds since the job was accepted'),
  first_event_id: counted('Number of the oldest event that can be read'),
  next_event_id: counted('Number of the next event: events from `first_event_id` to the one before can be read'),
  log_bytes: counted('Bytes of memory of the events'),
});

const totalOf = (state: (typeof JOB_STATES)[number]) => counted(`Number of jobs in the state \`${state}\``);
export const JobsAnswerSchema = named(
  'JobsAnswer',
  z
    .object({
      totals: z
        .object({
          waiting: totalOf('waiting'),
          running: totalOf('running'),
          stopping: totalOf('stopping'),
          finished: totalOf('finished'),
        })
        .meta({ description: 'Numbers of all jobs, also of those that `limit` and `state` leave out' }),
      jobs: z.array(jobRow).meta({
        description: 'Running jobs in the order of acceptance, then finished jobs, the last one first',
      }),
    })
    .meta({ description: 'Numbers and ids only: no text of a prompt or an output' }),
);
export type JobRow = z.output<typeof jobRow>;
export type JobsAnswer = z.output<typeof JobsAnswerSchema>;

const TEMPLATE_FACTS = z
  .object({
    tools: z.enum(['json', 'named', 'tagged', 'pythonic', 'gemma', 'harmony', 'generic']).meta({
      description:
        'Style of the tool calls. `generic`: the template has no tools, and the worker describes its own format',
    }),
    parallel: z.boolean().meta({ description: 'True if an answer can have several tool calls' }),
    reasoning: z.enum(['none', 'optional', 'forced']).meta({
      description: '`forced`: the prompt of the template begins the reasoning',
    }),
    reasoning_open: z
      .string()
      .optional()
      .meta({ description: 'Text that begins a reasoning; absent without reasoning' }),
  })
  .meta({
    description:
      "What the model's default chat template writes besides plain answers. Absent without a template, and for a moment after the load",
  });

export const HealthAnswer = named(
  'Health',
  z
    .object({
      status: z.enum(['starting', 'healthy', 'stalled', 'draining', 'unhealthy']).meta({
        description:
          '`starting`: the model is loading. `stalled`: the engine process is silent for too long (`--stall-after`). ' +
          '`unhealthy`: the engine process was lost',
      }),
      worker_id: WORKER_ID,
      ...IDENTITY_FIELDS,
      model: z.string().meta({ description: 'Name of the model; empty while the model is loading' }),
      device: z
        .string()
        .meta({ description: 'Device that runs the model: `cpu`, `cuda-0`, …; empty while the model is loading' }),
      resident: z.boolean().meta({ description: 'True if the model is in memory' }),
      vram_bytes: counted('Bytes used on the device; 0 on CPU'),
      memory_bytes: counted(
        'Bytes of memory of the worker and its engine: proportional memory (PSS), so that the figures of several ' +
          'workers can be added; resident memory (RSS) on systems without it (macOS, Windows, Linux before 4.14, or a ' +
          'hidden /proc). A request starts the next reading, in the background, if the figure is older than 2 s. ' +
          'Absent if the system reports neither, for example while the worker has no free file descriptor',
      ).optional(),
      own_bytes: counted(
        'Bytes of memory that only this worker and its engine have: heaps, KV cache, and copies of weights. Read ' +
          'together with `memory_bytes`. Absent where the system does not report it',
      ).optional(),
      shared_bytes: counted(
        'Bytes of the files that the engine has mapped into memory, such as saved weights and the library of the ' +
          'runtime: the machine has them once for all workers. Absent as `own_bytes`',
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
      accepting: ACCEPTING,
      expected_wait_ms: counted(EXPECTED_WAIT).optional(),
      queued_prompt_tokens: counted(QUEUED_PROMPT_TOKENS),
      engine_heartbeat_age_ms: HEARTBEAT_AGE,
      chat_template: TEMPLATE_FACTS.optional(),
      capabilities: z.array(z.string()).meta({ description: 'Capabilities of the worker' }),
      protocol: z.literal('sse').meta({ description: 'Protocol of the answers' }),
      version: z.string().meta({ description: 'Version of the worker' }),
    })
    .meta({ description: 'Cached state only, so the answer is fast under any load' }),
);
export type Health = z.output<typeof HealthAnswer>;
export type ErrorBody = z.output<typeof ErrorAnswer>;

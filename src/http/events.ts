/**
 * The zod schemas of every event of a stream: types and openapi.yaml come from here.
 */
import { z } from 'zod';
import { STREAM_ERROR_CODES } from '../errors.ts';
import { CATALOGUE } from '../narration/catalogue.ts';
import { FIELDS, type FieldName, type FieldValues } from '../narration/fields.ts';
import { named } from './schemas.ts';

const correlated = { correlation_id: z.string() };
const likelihood = { id: z.int(), logprob: z.number() };
const scored = { ...likelihood, top: z.array(z.object(likelihood)) };
const typedField = (row: (typeof FIELDS)[keyof typeof FIELDS]) => {
  const kind = row.type === 'string' ? z.string() : row.type === 'integer' ? z.int() : z.number();
  return kind.optional().meta({ description: row.meaning });
};

const typedFields = Object.fromEntries(
  Object.entries(FIELDS).map(([name, row]) => [name, typedField(row)]),
) as unknown as {
  readonly [F in FieldName]: z.ZodOptional<z.ZodType<FieldValues[F]>>;
};

/** Every event of a stream by its name. */
export const EVENTS = {
  started: named(
    'StartedEvent',
    z.object({
      type: z.literal('started'),
      job_id: z.string(),
      model: z.string(),
      started_at: z.iso.datetime(),
      seed: z.int(),
      worker_id: z.string(),
      ...correlated,
    }),
  ),
  narration: named(
    'NarrationEvent',
    z.object({
      type: z.literal('narration'),
      event: z.enum(Object.keys(CATALOGUE) as [keyof typeof CATALOGUE]),
      level: z.enum(['TRACE', 'DEBUG', 'INFO', 'WARN', 'ERROR', 'FATAL']),
      actor: z.string(),
      action: z.string(),
      target: z.string(),
      human: z.string().max(100),
      cute: z.string().max(150).optional(),
      story: z.string().max(200).optional(),
      ...correlated,
      worker_id: z.string(),
      job_id: z.string().optional(),
      trace_id: z.string().optional(),
      span_id: z.string().optional(),
      emitted_by: z.string().optional(),
      ...typedFields,
    }),
  ),
  token: named(
    'TokenEvent',
    z.object({
      type: z.literal('token'),
      t: z.string().min(1).meta({ description: 'Text, always whole characters' }),
      i: z.int().meta({ description: '0, 1, 2, … without a gap' }),
      id: z.int().optional(),
      logprob: z.number().optional(),
      top: z.array(z.object(likelihood)).optional(),
      earlier: z
        .array(z.object(scored))
        .optional()
        .meta({ description: 'With logprobs: tokens that completed no character and ride with this one' }),
    }),
  ),
  metrics: named(
    'MetricsEvent',
    z.object({
      type: z.literal('metrics'),
      tokens_out: z.int(),
      tokens_per_sec: z.number(),
      time_to_first_token_ms: z.number(),
      vram_bytes: z.int(),
      batch_size: z.int(),
    }),
  ),
  end: named(
    'EndEvent',
    z.object({
      type: z.literal('end'),
      tokens_in: z.int(),
      tokens_out: z.int(),
      decode_time_ms: z.number(),
      time_to_first_token_ms: z.number(),
      queue_ms: z.number(),
      cached_tokens: z.int(),
      stop_reason: z.enum(['max_tokens', 'eos', 'stop_sequence']),
      stop_sequence_matched: z.string().optional(),
      seed: z.int(),
      shed: z.int().optional().meta({ description: 'Narrations and metrics held back from a slow reader' }),
      ...correlated,
    }),
  ),
  error: named(
    'ErrorEvent',
    z.object({
      type: z.literal('error'),
      code: z.enum(STREAM_ERROR_CODES),
      message: z.string(),
      retriable: z.boolean(),
      ...correlated,
    }),
  ),
} as const;

export type EventType = keyof typeof EVENTS;
type Event<T extends EventType> = z.input<(typeof EVENTS)[T]>;
/** The data of an event, without the name that is repeated in it and the correlation id that the stream adds. */
export type EventData<T extends EventType> = Omit<Event<T>, 'type' | 'correlation_id'>;

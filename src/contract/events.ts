/**
 * The zod schemas of every event of a stream: types and openapi.yaml come from here.
 */
import { z } from 'zod';
import { CATALOGUE } from '../narration/catalogue/catalogue.ts';
import { FIELDS, type FieldName, type FieldValues } from '../narration/fields.ts';
import { STREAM_ERROR_CODES } from './errors.ts';
import { counted, named, WORKER_ID } from './schema.ts';

const said = (description: string) => z.string().meta({ description });
const milliseconds = (description: string) => z.number().min(0).meta({ description });
const type = <N extends string>(name: N) => z.literal(name).meta({ description: 'The same as the `event:` line' });

const correlated = { correlation_id: said('The same as in `X-Correlation-Id`') };
const SEED = counted('Seed of the draw; the same seed draws the same tokens');
const likelihood = {
  id: counted('Id of the token in the vocabulary'),
  logprob: z.number().meta({ description: 'Natural logarithm of its probability' }),
};
const alternatives = z.array(z.object(likelihood)).meta({ description: 'The likeliest tokens at this place' });
const scored = { ...likelihood, top: alternatives };

/** Only these are told in a stream; `shed` can ride with any of them. */
const REQUEST_EVENTS = Object.entries(CATALOGUE).filter(([, entry]) => entry.scope === 'request');
const REQUEST_FIELDS: ReadonlySet<string> = new Set(
  REQUEST_EVENTS.flatMap(([, { required, optional }]) => [...required, ...optional]),
);

const typedField = (row: (typeof FIELDS)[keyof typeof FIELDS]) => {
  const kind = row.type === 'string' ? z.string() : row.type === 'integer' ? z.int() : z.number();
  return kind.optional().meta({ description: row.meaning });
};

const typedFields = Object.fromEntries(
  Object.entries(FIELDS)
    .filter(([name]) => REQUEST_FIELDS.has(name))
    .map(([name, row]) => [name, typedField(row)]),
) as unknown as {
  readonly [F in FieldName]: z.ZodOptional<z.ZodType<FieldValues[F]>>;
};

/** Every event of a stream by its name. */
export const EVENTS = {
  started: named(
    'StartedEvent',
    z
      .object({
        type: type('started'),
        job_id: said('Id of the job, as the caller chose it'),
        model: said('Name of the model'),
        started_at: z.iso.datetime().meta({ description: 'When the job was accepted' }),
        seed: SEED,
        worker_id: WORKER_ID,
        ...correlated,
      })
      .meta({ description: 'The first event of every accepted job' }),
  ),
  narration: named(
    'NarrationEvent',
    z
      .object({
        type: type('narration'),
        event: z
          .enum(REQUEST_EVENTS.map(([name]) => name) as [keyof typeof CATALOGUE])
          .meta({ description: 'Stable code of what happened; docs/narration.md has them all' }),
        level: z.enum(['TRACE', 'DEBUG', 'INFO', 'WARN', 'ERROR', 'FATAL']).meta({ description: 'How loud it is' }),
        actor: said('The part of the worker that speaks'),
        action: said('What that part does'),
        target: said('What it is about: the job id, or for example a slot'),
        human: z.string().max(100).meta({ description: 'The sentence for everybody' }),
        cute: z.string().max(150).optional().meta({ description: 'The same with a smile (`--narration full`)' }),
        story: z
          .string()
          .max(200)
          .optional()
          .meta({ description: 'The same as a dialogue, where two parts talk (`--narration full`)' }),
        ...correlated,
        worker_id: WORKER_ID,
        job_id: said('Id of the job; absent when the request had none').optional(),
        trace_id: said('Trace of the `traceparent` header').optional(),
        span_id: said('Parent span of the `traceparent` header').optional(),
        emitted_by: said('Name and version of the worker').optional(),
        ...typedFields,
      })
      .meta({ description: 'What the worker is doing for this job, in words and typed facts' }),
  ),
  token: named(
    'TokenEvent',
    z
      .object({
        type: type('token'),
        t: z.string().min(1).meta({ description: 'Text, always whole characters' }),
        i: counted('0, 1, 2, … without a gap'),
        id: counted('With logprobs: id of the token that completed the text').optional(),
        logprob: likelihood.logprob
          .optional()
          .meta({ description: 'With logprobs: natural logarithm of its probability' }),
        top: alternatives.optional().meta({ description: 'With logprobs: the likeliest tokens at this place' }),
        earlier: z
          .array(z.object(scored))
          .optional()
          .meta({ description: 'With logprobs: tokens that completed no character and ride with this one' }),
      })
      .meta({ description: 'A piece of the output. All `t` joined are the output' }),
  ),
  metrics: named(
    'MetricsEvent',
    z
      .object({
        type: type('metrics'),
        tokens_out: counted('Tokens generated so far'),
        tokens_per_sec: z.number().min(0).meta({ description: 'Tokens generated per second; 0 for the first' }),
        time_to_first_token_ms: milliseconds('Milliseconds from acceptance to the first token'),
        vram_bytes: counted('Bytes held on the device; 0 on CPU'),
        batch_size: counted('Sequences decoded together'),
      })
      .meta({ description: 'How fast it goes; two of them are at least 500 ms apart' }),
  ),
  end: named(
    'EndEvent',
    z
      .object({
        type: type('end'),
        tokens_in: counted('Tokens of the prompt'),
        tokens_out: counted('Tokens generated'),
        decode_time_ms: milliseconds('Milliseconds from the first token to the last'),
        time_to_first_token_ms: milliseconds('Milliseconds from acceptance to the first token'),
        queue_ms: milliseconds('Milliseconds spent waiting for a slot'),
        cached_tokens: counted('Prompt tokens that were still in the cache'),
        stop_reason: z.enum(['max_tokens', 'eos', 'stop_sequence']).meta({ description: 'Why the output ends here' }),
        stop_sequence_matched: said('The string of `stop` that was met').optional(),
        seed: SEED,
        shed: counted('Narrations and metrics held back from a slow reader').optional(),
        ...correlated,
      })
      .meta({ description: 'The job is done. The last event of its stream' }),
  ),
  error: named(
    'ErrorEvent',
    z
      .object({
        type: type('error'),
        code: z.enum(STREAM_ERROR_CODES).meta({ description: 'Stable name of the error' }),
        message: said('One sentence for people'),
        retriable: z.boolean().meta({ description: 'Whether the same request can succeed later' }),
        ...correlated,
      })
      .meta({ description: 'The job ends early. The last event of its stream' }),
  ),
} as const;

export type EventType = keyof typeof EVENTS;
type Event<T extends EventType> = z.input<(typeof EVENTS)[T]>;
/** The data of an event, without the name that is repeated in it and the correlation id that the stream adds. */
export type EventData<T extends EventType> = Omit<Event<T>, 'type' | 'correlation_id'>;
/** The data of any event of a stream, told apart by `type`. */
export type StreamEvent = { [T in EventType]: Event<T> }[EventType];

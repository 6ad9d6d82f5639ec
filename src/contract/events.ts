/**
 * The zod schemas of all events of a stream. The types and openapi.yaml are derived from them.
 */
import { z } from 'zod';
import { CATALOGUE } from '../narration/catalogue/catalogue.ts';
import { LIMITS } from '../narration/entry.ts';
import { FIELDS, type FieldName, type FieldValues } from '../narration/fields.ts';
import { STREAM_ERROR_CODES } from './errors.ts';
import { fingerprintFact, resumeFacts } from './resume/fields.ts';
import { counted, named, RETRY_FIELDS, RUN_ID, STOP_REASON, WORKER_ID } from './schema.ts';

const text = (description: string) => z.string().meta({ description });
const milliseconds = (description: string) => z.number().min(0).meta({ description });
const type = <N extends string>(name: N) => z.literal(name).meta({ description: 'Same as the `event:` line' });

const correlated = { correlation_id: text('Same as the header `X-Correlation-Id`') };
const SEED = counted('Seed of the sampler; the same seed samples the same tokens');
const likelihood = {
  id: counted('Id of the token in the vocabulary'),
  logprob: z.number().meta({ description: 'Natural logarithm of its probability' }),
};
const alternatives = z.array(z.object(likelihood)).meta({ description: 'The most likely tokens at this position' });
const scored = { ...likelihood, top: alternatives };

/** Parts of an output besides the answer. */
const TOKEN_PARTS = ['reasoning', 'tool_name', 'tool_arguments'] as const;

/** Narrations that a stream can contain. Each of them can have the field `shed`. */
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
  readonly [F in FieldName]: z.ZodOptional<z.ZodType<FieldValues[F], FieldValues[F]>>;
};

/** Every event of a stream, by name. */
export const EVENTS = {
  started: named(
    'StartedEvent',
    z
      .object({
        type: type('started'),
        job_id: text('Id of the job, chosen by the caller'),
        run_id: RUN_ID,
        model: text('Name of the model'),
        started_at: z.iso.datetime().meta({ description: 'When the job was accepted' }),
        seed: SEED,
        fingerprint: fingerprintFact().optional(),
        resumed_ids: counted('With `resume`: number of ids of the earlier output that are kept').optional(),
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
          .meta({ description: 'Stable name of the narration; docs/narration.md lists all of them' }),
        level: z.enum(['TRACE', 'DEBUG', 'INFO', 'WARN', 'ERROR', 'FATAL']).meta({ description: 'Severity' }),
        actor: text('The component that reports'),
        action: text('The action of that component'),
        target: text('The object of the action: the job id, or for example a slot'),
        human: z
          .string()
          .max(LIMITS.warning)
          .meta({
            description: `The event as a sentence: at most ${LIMITS.human} characters, at WARN and above ${LIMITS.warning}`,
          }),
        cute: z.string().max(LIMITS.cute).optional().meta({ description: 'The same, playfully (`--narration full`)' }),
        story: z
          .string()
          .max(LIMITS.story)
          .optional()
          .meta({ description: 'The same as a dialogue between two components (`--narration full`)' }),
        ...correlated,
        worker_id: WORKER_ID,
        job_id: text('Id of the job; absent if the request had none').optional(),
        run_id: text('Id of the run of the job; absent if the request was refused before it became a job').optional(),
        trace_id: text(
          'Trace id of the `traceparent` header, or of the new trace if the worker exports traces',
        ).optional(),
        span_id: text(
          'Id of the span of the request if the worker exports traces, otherwise the parent id of `traceparent`',
        ).optional(),
        emitted_by: text('Name and version of the worker').optional(),
        ...typedFields,
      })
      .meta({ description: 'A step of the worker for this job, as a sentence and typed facts' }),
  ),
  token: named(
    'TokenEvent',
    z
      .object({
        type: type('token'),
        t: z.string().min(1).meta({ description: 'Text; always whole characters' }),
        i: counted('Index of the piece: 0, 1, 2, … without a gap'),
        part: z
          .enum(TOKEN_PARTS)
          .optional()
          .meta({
            description:
              'With `parts`: the part of the output. Absent for the answer. `tool_name`: `t` is the name of the function of a ' +
              'new call. `tool_arguments`: `t` is a piece of the arguments of a call; all pieces joined are a JSON object',
          }),
        call: counted('With `tool_name` and `tool_arguments`: index of the tool call in the output').optional(),
        call_id: text('With `tool_name`: id of the tool call').optional(),
        ids: z
          .array(counted('Id in the vocabulary'))
          .optional()
          .meta({
            description:
              'With `ids`: ids of all tokens since the last event with `ids`, up to the token that completed this text. Absent ' +
              'for a further piece of the same token. Ids of `resume` are not told again',
          }),
        id: counted('With logprobs: id of the token that completed the text').optional(),
        logprob: likelihood.logprob
          .optional()
          .meta({ description: 'With logprobs: natural logarithm of its probability' }),
        top: alternatives.optional().meta({ description: 'With logprobs: the most likely tokens at this position' }),
        earlier: z
          .array(z.object(scored))
          .optional()
          .meta({ description: 'With logprobs: earlier tokens that did not complete a character' }),
      })
      .meta({
        description:
          'A piece of the output. All `t` joined give the output; with `parts`, all `t` of a part give that part',
      }),
  ),
  metrics: named(
    'MetricsEvent',
    z
      .object({
        type: type('metrics'),
        tokens_out: counted('Tokens generated so far'),
        tokens_per_sec: z.number().min(0).meta({ description: 'Tokens generated per second; 0 for the first' }),
        time_to_first_token_ms: milliseconds('Milliseconds from acceptance to the first token'),
        vram_bytes: counted('Bytes used on the device; 0 on CPU'),
        batch_size: counted('Sequences decoded together'),
      })
      .meta({ description: 'Speed so far; at most one such event in 500 ms' }),
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
        cached_tokens: counted('Tokens of the prompt, and of the ids of `resume`, that were in the cache'),
        stop_reason: STOP_REASON,
        stop_sequence_matched: text('The string of `stop` that ended the output').optional(),
        tool_calls: counted('Number of tool calls in the output; absent without a call').optional(),
        reasoning_tokens: counted('With `parts`: tokens of the reasoning; absent without reasoning').optional(),
        seed: SEED,
        shed: counted('Narrations and metrics that were not sent because the reader was slow').optional(),
        ...correlated,
      })
      .meta({ description: 'The job is complete. Last event of the stream' }),
  ),
  error: named(
    'ErrorEvent',
    z
      .object({
        type: type('error'),
        code: z.enum(STREAM_ERROR_CODES).meta({ description: 'Stable name of the error' }),
        message: text('The error as a sentence'),
        ...RETRY_FIELDS,
        resume: resumeFacts().optional(),
        ...correlated,
      })
      .meta({ description: 'The job ended early. Last event of the stream' }),
  ),
} as const;

export type EventType = keyof typeof EVENTS;
type Event<T extends EventType> = z.input<(typeof EVENTS)[T]>;
/** The data of any event of a stream; `type` distinguishes the events. */
export type StreamEvent = { [T in EventType]: Event<T> }[EventType];
/** An event as a job emits it. The encoder of a stream adds the correlation id. */
export type EventBody<T extends EventType = EventType> = {
  [N in T]: Omit<Event<N>, 'type' | 'correlation_id'> & { readonly type: N };
}[T];

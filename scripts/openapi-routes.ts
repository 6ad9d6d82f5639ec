/**
 * The routes for a caller: purpose, parameters, answers. scripts/openapi.ts takes schemas, error sentences
 * and examples from the code and from the recordings.
 */
import type { ErrorCode } from '../src/contract/errors.ts';
import type { EventType } from '../src/contract/events.ts';

/** Media type → schema. */
export type Content = Readonly<Record<string, object>>;

export interface Answer {
  readonly description: string;
  readonly content?: Content;
  readonly headers?: readonly string[];
  /** The body is a stream of events. */
  readonly stream?: true;
}

export interface Route {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly tag: string;
  readonly id: string;
  readonly summary: string;
  readonly description?: string;
  /** Needs no token. */
  readonly open?: true;
  /** Names of PARAMETERS. */
  readonly takes: readonly string[];
  /** Name of the schema of the body. */
  readonly body?: string;
  /** Status → answer. */
  readonly answers: Readonly<Record<number, Answer>>;
  readonly errors: readonly ErrorCode[];
  readonly errorHeaders?: Readonly<Record<number, readonly string[]>>;
  readonly errorForms?: Readonly<Record<number, { readonly description: string; readonly content?: Content }>>;
}

const json = (schema: object): Content => ({ 'application/json': schema });
const ref = (schema: string) => ({ $ref: `#/components/schemas/${schema}` });
const text = { type: 'string' };

/** What every `POST` with a body can be refused with before its own rules are asked. */
const BODY: readonly ErrorCode[] = [
  'INVALID_REQUEST',
  'FORBIDDEN_ORIGIN',
  'PAYLOAD_TOO_LARGE',
  'UNSUPPORTED_MEDIA_TYPE',
];
const GUARDED: readonly ErrorCode[] = ['UNAUTHORIZED'];
/**
 * Not well-formed HTTP (400), from or through the page of another site (403), a fault of the worker (500).
 */
const ANY: readonly ErrorCode[] = ['INVALID_REQUEST', 'FORBIDDEN_ORIGIN', 'INTERNAL'];
const NOT_READY: readonly ErrorCode[] = ['LOADING', 'DRAINING', 'WORKER_UNHEALTHY'];

/** A schema that is one of several events, told apart by `type`. */
const oneOf = (events: Readonly<Record<string, string>>) => ({
  oneOf: Object.values(events).map((id) => ref(id)),
  discriminator: {
    propertyName: 'type',
    mapping: Object.fromEntries(Object.entries(events).map(([type, id]) => [type, ref(id).$ref])),
  },
});

const THE_STREAM = `\
The job is accepted and this is its stream of server-sent events. The schema is that of one event's data.

Each event is three lines and an empty one: \`id:\` (0, 1, 2, … without a gap), \`event:\` (its name) and \`data:\` (one line of JSON
that repeats the name as \`type\`). A line that begins with a colon is a comment, sent every 15 seconds in which nothing else
is: it keeps proxies awake and is to be ignored.

The order is always the same:

1. \`started\`, once;
2. \`narration\`, \`token\` and \`metrics\`, interleaved as they happen;
3. exactly one of \`end\` and \`error\`;
4. the stream closes.

Tokens and the last event are never dropped. Narration and metrics are held back from a reader that is too slow; the next
narration tells how many in \`shed\`. The generation pauses for a reader that does not read, and ends with \`SLOW_CONSUMER\` when it
takes nothing for \`--slow-timeout\`. When the last reader leaves before the end, the job stops, unless it was sent with
\`"on_disconnect": "continue"\`; it can be read again, from any event on, at \`GET /jobs/{job_id}/events\`.

The data of an \`error\` event has one of these codes:

`;

const THE_REPLAY = `\
What comes after the event that the reader has, and then what comes, as it comes, to the end. The schema is that of one event's data, and the
form is that of \`POST /execute\`; ids go on from the one that was asked for. \`correlation_id\` in the events is that of the request that
brought the job; \`X-Correlation-Id\` is that of this one.

The data of an \`error\` event has one of these codes:

`;

/** All routes. `events`: event name → name of its schema. */
export const routes = (events: Readonly<Record<EventType, string>>): readonly Route[] => [
  {
    method: 'POST',
    path: '/execute',
    tag: 'jobs',
    id: 'execute',
    summary: 'Run one job and stream its output',
    description:
      'The stream begins as soon as the job is accepted; what goes wrong before that is answered as JSON. A job that has to wait for ' +
      'a slot waits inside its stream, and is told its position.',
    takes: ['X-Deadline', 'traceparent'],
    body: 'ExecuteRequest',
    answers: { 200: { description: THE_STREAM, stream: true, content: { 'text/event-stream': oneOf(events) } } },
    errors: [
      ...BODY,
      ...GUARDED,
      'DUPLICATE_JOB',
      'CANCELLED',
      'PROMPT_TOO_LONG',
      'ALL_SLOTS_BUSY',
      ...NOT_READY,
      'TIMEOUT',
      'INTERNAL',
    ],
    errorHeaders: { 503: ['Retry-After'] },
    errorForms: {
      499: { description: 'By `POST /cancel`, while the prompt was still being read: no stream had begun.' },
      400: {
        description:
          'With `Accept: text/event-stream` the same is told as two events, so that the screen of a user can show it: the narration of ' +
          'the failure, then `error`.',
        content: { 'text/event-stream': oneOf({ narration: events.narration, error: events.error }) },
      },
    },
  },
  {
    method: 'GET',
    path: '/jobs/{job_id}/events',
    tag: 'jobs',
    id: 'jobEvents',
    summary: 'Read the stream of a job again, or from where it broke off',
    description:
      'While the job runs, and for `--replay-ttl` after its end. Any number of readers at the same time are given the same events, byte for ' +
      'byte, each from where it asks: after the event of `Last-Event-ID` or `after` (the header counts where both are given), from the first ' +
      'one without either. A reader of a running job that leaves as the last one stops the job, unless it was sent with ' +
      '`"on_disconnect": "continue"`; such a job waits for the next reader for `--detach-timeout`. A reader that lags behind others and takes ' +
      'nothing for `--slow-timeout` is disconnected, and can come back.',
    takes: ['job_id', 'after', 'Last-Event-ID', 'traceparent'],
    answers: {
      200: { description: THE_REPLAY, stream: true, content: { 'text/event-stream': oneOf(events) } },
      204: { description: 'The job is over and the reader has had its last event: there is no reason to come back.' },
    },
    errors: [...ANY, ...GUARDED, 'NOT_FOUND', 'GONE'],
    errorForms: {
      400: { description: 'Also when `after` is no number, or beyond the last event of a job that runs.' },
      410: {
        description:
          'Its end is too long ago, or newer jobs needed the memory (`--replay-memory`), or it was refused before its first event. With ' +
          '`first_event_id` in `details`: only what comes before that event is gone, of a job with a very long output.',
      },
    },
  },
  {
    method: 'POST',
    path: '/cancel',
    tag: 'jobs',
    id: 'cancel',
    summary: 'Stop a job',
    description:
      'Can be repeated: the answer is the same until the job is over, and `finished` from then on. The stream of the job tells when it ' +
      'has stopped. The ids of the last 10 000 finished jobs are known.',
    takes: ['traceparent'],
    body: 'CancelRequest',
    answers: { 202: { description: 'The job is being stopped, or is over.', content: json(ref('CancelAnswer')) } },
    errors: [...BODY, ...GUARDED, 'NOT_FOUND', 'INTERNAL'],
  },
  {
    method: 'POST',
    path: '/shutdown',
    tag: 'worker',
    id: 'shutdown',
    summary: 'Let the jobs in flight finish, then exit',
    description: 'Takes no body.',
    takes: ['traceparent'],
    answers: { 202: { description: 'The worker drains.', content: json(ref('ShutdownAnswer')) } },
    errors: [...BODY, ...GUARDED, 'DRAINING', 'INTERNAL'],
  },
  {
    method: 'GET',
    path: '/health',
    tag: 'worker',
    id: 'health',
    summary: 'How the worker is, and what it holds',
    takes: ['traceparent'],
    answers: {
      200: { description: 'Healthy: a job would be accepted.', content: json(ref('Health')) },
      503: { description: 'Starting, draining or unhealthy.', content: json(ref('Health')) },
    },
    errors: [...ANY, ...GUARDED],
  },
  {
    method: 'GET',
    path: '/live',
    tag: 'worker',
    id: 'live',
    open: true,
    summary: 'Probe: does the process answer?',
    takes: ['traceparent'],
    answers: { 200: { description: 'It does.', content: json(ref('LiveAnswer')) } },
    errors: ANY,
  },
  {
    method: 'GET',
    path: '/ready',
    tag: 'worker',
    id: 'ready',
    open: true,
    summary: 'Probe: would a job be accepted?',
    takes: ['traceparent'],
    answers: { 200: { description: 'It would.', content: json(ref('ReadyAnswer')) } },
    errors: [...ANY, ...NOT_READY],
  },
  {
    method: 'GET',
    path: '/metrics',
    tag: 'worker',
    id: 'metrics',
    summary: 'What the worker counts, for Prometheus',
    takes: ['traceparent'],
    answers: { 200: { description: "The worker's own metrics and Node's.", content: { 'text/plain': text } } },
    errors: [...ANY, ...GUARDED],
  },
  {
    method: 'GET',
    path: '/openapi.yaml',
    tag: 'contract',
    id: 'openapiYaml',
    summary: 'This document as YAML',
    takes: ['traceparent'],
    answers: { 200: { description: 'This document.', content: { 'application/yaml': text } } },
    errors: [...ANY, ...GUARDED],
  },
  {
    method: 'GET',
    path: '/openapi.json',
    tag: 'contract',
    id: 'openapiJson',
    summary: 'This document as JSON',
    takes: ['traceparent'],
    answers: { 200: { description: 'This document.', content: json({ type: 'object', additionalProperties: true }) } },
    errors: [...ANY, ...GUARDED],
  },
];

export const TAGS = [
  { name: 'jobs', description: 'Run a job, read its stream again, stop it.' },
  { name: 'worker', description: 'State, probes, metrics, and the end.' },
  { name: 'contract', description: 'This document.' },
];

export const ABOUT = `\
One worker process holds one model for its whole life, runs jobs on it, and narrates what it does: to its standard output, and to
the stream of the job it concerns.

No web page may use the worker from a browser, unless its origin is in \`--cors-origin\`: then the headers of CORS are in its answers, and
\`OPTIONS\` is answered.

Every answer carries \`X-Correlation-Id\`. Every error that is answered before a stream begins has the one shape \`ErrorAnswer\`; its
\`code\` is stable, and its \`message\` names no path, secret or prompt. A path that is not listed here answers 404 \`NOT_FOUND\`.

The examples are recorded from a real worker.
`;

/** What requests bring beside their bodies, by name: headers, unless `in` says otherwise. */
export const PARAMETERS = {
  job_id: {
    in: 'path',
    required: true,
    description: 'Id of the job, percent-encoded.',
    schema: text,
    example: 'job-1',
  },
  after: {
    in: 'query',
    description:
      'Id of the last event that the reader has: the same as `Last-Event-ID`, for those who cannot send headers.',
    schema: { type: 'integer', minimum: 0 },
    example: 41,
  },
  'Last-Event-ID': {
    description: 'Id of the last event that the reader has. Browsers send it by themselves when a stream broke off.',
    schema: { type: 'integer', minimum: 0 },
    example: 41,
  },
  'X-Correlation-Id': {
    description:
      'Name of this request in every answer, log line and event. Kept as it is if it is 1 to 64 of `A-Z a-z 0-9 . _ -`; otherwise, or when ' +
      'absent, a UUID v4 is made.',
    schema: text,
    example: 'req-abc123',
  },
  'X-Deadline': {
    description: 'When the answer is of no more use: epoch milliseconds or ISO 8601. Past: 504. Neither form: 400.',
    schema: text,
    example: '2026-11-21T12:00:00Z',
  },
  traceparent: {
    description: "The caller's place in a W3C trace. What is not well-formed is ignored.",
    schema: text,
    example: '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01',
  },
};
/** Headers of answers, by name. */
export const HEADERS_OUT = {
  'X-Correlation-Id': {
    description: 'The one of the request, or a UUID v4.',
    required: true,
    schema: { type: 'string', pattern: '^[A-Za-z0-9._-]{1,64}$' },
  },
  traceparent: { description: 'The one of the request, if it is well-formed.', schema: text },
  'Retry-After': {
    description:
      'Seconds until trying again makes sense: when a slot is expected to be free, and 1 where there is no estimate.',
    required: true,
    schema: { type: 'integer', minimum: 1 },
  },
  'WWW-Authenticate': { description: 'How to authenticate.', required: true, schema: { const: 'Bearer' } },
  'Cache-Control': {
    description: 'No proxy may keep or change a stream.',
    required: true,
    schema: { const: 'no-cache, no-transform' },
  },
  'X-Accel-Buffering': { description: 'No proxy may hold a stream back.', required: true, schema: { const: 'no' } },
};

/**
 * The routes in a caller's words: what each does, what it takes, what it answers. Schemas, error sentences and examples are not
 * here: scripts/openapi.mjs takes them from the code and from the recordings.
 */
const json = (schema) => ({ 'application/json': schema });
const ref = (schema) => ({ $ref: `#/components/schemas/${schema}` });
const text = { type: 'string' };

/** What every `POST` with a body can be refused with before its own rules are asked. */
const BODY = ['INVALID_REQUEST', 'FORBIDDEN_ORIGIN', 'PAYLOAD_TOO_LARGE', 'UNSUPPORTED_MEDIA_TYPE'];
const GUARDED = ['UNAUTHORIZED'];
/** Not well-formed HTTP (400), a fault of the worker (500). */
const ANY = ['INVALID_REQUEST', 'INTERNAL'];
const NOT_READY = ['LOADING', 'DRAINING', 'WORKER_UNHEALTHY'];

/** A schema that is one of several events, told apart by `type`. */
const oneOf = (events) => ({
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
narration tells how many in \`shed\`. A reader that leaves stops its generation.

The data of an \`error\` event has one of these codes:

`;

/** @param events event name → name of its schema */
export const routes = (events) => [
  {
    method: 'POST',
    path: '/execute',
    tag: 'jobs',
    id: 'execute',
    summary: 'Run one job and stream its output',
    description:
      'The stream begins as soon as the job is accepted; what goes wrong before that is answered as JSON. A job that has to wait for ' +
      'a slot waits inside its stream, and is told its position.',
    headers: ['X-Deadline', 'traceparent'],
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
    method: 'POST',
    path: '/cancel',
    tag: 'jobs',
    id: 'cancel',
    summary: 'Stop a job',
    description:
      'Can be repeated: the answer is the same until the job is over, and `finished` from then on. The stream of the job tells when it ' +
      'has stopped. The ids of the last 10 000 finished jobs are known.',
    headers: ['traceparent'],
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
    headers: ['traceparent'],
    answers: { 202: { description: 'The worker drains.', content: json(ref('ShutdownAnswer')) } },
    errors: [...BODY, ...GUARDED, 'DRAINING', 'INTERNAL'],
  },
  {
    method: 'GET',
    path: '/health',
    tag: 'worker',
    id: 'health',
    summary: 'How the worker is, and what it holds',
    headers: ['traceparent'],
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
    headers: ['traceparent'],
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
    headers: ['traceparent'],
    answers: { 200: { description: 'It would.', content: json(ref('ReadyAnswer')) } },
    errors: [...ANY, ...NOT_READY],
  },
  {
    method: 'GET',
    path: '/metrics',
    tag: 'worker',
    id: 'metrics',
    summary: 'What the worker counts, for Prometheus',
    headers: ['traceparent'],
    answers: { 200: { description: "The worker's own metrics and Node's.", content: { 'text/plain': text } } },
    errors: [...ANY, ...GUARDED],
  },
  {
    method: 'GET',
    path: '/openapi.yaml',
    tag: 'contract',
    id: 'openapiYaml',
    summary: 'This document as YAML',
    headers: ['traceparent'],
    answers: { 200: { description: 'This document.', content: { 'application/yaml': text } } },
    errors: [...ANY, ...GUARDED],
  },
  {
    method: 'GET',
    path: '/openapi.json',
    tag: 'contract',
    id: 'openapiJson',
    summary: 'This document as JSON',
    headers: ['traceparent'],
    answers: { 200: { description: 'This document.', content: json({ type: 'object', additionalProperties: true }) } },
    errors: [...ANY, ...GUARDED],
  },
];

export const TAGS = [
  { name: 'jobs', description: 'Run a job, stop a job.' },
  { name: 'worker', description: 'State, probes, metrics, and the end.' },
  { name: 'contract', description: 'This document.' },
];

export const ABOUT = `\
One worker process holds one model for its whole life, runs jobs on it, and narrates what it does: to its standard output, and to
the stream of the job it concerns.

Every answer carries \`X-Correlation-Id\`. Every error that is answered before a stream begins has the one shape \`ErrorAnswer\`; its
\`code\` is stable, and its \`message\` names no path, secret or prompt. A path that is not listed here answers 404 \`NOT_FOUND\`.

The examples are recorded from a real worker.
`;

/** Headers by name: those of requests (in) and of answers (out). */
export const HEADERS_IN = {
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

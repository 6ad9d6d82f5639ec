/**
 * The prose of every route: purpose, parameters and answers. scripts/openapi.ts takes methods, paths, error
 * codes, schemas and error sentences from the code, and examples from the recordings.
 */
import type { EventType } from '../src/contract/events.ts';
import { JOB_STATES } from '../src/contract/job-states.ts';
import type { RouteId } from '../src/contract/routes.ts';
import { LISTED } from '../src/http/operator/jobs.ts';
import { DIALECT_PROSE } from './openapi-dialects.ts';
import { OPENAI_PROSE } from './openapi-openai.ts';
import { type Answer, json, oneOf, type RouteProse, ref } from './openapi-prose.ts';

const text = { type: 'string' };
/** The ids of events: a run and a number, or the number of version 1. */
const EVENT_ID = '^([0-9A-Za-z]{1,32}-)?[0-9]{1,15}$';

const KNOWN: Answer = { description: 'The client has this document: `If-None-Match` names it.', headers: ['ETag'] };

const THE_STREAM = `\
The job is accepted, and the answer is its stream of server-sent events. The schema describes the data of one event.

Each event has three lines and an empty line: \`id:\` (\`<run>-<n>\`), \`event:\` (the name) and \`data:\` (one line of
JSON, which repeats the name as \`type\`). In the id, the run is that of \`started\` and of \`X-Run-Id\`, and n counts 0, 1, 2, …
without a gap. Send the id unchanged as \`Last-Event-ID\`; the number is behind its last hyphen. With
\`--event-ids number\` the id is the number alone, as in version 1. A line that begins with a colon is a comment. The
worker sends one after \`--sse-heartbeat\` (15) seconds without an event, so that proxies keep the connection open. Ignore
comments.

The order of events is always the same:

1. \`started\`, once;
2. \`narration\`, \`token\` and \`metrics\`, interleaved as they happen;
3. exactly one of \`end\` and \`error\`;
4. the stream closes.

The worker never drops tokens or the last event. If every subscriber is too slow, it drops narration and metrics; the field \`shed\` of the
next narration has their number. The generation pauses while no subscriber reads, and ends with \`SLOW_CONSUMER\` if the only subscriber reads
nothing for \`--slow-timeout\`. If the last subscriber leaves before the end, the job stops, unless its body had \`"on_disconnect": "continue"\`.
\`GET /jobs/{job_id}/events\` sends the events again, from any event.

The data of an \`error\` event has one of these codes:

`;

const THE_REPLAY = `\
The events after the last one that the client has, then the new events until the end. The form is that of \`POST /execute\`, with the same ids; the
schema describes the data of one event. The \`correlation_id\` of the events belongs to the request that started the job; the header
\`X-Correlation-Id\` belongs to this request.

The data of an \`error\` event has one of these codes:

`;

/**
 * The prose of every route by its operation id; method, path and error codes are in src/contract/routes.ts.
 * `events`: event name → name of its schema.
 */
export const routeProse = (events: Readonly<Record<EventType, string>>): Readonly<Record<RouteId, RouteProse>> => ({
  execute: {
    tag: 'jobs',
    summary: 'Run one job and stream its output',
    description:
      'The stream begins when the job is accepted. An error before that is answered as JSON. A job that waits for a slot ' +
      'waits inside its stream, which reports its position.',
    takes: ['X-Deadline', 'Content-Encoding', 'traceparent'],
    body: 'ExecuteRequest',
    answers: {
      200: {
        description: THE_STREAM,
        stream: true,
        headers: ['X-Job-Id', 'X-Run-Id'],
        content: { 'text/event-stream': oneOf(events) },
      },
    },
    errorHeaders: { 409: ['Retry-After'], 415: ['Accept-Encoding'], 503: ['Retry-After'] },
    errorForms: {
      503: {
        description:
          '`ALL_SLOTS_BUSY` has two estimates in `details`: `retry_after_ms`, the time until the queue has a place, and ' +
          '`expected_wait_ms`, the time until a new job would have a slot, as in `/health`. They are equal if no job waits. ' +
          '`ENGINE_STALLED`: the engine is silent for `--stall-after`, and may be restarted soon. Send the job to another worker. ' +
          'Jobs that were accepted before continue when the engine answers.',
      },
      409: {
        description:
          'If the connection of that job broke, it is being stopped: send the request again after `Retry-After`, or read its ' +
          'stream at `GET /jobs/{job_id}/events`. A job that stops within 100 ms causes no error: the new one waits for its end.',
      },
      504: { description: 'With `retry`: `never` if the time in `X-Deadline` has passed: send a later one.' },
      499: { description: '`POST /cancel` stopped the job while its prompt was tokenized, before the stream began.' },
      400: {
        description:
          'With `Accept: text/event-stream` the answer is two events, so that the screen of a user can show them: the ' +
          'narration of the failure, then `error`.',
        content: { 'text/event-stream': oneOf({ narration: events.narration, error: events.error }) },
      },
    },
  },
  jobEvents: {
    tag: 'jobs',
    summary: 'Read the stream of a job again, or resume it after a lost connection',
    description:
      'Available while the job runs, and for `--replay-ttl` after its end. Up to 16 subscribers at the same time receive the same ' +
      'events, byte for byte, each from its own start: after the event of `Last-Event-ID` or `after` (the header wins), or from the ' +
      'first event. A job id can be used again after the end of its job; then this route has the events of the new run, and a ' +
      'resume of the old one is refused with `OTHER_RUN`. If the last subscriber of a running job leaves, the job stops, unless its body had `"on_disconnect": "continue"`; ' +
      'such a job waits `--detach-timeout` for the next subscriber. A subscriber that lags behind others and reads nothing for ' +
      '`--slow-timeout` is disconnected, and can connect again.',
    takes: ['job_id', 'after', 'run_id', 'Last-Event-ID', 'traceparent'],
    answers: {
      200: {
        description: THE_REPLAY,
        stream: true,
        headers: ['X-Job-Id', 'X-Run-Id'],
        content: { 'text/event-stream': oneOf(events) },
      },
      204: {
        description: 'The job has ended and the client has its last event. Do not connect again.',
        headers: ['X-Job-Id', 'X-Run-Id'],
      },
    },
    errorForms: {
      400: { description: 'Also if `after` or `Last-Event-ID` is not an event id, or `run_id` not the id of a run.' },
      409: {
        description:
          'The event id or `run_id` names another run than the one that the worker has (`details.run_id`), or an event that the run ' +
          'does not have, or a number without a run although the job id was used again. Request the events without an id, or name the run.',
      },
      410: {
        description:
          'The job ended too long ago, newer jobs needed the memory (`--replay-memory`), or the job was refused before its first ' +
          'event. With `first_event_id` in `details`, only the events before it are gone, because the output is very long: send ' +
          '`resume_after` of `details` as `after` for the rest.',
      },
      429: { description: 'Disconnect one of the subscribers, or retry after one has left.' },
    },
    errorHeaders: { 429: ['Retry-After', 'X-Job-Id', 'X-Run-Id'] },
  },
  jobs: {
    tag: 'jobs',
    summary: 'List the running jobs, and the finished ones whose events are kept',
    description:
      'For operators, and for a client that has lost its ids. Shows ids and numbers, and no text of a prompt or an output. ' +
      '`totals` counts all jobs.',
    takes: ['limit', 'state', 'traceparent'],
    answers: { 200: { description: 'The jobs of this worker.', content: json(ref('JobsAnswer')) } },
    errorForms: { 400: { description: 'Also for another `limit` or `state`.' } },
  },
  cancel: {
    tag: 'jobs',
    summary: 'Stop a job',
    description:
      'Idempotent: the answer is the same until the job has ended, and `finished` after that. The stream of the job reports ' +
      'its end. The worker knows the ids of the last 10 000 finished jobs.',
    takes: ['Content-Encoding', 'traceparent'],
    body: 'CancelRequest',
    errorHeaders: { 415: ['Accept-Encoding'] },
    answers: {
      202: {
        description: 'The job is being stopped, or has ended.',
        headers: ['X-Job-Id', 'X-Run-Id'],
        content: json(ref('CancelAnswer')),
      },
    },
  },
  shutdown: {
    tag: 'worker',
    summary: 'Finish the running jobs, then exit',
    description:
      'Takes no body. While the worker drains, it refuses new jobs and answers probes, and every answer has ' +
      '`Connection: close`: send the next request to another worker.',
    takes: ['traceparent'],
    answers: { 202: { description: 'The worker drains.', content: json(ref('ShutdownAnswer')) } },
    errorForms: { 503: { description: 'With `retry`: `never`: the worker already drains.' } },
  },
  announce: {
    tag: 'worker',
    summary: 'Send the ready callback again',
    description:
      'For a pool-manager that has started anew. Takes no body. The worker sends the callback to `--callback-url` under a new ' +
      '`announcement` number (webhook `ready`). A running announcement makes no further attempt: an attempt that waits for its ' +
      'answer is completed, other waits end, and the new one begins. Requests of the same second share one announcement, and so do all requests while the model is loading.',
    takes: ['traceparent'],
    answers: { 202: { description: 'The worker announces itself.', content: json(ref('AnnounceAnswer')) } },
    errorForms: {
      409: { description: 'Not retriable: start the worker with `--callback-url`.' },
      503: { description: 'With `retry`: `never`: no other worker can announce this one.' },
    },
  },
  health: {
    tag: 'worker',
    summary: 'State of the worker, its model and its slots',
    description:
      'The status says if the worker is ready: the model is loaded, the engine answers, and the worker does not drain. ' +
      '`accepting` says if a job would be accepted now: a full worker is healthy and does not accept.',
    takes: ['traceparent'],
    answers: {
      200: { description: 'Healthy, possibly full.', content: json(ref('Health')) },
      503: {
        description: 'Starting, stalled, draining or unhealthy. No job is accepted.',
        headers: ['Retry-After'],
        content: json(ref('Health')),
      },
    },
  },
  live: {
    tag: 'worker',
    summary: 'Liveness probe',
    takes: ['traceparent'],
    answers: { 200: { description: 'The process answers.', content: json(ref('LiveAnswer')) } },
  },
  ready: {
    tag: 'worker',
    summary: 'Readiness probe',
    takes: ['traceparent'],
    answers: {
      200: {
        description:
          'The model is loaded, the engine answers, and the worker does not drain. `accepting` says if a job would be accepted now.',
        content: json(ref('ReadyAnswer')),
      },
    },
    errorHeaders: { 503: ['Retry-After'] },
    errorForms: {
      503: {
        description: '`ALL_SLOTS_BUSY` only with `--ready-when-full false`: by default, a full worker answers 200.',
      },
    },
  },
  metrics: {
    tag: 'worker',
    summary: 'Metrics for Prometheus',
    takes: ['traceparent'],
    answers: { 200: { description: 'Metrics of the worker and of Node.js.', content: { 'text/plain': text } } },
  },
  ...OPENAI_PROSE,
  ...DIALECT_PROSE,
  openapiYaml: {
    tag: 'contract',
    summary: 'This document as YAML',
    takes: ['If-None-Match', 'traceparent'],
    answers: {
      200: { description: 'This document.', headers: ['ETag'], content: { 'application/yaml': text } },
      304: KNOWN,
    },
  },
  openapiJson: {
    tag: 'contract',
    summary: 'This document as JSON',
    takes: ['If-None-Match', 'traceparent'],
    answers: {
      200: {
        description: 'This document.',
        headers: ['ETag'],
        content: json({ type: 'object', additionalProperties: true }),
      },
      304: KNOWN,
    },
  },
});

export const TAGS = [
  { name: 'jobs', description: 'Run a job, read its stream again, stop it.' },
  { name: 'openai', description: "OpenAI's API." },
  { name: 'anthropic', description: "Anthropic's Messages API." },
  { name: 'tokenizer', description: 'Texts to ids of tokens, and ids to texts.' },
  { name: 'worker', description: 'State, probes, metrics, announcement, shutdown.' },
  { name: 'contract', description: 'This document.' },
];

export const ABOUT = `\
One worker process holds one model for its whole life and runs jobs on it. It narrates its work: on its standard output, and in
the stream of the job that an event belongs to.

A web page can use the worker from a browser only if its origin is in \`--cors-origin\`. Then the answers have the CORS headers, and
the worker answers \`OPTIONS\`.

Every answer has the header \`X-Correlation-Id\`, and the load of the worker in three headers (\`X-Worker-Slots-Free\`,
\`X-Worker-Queue\`, \`X-Worker-Expected-Wait-Ms\`): each answer is a sample for a router. Every error before a stream begins has the form \`ErrorAnswer\`, and on the routes of
OpenAI, Anthropic and the tokenizer \`OpenAIErrorAnswer\` or \`AnthropicError\`. Its \`code\` is stable, and its \`message\` contains no path,
secret or prompt. A path that is not listed here answers 404 \`NOT_FOUND\`; below \`/v1/\` in the form of the dialect.

Bytes that are no request of HTTP/1.1 or 1.0 get the same form, and the connection ends: 400, 413, 417 (\`Expect\`), 431 (headers),
501 (\`Transfer-Encoding\`) or 505 (version), most of them with the code \`INVALID_REQUEST\`, and 408 \`TIMEOUT\` for a request that
does not arrive in time. A body is JSON in UTF-8; other bytes are answered 400, and another charset 415.

The examples are recordings of a real worker.
`;

/** Values of the headers with the ids of a job. */
const JOB_ID = { type: 'string', pattern: "^(?:[-A-Za-z0-9_.!~*'()]|%[0-9A-F]{2})+$" };
const RUN_ID = { type: 'string', pattern: '^[0-9A-Za-z]{1,32}$' };

/** Parameters of requests by name: headers, unless `in` says otherwise. */
export const PARAMETERS = {
  job_id: {
    in: 'path',
    required: true,
    description: 'Id of the job, percent-encoded.',
    schema: text,
    example: 'job-1',
  },
  model: {
    in: 'path',
    required: true,
    description: 'Name of the model; its slashes may be percent-encoded.',
    schema: text,
    example: 'haiku',
  },
  after: {
    in: 'query',
    description:
      'Id of the last event that the client has: the same as `Last-Event-ID`, for clients that cannot send headers. A number without ' +
      'its run, as in version 1, is accepted unless the job id was used again.',
    schema: { type: 'string', pattern: EVENT_ID },
    example: 'k3v9x2m7q-41',
  },
  run_id: {
    in: 'query',
    description:
      'Run whose events the client wants: `OTHER_RUN` if the worker has another one. Event ids contain it already.',
    schema: { type: 'string', pattern: '^[0-9A-Za-z]{1,32}$' },
    example: 'k3v9x2m7q',
  },
  limit: {
    in: 'query',
    description: 'Maximum number of jobs in the answer.',
    schema: { type: 'integer', minimum: 1, maximum: LISTED.most, default: LISTED.usual },
  },
  state: {
    in: 'query',
    description: 'Only jobs in this state.',
    schema: { type: 'string', enum: [...JOB_STATES] },
  },
  'Last-Event-ID': {
    description:
      'Id of the last event that the client has. A browser sends this header after a lost connection. A number as for `after`.',
    schema: { type: 'string', pattern: EVENT_ID },
    example: 'k3v9x2m7q-41',
  },
  'If-None-Match': {
    description: 'The `ETag` of the document that the client has. The answer is 304 if it is this document.',
    schema: text,
  },
  'X-Correlation-Id': {
    description:
      'Id of this request in every answer, log line and event. The worker keeps 1 to 64 of `A-Z a-z 0-9 . _ -` unchanged; ' +
      'otherwise it makes a UUID v4.',
    schema: text,
    example: 'req-abc123',
  },
  'X-Request-Id': {
    description:
      'The same as `X-Correlation-Id`, under the name that other servers have. Read if that header is absent.',
    schema: text,
    example: 'req-abc123',
  },
  'Content-Encoding': {
    description:
      'Coding of the body, at most one. The limit of the body holds before and after it is decoded. Any other coding is ' +
      'answered 415.',
    schema: { type: 'string', enum: ['identity', 'gzip', 'x-gzip', 'deflate', 'br'] },
  },
  'X-Narration': {
    description: '`on`: the answer has the narration of the request. The field `narration` of the body has priority.',
    schema: { type: 'string', enum: ['on', 'off'] },
  },
  'X-Deadline': {
    description:
      'Time after which the answer is useless: epoch milliseconds or ISO 8601. A time in the past is answered 504, any other form 400.',
    schema: text,
    example: '2026-11-21T12:00:00Z',
  },
  traceparent: {
    description: 'W3C trace context of the caller. A malformed value is ignored.',
    schema: text,
    example: '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01',
  },
};
/** Headers of answers, by name. */
export const HEADERS_OUT = {
  'X-Correlation-Id': {
    description: 'The id of the request, or a UUID v4.',
    required: true,
    schema: { type: 'string', pattern: '^[A-Za-z0-9._-]{1,64}$' },
  },
  traceparent: { description: 'The value of the request, if it is well-formed.', schema: text },
  'X-Request-Id': { description: 'Same as `X-Correlation-Id`.', required: true, schema: text },
  'request-id': { description: 'Same as `X-Correlation-Id`, for clients of Anthropic.', required: true, schema: text },
  'x-should-retry': {
    description:
      '`false`: this worker does not serve the same request later. The packages of OpenAI and Anthropic then do not send it again. ' +
      'Absent otherwise.',
    schema: { const: 'false' },
  },
  'X-Worker-Slots-Free': {
    description:
      'Slots that a new job could take at once, at the time of this answer; 0 while the worker accepts no jobs. This header and the ' +
      'other two of the load are absent from 401 and 403, from answers to malformed HTTP and malformed paths, and with ' +
      '`--api-token` from answers to requests without the token.',
    schema: { type: 'integer', minimum: 0 },
  },
  'X-Worker-Queue': {
    description: 'Accepted jobs that wait for a slot, at the time of this answer.',
    schema: { type: 'integer', minimum: 0 },
  },
  'X-Worker-Expected-Wait-Ms': {
    description:
      'Estimated milliseconds until a new job would have a slot, as `expected_wait_ms` of `/health`. Absent without an estimate.',
    schema: { type: 'integer', minimum: 0 },
  },
  ETag: { description: 'Digest of the document.', required: true, schema: text },
  'Retry-After': {
    description:
      'Seconds after which this worker may accept the request: until a slot is free, or 1 without an estimate. Absent from `DRAINING` and ' +
      '`OTHER_RUN`: this worker will not accept it.',
    schema: { type: 'integer', minimum: 1 },
  },
  'X-Job-Id': {
    description:
      'Id of the job, percent-encoded like the `job_id` in a path. A load balancer learns from it which worker has the job.',
    required: true,
    schema: JOB_ID,
  },
  'X-Run-Id': {
    description: 'Id of the run of the job.',
    required: true,
    schema: RUN_ID,
  },
  'Accept-Encoding': { description: 'The known codings, after a body with an unknown one.', schema: text },
  'WWW-Authenticate': { description: 'Authentication scheme.', required: true, schema: { const: 'Bearer' } },
  'Cache-Control': {
    description: 'Proxies must not store or change a stream.',
    required: true,
    schema: { const: 'no-cache, no-transform' },
  },
  'X-Accel-Buffering': { description: 'Proxies must not buffer a stream.', required: true, schema: { const: 'no' } },
  'Stream-Cache-Control': {
    description: 'Only of a stream: proxies must not store or change it.',
    schema: { const: 'no-cache, no-transform' },
  },
  'Failed-X-Job-Id': {
    description: 'Only of a job that failed after it had begun: its id, as in an answer with 200.',
    schema: JOB_ID,
  },
  'Failed-X-Run-Id': {
    description: 'Only of a job that failed after it had begun: the id of its run.',
    schema: RUN_ID,
  },
  'Stream-X-Accel-Buffering': { description: 'Only of a stream: proxies must not buffer it.', schema: { const: 'no' } },
};

/**
 * The guarantees of one exchange: openapi.yaml, the order of a stream, and one correlation id everywhere.
 */

import { ERRORS, type ErrorCode, isRetriable, type Retry } from '../../src/contract/errors.ts';
import { exactMessages } from '../support/sse-form.ts';
import { dialectProblems, isDialect } from './dialects.ts';
import { answerFor, type Exchange, headerProblems, type Media, schemaProblems } from './document.ts';
import { brokenRules, narrationProblems } from './rules.ts';

/** One event of a stream, as the client receives it. */
export interface ReceivedEvent {
  readonly id: number;
  /** The run in the id; undefined for a refused request, which has no run. */
  readonly run: string | undefined;
  readonly name: string;
  readonly data: Record<string, unknown>;
}

const SSE = 'text/event-stream';
const ID = /^(?:([0-9a-z]{9})-)?(\d+)$/;
/** Events that carry the correlation id. */
const CORRELATED = ['started', 'narration', 'end', 'error'];
const LAST = ['end', 'error'];

/** The problems of an exchange. */
export function problemsOf(exchange: Exchange): string[] {
  const { status, headers, body } = exchange.response;
  const answer = answerFor(exchange);
  if (!answer) return [`${exchange.request.method} ${exchange.request.path} may not answer ${status}: ${body}`];
  if (!answer.content)
    return brokenRules(
      [body === '', `${status} has a body`],
      ...headerProblems(answer, headers).map((problem) => [false, problem] as const),
    );
  const type = headers['content-type']?.split(';')[0] ?? 'none';
  const media = answer.content[type];
  if (!media) return [`${status} may not be ${type}`];
  const problems = isDialect(exchange.request.path) ? dialectProblems : bodyProblems;
  return [...headerProblems(answer, headers), ...problems(type, media, exchange)];
}

function bodyProblems(
  type: string,
  media: Media,
  { request, response: { status, headers, body } }: Exchange,
): string[] {
  const correlationId = headers['x-correlation-id'] ?? '';
  const run = headers['x-run-id'];
  if (type === SSE) return streamProblems(media, { status, correlationId, run, body, from: firstIdOf(request.path) });
  if (type !== 'application/json') return schemaProblems(media.schema, body);
  const value = JSON.parse(body) as Record<string, unknown>;
  if (value['error'] === undefined) return schemaProblems(media.schema, value);
  const { code, correlation_id } = value['error'] as Record<string, string>;
  const row = ERRORS[code as ErrorCode] as { status: number } | undefined;
  const waits = headers['retry-after'] !== undefined;
  return [
    ...schemaProblems(media.schema, value),
    ...retryProblems(value['error'] as Record<string, unknown>),
    ...brokenRules(
      [row?.status === status, `${code} is not an error of status ${status}`],
      [correlation_id === correlationId, 'the error has a wrong correlation id'],
      [waits === TIMED.includes(code), `${code} has ${waits ? 'a' : 'no'} Retry-After`],
    ),
  ];
}

/** The errors whose answers must have `Retry-After`; no other has it. */
const TIMED: readonly unknown[] = [
  'DUPLICATE_JOB',
  'ALL_SLOTS_BUSY',
  'TOO_MANY_READERS',
  'TOO_MANY_CONNECTIONS',
  'ENGINE_STALLED',
  'WORKER_UNHEALTHY',
  'LOADING',
] satisfies ErrorCode[];

/** Codes that allow a retry, and have it `never` for a past deadline and for an order to a worker that drains. */
const NEVER: readonly unknown[] = ['TIMEOUT', 'DRAINING'] satisfies ErrorCode[];

/** The problems of the fields `retry` and `retriable` of an error. */
function retryProblems({ code, retry, retriable }: Record<string, unknown>): string[] {
  const row = ERRORS[code as ErrorCode] as { retry: Retry } | undefined;
  return brokenRules(
    [row?.retry === retry || (retry === 'never' && NEVER.includes(code)), `${code} has the retry ${retry}`],
    [isRetriable(retry as Retry) === retriable, `${code} has a retriable that differs from its retry`],
  );
}

/** The events of a stream; throws on a line that belongs to no event and is no comment. */
export function framesOf(body: string): ReceivedEvent[] {
  return exactMessages(body).map(({ id: text = '', event: name = '', data }) => {
    const [, run, id] = ID.exec(text) ?? [];
    if (id === undefined || !/^[a-z]+$/.test(name)) throw new Error(`an event with the id ${text} and name ${name}`);
    return { id: Number(id), run, name, data: JSON.parse(data) as Record<string, unknown> };
  });
}

/** Id of the first event of a stream: the one after `?after=`. */
const firstIdOf = (path: string): number => Number(/\?after=(?:\w+-)?(\d+)/.exec(path)?.[1] ?? -1) + 1;

interface Stream {
  readonly status: number;
  readonly correlationId: string;
  /** The header `X-Run-Id`. */
  readonly run: string | undefined;
  readonly body: string;
  readonly from: number;
}

function streamProblems(media: Media, { status, correlationId, run, body, from }: Stream): string[] {
  const events = framesOf(body);
  return [
    ...brokenRules([(run === undefined) === (status === 400), `the status is ${status} with the run ${run}`]),
    ...events.flatMap((event) => runProblems(event, run)),
    ...orderProblems(events, status, from),
    ...events.flatMap((event) =>
      eventProblems(media, event, correlationId).map((problem) => `event ${event.id}: ${problem}`),
    ),
    ...(from === 0 ? factProblems(events) : []),
  ];
}

function orderProblems(events: readonly ReceivedEvent[], status: number, from: number): string[] {
  const names = events.map((event) => event.name);
  const refused = JSON.stringify(names) === '["narration","error"]' || JSON.stringify(names) === '["error"]';
  return brokenRules(
    [events.every((event, at) => event.id === from + at), `ids do not go up from ${from}`],
    [status === 200 ? (names[0] === 'started') === (from === 0) : refused, `begins with ${names.slice(0, 3)}`],
    [status !== 200 || names.lastIndexOf('started') === (from === 0 ? 0 : -1), 'started occurs twice'],
    [names.findIndex((name) => LAST.includes(name)) === names.length - 1, 'end or error is not the last event, once'],
  );
}

function eventProblems(media: Media, { name, data }: ReceivedEvent, correlationId: string): string[] {
  const { mapping } = media.schema['discriminator'] as { mapping: Record<string, string> };
  const $ref = mapping[name];
  if ($ref === undefined) return [`${name} is not an event of this answer`];
  const expected = CORRELATED.includes(name) ? correlationId : undefined;
  return [
    ...schemaProblems({ $ref }, data),
    ...schemaProblems(media.schema, data),
    ...brokenRules([data['correlation_id'] === expected, `${name} has the correlation id ${data['correlation_id']}`]),
    ...(name === 'narration' ? narrationProblems(data) : []),
    ...(name === 'error' ? retryProblems(data) : []),
  ];
}

/** The problems of the run of an event: in its id, and in the events that carry it. */
function runProblems({ id, run, name, data }: ReceivedEvent, expected: string | undefined): string[] {
  const carried = name === 'started' || name === 'narration' ? expected : undefined;
  return brokenRules(
    [run === expected, `event ${id} has the run ${run} in its id`],
    [data['run_id'] === carried, `event ${id} has the run ${data['run_id']}`],
  );
}

/** The problems of facts that several events contain: they must be equal. */
function factProblems(events: readonly ReceivedEvent[]): string[] {
  const all = (name: string) => events.filter((event) => event.name === name).map((event) => event.data);
  const [started, end] = [all('started')[0], all('end')[0]];
  const jobIds = all('narration').map((data) => data['job_id']);
  // The output of an earlier stream goes on with its next index.
  const first = started?.['resumed_ids'] === undefined ? 0 : Number(all('token')[0]?.['i']);
  // The last token can end within a character: the end of the output then shows its rest in a piece of its own.
  const rest = String(all('token').at(-1)?.['t']) === '\u{FFFD}' ? 1 : 0;
  return brokenRules(
    [all('token').every((data, at) => data['i'] === first + at), `tokens are not numbered ${first}, ${first + 1}, …`],
    [!end || end['seed'] === started?.['seed'], 'end has another seed than started'],
    [!started || jobIds.every((id) => id === started['job_id']), 'a narration is of another job'],
    [!end || all('token').length - rest <= Number(end['tokens_out']), 'more pieces than tokens'],
  );
}

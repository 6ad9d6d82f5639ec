/**
 * The guarantees of one exchange: openapi.yaml, the order of a stream, and one correlation id everywhere.
 */
import { ERRORS } from '../../src/contract/errors.ts';
import { answerFor, type Exchange, headerProblems, type Media, schemaProblems } from './document.ts';
import { brokenRules, narrationProblems } from './rules.ts';

/** One event of a stream, as the client receives it. */
export interface ReceivedEvent {
  readonly id: number;
  readonly name: string;
  readonly data: Record<string, unknown>;
}

const SSE = 'text/event-stream';
const FRAME = /^id: (\d+)\nevent: ([a-z]+)\ndata: ([^\n\r]+)$/;
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
  return [...headerProblems(answer, headers), ...bodyProblems(type, media, exchange)];
}

function bodyProblems(
  type: string,
  media: Media,
  { request, response: { status, headers, body } }: Exchange,
): string[] {
  const correlationId = headers['x-correlation-id'] ?? '';
  if (type === SSE) return streamProblems(media, { status, correlationId, body, from: firstIdOf(request.path) });
  if (type !== 'application/json') return schemaProblems(media.schema, body);
  const value = JSON.parse(body) as Record<string, unknown>;
  return [...schemaProblems(media.schema, value), ...errorProblems(value['error'], status, correlationId)];
}

/** True for the error of a deadline that had passed before the request: the same request is always too late. */
const isLate = (code: unknown, retriable: unknown): boolean => code === 'TIMEOUT' && retriable === false;

/** The problems of an error: it differs from the row of the error table, or its id from the header. */
function errorProblems(error: unknown, status: number, correlationId: string): string[] {
  if (error === undefined) return [];
  const { code, retriable, correlation_id } = error as Record<string, string>;
  const row = ERRORS[code as keyof typeof ERRORS] as { status: number; retriable: boolean } | undefined;
  return brokenRules(
    [row?.status === status, `${code} is not an error of status ${status}`],
    [row?.retriable === (retriable as unknown) || isLate(code, retriable), `${code} has a wrong retriable`],
    [correlation_id === correlationId, 'the error has a wrong correlation id'],
  );
}

/** The frames of a stream; throws on a line that is neither a frame nor a comment. */
export function framesOf(body: string): ReceivedEvent[] {
  if (!body.endsWith('\n\n')) throw new Error('the stream does not end with an empty line');
  const blocks = body.slice(0, -2).split('\n\n');
  return blocks.filter((block) => !block.startsWith(':')).map(frameOf);
}

function frameOf(block: string): ReceivedEvent {
  const [, id, name = '', data = ''] = FRAME.exec(block) ?? [];
  if (id === undefined) throw new Error(`not a frame: ${block}`);
  return { id: Number(id), name, data: JSON.parse(data) as Record<string, unknown> };
}

/** Id of the first event of a stream: the one after `?after=`. */
const firstIdOf = (path: string): number => Number(/\?after=(\d+)/.exec(path)?.[1] ?? -1) + 1;

interface Stream {
  readonly status: number;
  readonly correlationId: string;
  readonly body: string;
  readonly from: number;
}

function streamProblems(media: Media, { status, correlationId, body, from }: Stream): string[] {
  const events = framesOf(body);
  return [
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
  ];
}

/** The problems of facts that several events contain: they must be equal. */
function factProblems(events: readonly ReceivedEvent[]): string[] {
  const all = (name: string) => events.filter((event) => event.name === name).map((event) => event.data);
  const [started, end] = [all('started')[0], all('end')[0]];
  const jobIds = all('narration').map((data) => data['job_id']);
  return brokenRules(
    [all('token').every((data, at) => data['i'] === at), 'tokens are not numbered 0, 1, 2, …'],
    [!end || end['seed'] === started?.['seed'], 'end has another seed than started'],
    [!started || jobIds.every((id) => id === started['job_id']), 'a narration is of another job'],
    [!end || all('token').length <= Number(end['tokens_out']), 'more pieces than tokens'],
  );
}

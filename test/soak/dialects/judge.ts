/** Judges an answer of a route of the dialects: status, headers, the shape of an error, the events of a stream. */

import { messagesIn, type SseMessage } from '../../../src/client/client.ts';
import { hasExactForm } from '../../support/sse-form.ts';
import { type DialectRequest, PRIVATE } from './draw.ts';

/** Longest answer that is an error, in bytes. */
const MAX_ERROR = 16_384;
/** Statuses of errors of these routes besides those of a worker under load. */
const STATUSES: ReadonlySet<number> = new Set([400, 404, 413, 415]);
const LOAD_STATUSES: ReadonlySet<number> = new Set([503, 504]);

/** An answer as bytes, read to the end of its connection. */
export interface Heard {
  readonly status: number;
  readonly headers: ReadonlyMap<string, string>;
  readonly body: string;
}

/** Reads the bytes (as Latin-1) of an answer. @throws Error if its framing is wrong */
export function heardIn(answer: string): Heard {
  const end = answer.indexOf('\r\n\r\n');
  const [start = '', ...lines] = answer.slice(0, end).split('\r\n');
  const headers = new Map(
    lines.map((line) => {
      const [name = '', value = ''] = line.split(/: (.*)/s);
      return [name.toLowerCase(), value];
    }),
  );
  const rest = answer.slice(end + 4);
  const bytes = headers.get('transfer-encoding') === 'chunked' ? chunksIn(rest) : rest;
  const length = headers.get('content-length');
  if (length !== undefined && bytes.length !== Number(length)) throw new Error(`${bytes.length} bytes of ${length}`);
  return { status: Number(start.slice(9, 12)), headers, body: Buffer.from(bytes, 'latin1').toString() };
}

function chunksIn(text: string): string {
  const chunks: string[] = [];
  for (let at = 0; ; ) {
    const line = text.indexOf('\r\n', at);
    const size = line < 0 ? Number.NaN : Number.parseInt(text.slice(at, line), 16);
    if (Number.isNaN(size)) throw new Error('the answer was cut off');
    if (size === 0) return chunks.join('');
    chunks.push(text.slice(line + 2, line + 2 + size));
    at = line + 4 + size;
  }
}

/** The rule that an answer breaks; undefined if it breaks none. */
export function faultIn(request: DialectRequest, answer: string): string | undefined {
  try {
    const heard = heardIn(answer);
    check(heard.headers.get('x-request-id') === heard.headers.get('x-correlation-id'), 'X-Request-Id');
    if (heard.status === 200) judgeAnswer(request, heard);
    else judgeError(request, heard);
    return undefined;
  } catch (error) {
    return String(error);
  }
}

function check(holds: boolean, rule: string): asserts holds {
  if (!holds) throw new Error(rule);
}

type Json = Readonly<Record<string, unknown>>;
const isAnthropic = (path: string): boolean => path.startsWith('/v1/messages');
const keysOf = (value: unknown): string[] => Object.keys(value as object);

function judgeError(request: DialectRequest, { status, headers, body }: Heard): void {
  const { path, faults } = request;
  check(STATUSES.has(status) || LOAD_STATUSES.has(status), `status ${status}`);
  check(
    faults > 0 || LOAD_STATUSES.has(status) || status === 413 || status === 400,
    `status ${status} without a fault`,
  );
  check(Buffer.byteLength(body) <= MAX_ERROR, 'a long error');
  check(!body.includes(PRIVATE), 'an error with a text of the prompt');
  if (status === 503) check(headers.has('retry-after'), '503 without Retry-After');
  if (status === 504) check(hasDeadline(request), '504 to a request without a deadline');
  const parsed = JSON.parse(body) as Json;
  if (isAnthropic(path)) {
    check(parsed['type'] === 'error' && parsed['request_id'] === headers.get('request-id'), 'form of the error');
    check(keysOf(parsed['error']).join() === 'type,message', 'fields of the error');
  } else check(isOpenAIError(parsed['error']), 'form of the error');
}

const hasDeadline = ({ headers, body }: DialectRequest): boolean =>
  body.includes('"timeout_ms"') || headers.some(([name]) => name === 'X-Deadline');

const isOpenAIError = (error: unknown): boolean =>
  keysOf(error ?? {}).join() === 'message,type,param,code' &&
  typeof (error as Json)['message'] === 'string' &&
  typeof (error as Json)['type'] === 'string' &&
  typeof (error as Json)['code'] === 'string';

function judgeAnswer(request: DialectRequest, { headers, body }: Heard): void {
  const type = headers.get('content-type') ?? '';
  if (type.startsWith('text/event-stream')) {
    judgeStream(request, body);
    return;
  }
  check(type.startsWith('application/json'), `media type ${type}`);
  const parsed = JSON.parse(body) as Json;
  check(request.narrates || !('narration' in parsed), 'a narration nobody asked for');
  const kind = KINDS[request.path];
  if (kind !== undefined) check(kind(parsed), 'form of the answer');
}

/** True if a document has the main fields of its dialect. */
const KINDS: Readonly<Record<string, (answer: Json) => boolean>> = {
  '/v1/chat/completions': ({ object, choices }) => object === 'chat.completion' && Array.isArray(choices),
  '/v1/completions': ({ object, choices }) => object === 'text_completion' && Array.isArray(choices),
  '/v1/responses': ({ object, status }) => object === 'response' && ENDS.has(`response.${status}`),
  '/v1/messages': ({ type, stop_reason }) => type === 'message' && typeof stop_reason === 'string',
  '/v1/messages/count_tokens': ({ input_tokens }) => Number.isInteger(input_tokens),
  '/tokenize': ({ count, tokens }) => Array.isArray(tokens) && tokens.length === count,
  '/detokenize': ({ prompt }) => typeof prompt === 'string',
};
const ENDS: ReadonlySet<string> = new Set(['response.completed', 'response.incomplete', 'response.failed']);

function framesIn(body: string): SseMessage[] {
  check(hasExactForm(body), `a stream of another form: ${body.slice(-100)}`);
  const frames = messagesIn(body);
  check(
    frames.every(({ id }) => id === undefined),
    'an event with an id',
  );
  return frames;
}

function judgeStream({ path, narrates }: DialectRequest, body: string): void {
  const frames = framesIn(body);
  check(narrates || frames.every(({ data }) => !/"narration":[[{]/.test(data)), 'a narration nobody asked for');
  if (path === '/v1/messages') judgeMessages(frames);
  else if (path === '/v1/responses') judgeResponse(frames);
  else judgeChunks(frames, path === '/v1/completions' ? 'text_completion' : 'chat.completion.chunk');
}

/** Fields of a chunk of OpenAI's dialect. */
const CHUNK: ReadonlySet<string> = new Set(
  'id,object,created,model,choices,usage,system_fingerprint,narration'.split(','),
);

function judgeChunks(frames: readonly SseMessage[], object: string): void {
  check(frames.at(-1)?.data === '[DONE]', 'a stream without [DONE]');
  const chunks = frames.slice(0, -1).map(({ event: name, data }) => {
    check(name === undefined, 'a chunk with a name');
    return JSON.parse(data) as Json;
  });
  for (const [index, chunk] of chunks.entries()) {
    if ('error' in chunk) {
      check(index === chunks.length - 1 && isOpenAIError(chunk['error']), 'an error inside of a stream');
      continue;
    }
    check(chunk['object'] === object && chunk['id'] === chunks[0]?.['id'], 'a chunk of another answer');
    const unknown = keysOf(chunk).filter((name) => !CHUNK.has(name));
    check(unknown.length === 0, `fields of a chunk: ${unknown}`);
  }
  const choices = chunks.flatMap(({ choices }) => (choices ?? []) as Json[]);
  const failed = chunks.some((chunk) => 'error' in chunk);
  const ended = choices.filter(({ finish_reason }) => typeof finish_reason === 'string').map(({ index }) => index);
  check(failed || new Set(choices.map(({ index }) => index)).size === ended.length, 'a choice without its end');
  check(new Set(ended).size === ended.length, 'a choice that ends twice');
}

function judgeResponse(frames: readonly SseMessage[]): void {
  const events = frames.map(({ event: name, data }) => {
    const event = JSON.parse(data) as Json;
    check(event['type'] === name, 'an event whose name is not its type');
    return event;
  });
  events.forEach((event, index) => {
    check(event['sequence_number'] === index, 'sequence_number');
  });
  check(events[0]?.['type'] === 'response.created', 'the first event');
  const end = events.findIndex(({ type }) => ENDS.has(String(type)));
  const after = events.slice(end + 1).map(({ type }) => type);
  const expected = events[end]?.['type'] === 'response.failed' ? ['error'] : [];
  check(end > 0 && after.join() === expected.join(), 'the last event');
}

const MESSAGE_EVENTS =
  /^(?:message_start|message_delta|message_stop|content_block_start|content_block_delta|content_block_stop|ping|error)$/;

function judgeMessages(frames: readonly SseMessage[]): void {
  for (const { event: name = '', data } of frames) {
    check(MESSAGE_EVENTS.test(name), `event ${name}`);
    check((JSON.parse(data) as Json)['type'] === name, 'an event whose name is not its type');
  }
  const names = frames.map(({ event: name }) => name);
  const last = names.at(-1);
  check(last === 'message_stop' || last === 'error', 'the last event');
  check(names[0] === 'message_start' || last === 'error', 'the first event');
  check(names.filter((name) => name === 'message_stop' || name === 'error').length === 1, 'the number of ends');
  const times = (wanted: string): number => names.filter((name) => name === wanted).length;
  check(last === 'error' || times('content_block_start') === times('content_block_stop'), 'an open block');
}

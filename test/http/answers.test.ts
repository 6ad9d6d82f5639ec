/**
 * The answers that Node or Fastify would give by themselves, over real sockets: each has the error shape of the
 * contract, a correlation id, the right status, and the end of the connection in its headers.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { MAX_HEADERS } from '../../src/http/http-rules.ts';
import { schemaProblems } from '../contract/document.ts';
import { BODY_BYTES, type LoopServer, startLoopServer } from '../loop/loop-server.ts';

const TOKEN = 'correct-horse-battery';

let [server, guarded]: LoopServer[] = [];
beforeAll(async () => {
  server = await startLoopServer({ args: ['--arrival-timeout', '6'] });
  guarded = await startLoopServer({ args: ['--arrival-timeout', '6', '--api-token', TOKEN] });
});
afterAll(() => Promise.all([server?.app.close(), guarded?.app.close()]));

const ID = 'X-Correlation-Id: mine';
const HOST = 'Host: 127.0.0.1';
const JSON_TYPE = 'Content-Type: application/json';
const CHUNKED = 'Transfer-Encoding: chunked';
/** A request on a connection that closes afterwards. */
const last = (line: string, headers: readonly string[] = [], body = ''): string =>
  `${[line, HOST, ID, 'Connection: close', ...headers].join('\r\n')}\r\n\r\n${body}`;
const posted = (headers: readonly string[], body = '', path = '/cancel'): string =>
  last(`POST ${path} HTTP/1.1`, [JSON_TYPE, ...headers], body);
const LIVE = `GET /live HTTP/1.1\r\n${HOST}\r\n\r\n`;
const BROKEN_CHUNK = posted([CHUNKED], 'zz\r\n');

interface Heard {
  readonly status: number;
  readonly head: string;
  readonly body: string;
}

/** The answers of a connection; each has a Content-Length. */
function answersIn(heard: string): Heard[] {
  const found: Heard[] = [];
  for (let rest = heard; rest !== ''; ) {
    const end = rest.indexOf('\r\n\r\n') + 4;
    expect(end).toBeGreaterThan(3);
    const head = rest.slice(0, end);
    const length = Number(/\r\ncontent-length: (\d+)/i.exec(head)?.[1] ?? 0);
    found.push({ status: Number(head.slice(9, 12)), head, body: rest.slice(end, end + length) });
    rest = rest.slice(end + length);
  }
  return found;
}

async function answersTo(bytes: string, to = server): Promise<Heard[]> {
  return answersIn((await to?.send(bytes)) ?? '');
}

/** Checks the shape of an error, and returns its code. `id`: the correlation id, if the headers were readable. */
function codeOf({ head, body }: Heard, id?: string): string {
  expect(head).toMatch(/\r\ncontent-type: application\/json/i);
  const ids = [...head.matchAll(/\r\nx-correlation-id: (\S+)/gi)].map(([, given]) => given);
  expect(ids).toEqual([id ?? expect.stringMatching(/^[\da-f-]{36}$/)]);
  expect(head).toMatch(/\r\nconnection: close\r\n/i);
  const value = JSON.parse(body) as { error: { code: string; correlation_id: string } };
  expect(schemaProblems({ $ref: '#/components/schemas/ErrorAnswer' }, value)).toEqual([]);
  expect(value.error.correlation_id).toBe(ids[0]);
  return value.error.code;
}

type Row = readonly [name: string, status: number, code: string, bytes: string];

/** Requests whose headers the parser could read. */
const READ: readonly Row[] = [
  ['no Host', 400, 'INVALID_REQUEST', `GET /live HTTP/1.1\r\n${ID}\r\n\r\n`],
  ['two Hosts', 400, 'INVALID_REQUEST', last('GET /live HTTP/1.1', [HOST])],
  [
    'two Hosts, a foreign one first',
    400,
    'INVALID_REQUEST',
    `GET /live HTTP/1.1\r\nHost: a.b\r\n${HOST}\r\n${ID}\r\n\r\n`,
  ],
  ['two Hosts in HTTP/1.0', 400, 'INVALID_REQUEST', last('GET /live HTTP/1.0', [HOST])],
  ['a path that is not percent-encoded', 400, 'INVALID_REQUEST', last('GET /% HTTP/1.1')],
  ['a parameter that is not UTF-8', 400, 'INVALID_REQUEST', last('GET /jobs/%ff/events HTTP/1.1')],
  ['a broken chunk', 400, 'INVALID_REQUEST', BROKEN_CHUNK],
  ['JSON that ends early', 400, 'INVALID_REQUEST', posted(['Content-Length: 1'], '{')],
  ['a foreign page', 403, 'FORBIDDEN_ORIGIN', last('GET /health HTTP/1.1', ['Origin: https://evil.example'])],
  ['an unknown path', 404, 'NOT_FOUND', last('GET /nowhere HTTP/1.1')],
  ['an unknown method of a path', 404, 'NOT_FOUND', last('DELETE /live HTTP/1.1')],
  ['TRACE', 404, 'NOT_FOUND', last('TRACE /live HTTP/1.1')],
  ['QUERY without a type', 404, 'NOT_FOUND', last('QUERY /live HTTP/1.1')],
  ['OPTIONS *', 404, 'NOT_FOUND', last('OPTIONS * HTTP/1.1')],
  ['an Upgrade of an unknown path', 404, 'NOT_FOUND', last('GET /ws HTTP/1.1', ['Upgrade: websocket'])],
  ['CONNECT', 404, 'NOT_FOUND', last('CONNECT example.org:443 HTTP/1.1')],
  ['CONNECT with bytes behind', 404, 'NOT_FOUND', last('CONNECT example.org:443 HTTP/1.1', [], 'x'.repeat(2000))],
  ['a parameter that is too long', 400, 'INVALID_REQUEST', last(`GET /jobs/${'a'.repeat(4000)}/events HTTP/1.1`)],
  ['a body that does not arrive', 408, 'TIMEOUT', posted(['Content-Length: 9'], '{')],
  ['a chunk that does not arrive', 408, 'TIMEOUT', posted([CHUNKED], '9\r\n{')],
  ['a body that is too long', 413, 'PAYLOAD_TOO_LARGE', posted(['Content-Length: 99999999'])],
  [
    'chunks that are too long',
    413,
    'PAYLOAD_TOO_LARGE',
    posted([CHUNKED], `${(BODY_BYTES + 1).toString(16)}\r\n${' '.repeat(BODY_BYTES + 1)}\r\n`),
  ],
  ['extensions of a chunk', 413, 'PAYLOAD_TOO_LARGE', posted([CHUNKED], `2;${'x'.repeat(40_000)}\r\n`)],
  [
    'another type',
    415,
    'UNSUPPORTED_MEDIA_TYPE',
    last('POST /cancel HTTP/1.1', ['Content-Type: text/plain', 'Content-Length: 2'], '{}'),
  ],
  ['no type', 415, 'UNSUPPORTED_MEDIA_TYPE', last('POST /cancel HTTP/1.1', ['Content-Length: 2'], '{}')],
  [
    'a malformed type',
    415,
    'UNSUPPORTED_MEDIA_TYPE',
    last('POST /cancel HTTP/1.1', ['Content-Type: json', 'Content-Length: 2'], '{}'),
  ],
  ['an unknown expectation', 417, 'INVALID_REQUEST', last('GET /live HTTP/1.1', ['Expect: x'])],
  [
    'one unknown expectation of two',
    417,
    'INVALID_REQUEST',
    posted(['Expect: 100-continue, x', 'Content-Length: 2'], '{}'),
  ],
  ['too many headers', 431, 'INVALID_REQUEST', last('GET /live HTTP/1.1', Array(MAX_HEADERS).fill('a:'))],
  ['trailers that are too long', 431, 'INVALID_REQUEST', posted([CHUNKED], `0\r\nX: ${'x'.repeat(40_000)}\r\n`)],
  ['a transfer coding that nobody decodes', 501, 'INVALID_REQUEST', posted(['Transfer-Encoding: gzip, chunked'])],
  ['HTTP/2.0', 505, 'INVALID_REQUEST', last('GET /live HTTP/2.0')],
  ['HTTP/0.9 with headers', 505, 'INVALID_REQUEST', last('GET /live HTTP/0.9')],
];

/** Bytes that the parser refused before it had all headers. */
const UNREAD: readonly Row[] = [
  ['bytes that are not HTTP', 400, 'INVALID_REQUEST', 'GARBAGE\r\n\r\n'],
  ['TLS', 400, 'INVALID_REQUEST', '\u0016\u0003\u0001\u0002\u0000\u0001'],
  ['an unknown method', 400, 'INVALID_REQUEST', last('BREW /live HTTP/1.1')],
  ['a path without a slash', 400, 'INVALID_REQUEST', last('GET live HTTP/1.1')],
  ['a control character in a path', 400, 'INVALID_REQUEST', last('GET /\u0001 HTTP/1.1')],
  ['a header without a colon', 400, 'INVALID_REQUEST', last('GET /live HTTP/1.1', ['none'])],
  ['a NUL in a header', 400, 'INVALID_REQUEST', last('GET /live HTTP/1.1', ['X: a\0b'])],
  ['two lengths', 400, 'INVALID_REQUEST', posted(['Content-Length: 2', 'Content-Length: 3'], '{}')],
  ['a length and chunks', 400, 'INVALID_REQUEST', posted(['Content-Length: 2', CHUNKED], '{}')],
  ['line feeds alone', 400, 'INVALID_REQUEST', 'GET /live HTTP/1.1\nHost: a\n\n'],
  ['the preface of HTTP/2', 400, 'INVALID_REQUEST', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
  ['nothing', 408, 'TIMEOUT', ''],
  ['headers that do not end', 408, 'TIMEOUT', `GET /live HTTP/1.1\r\n${HOST}\r\n`],
  ['headers that are too long', 431, 'INVALID_REQUEST', last('GET /live HTTP/1.1', [`X: ${'x'.repeat(40_000)}`])],
  ['a path that is too long', 431, 'INVALID_REQUEST', last(`GET /${'x'.repeat(40_000)} HTTP/1.1`)],
  ['HTTP/1.2', 505, 'INVALID_REQUEST', last('GET /live HTTP/1.2')],
  ['HTTP/9.9', 505, 'INVALID_REQUEST', last('GET /live HTTP/9.9')],
  ['HTTP/0.9', 505, 'INVALID_REQUEST', 'GET /live\r\n\r\n'],
];

describe.concurrent('an error that no route gives', () => {
  test.each(READ)('%s: %i %s, with the id of the request', async (_, status, code, bytes) => {
    const [answer, ...others] = await answersTo(bytes);
    expect([answer?.status, others]).toEqual([status, []]);
    expect(codeOf(answer as Heard, 'mine')).toBe(code);
  });

  test.each(UNREAD)('%s: %i %s, with a new id', async (_, status, code, bytes) => {
    const [answer, ...others] = await answersTo(bytes);
    expect([answer?.status, others]).toEqual([status, []]);
    expect(codeOf(answer as Heard)).toBe(code);
  });

  test('a wrong token: 401', async () => {
    const [answer] = await answersTo(last('GET /health HTTP/1.1', ['Authorization: Bearer wrong']), guarded);
    expect([answer?.status, codeOf(answer as Heard, 'mine')]).toEqual([401, 'UNAUTHORIZED']);
  });

  test('a defect of a route: 500', async () => {
    const broken = await startLoopServer();
    broken.jobs.find = () => {
      throw new Error('a defect');
    };
    const [answer] = await answersTo(last('GET /jobs/any/events HTTP/1.1'), broken);
    expect([answer?.status, codeOf(answer as Heard, 'mine')]).toEqual([500, 'INTERNAL']);
    await broken.app.close();
  });

  test.each([
    ['GET /v1/nothing', 'openai'],
    ['DELETE /v1/chat/completions', 'openai'],
    ['GET /v1/messagesx', 'openai'],
    ['GET /v1/messages', 'anthropic'],
    ['POST /v1/messages/batches?x=1', 'anthropic'],
  ])('%s is not found in the shape of %s', async (line, dialect) => {
    const [answer] = await answersTo(last(`${line} HTTP/1.1`, ['Content-Length: 0']));
    expect([answer?.status, answer?.head]).toEqual([404, expect.stringMatching(/\r\nx-request-id: mine\r\n/i)]);
    const openAI = { message: 'Not found.', type: 'not_found_error', param: null, code: 'not_found' };
    const anthropic = { type: 'not_found_error', message: 'Not found.' };
    const isOpenAI = dialect === 'openai';
    expect(JSON.parse(answer?.body ?? '')).toEqual(
      isOpenAI ? { error: openAI } : { type: 'error', error: anthropic, request_id: 'mine' },
    );
    expect(/\r\nrequest-id: mine\r\n/i.test(answer?.head ?? '')).toBe(!isOpenAI);
  });

  test('a malformed path below /v1/ has the shape of its dialect', async () => {
    const [answer] = await answersTo(last('GET /v1/messages/% HTTP/1.1'));
    expect(JSON.parse(answer?.body ?? '')).toMatchObject({ type: 'error', error: { type: 'invalid_request_error' } });
  });

  test('clients of a dialect are told when another try cannot help', async () => {
    const broken = [JSON_TYPE, 'Content-Length: 2'];
    for (const [path, header] of [
      ['/v1/chat/completions', true],
      ['/v1/messages', true],
      ['/execute', false],
    ] as const) {
      const [answer] = await answersTo(last(`POST ${path} HTTP/1.1`, broken, '{{'));
      expect(answer?.status).toBe(400);
      expect([path, /\r\nx-should-retry: false\r\n/i.test(answer?.head ?? '')]).toEqual([path, header]);
    }
  });

  test('HEAD has the headers of the error, and no body', async () => {
    for (const path of ['/%', '/nowhere']) {
      const heard = await server?.send(last(`HEAD ${path} HTTP/1.1`));
      expect(heard).toMatch(/^HTTP\/1\.1 40[04] [\s\S]*x-correlation-id: mine\r\n[\s\S]*\r\n\r\n$/i);
    }
  });
});

describe.concurrent('behind other requests of the connection', () => {
  test.each([
    ['bytes that are not HTTP', 400, 'GARBAGE\r\n\r\n', undefined],
    ['a broken chunk', 400, BROKEN_CHUNK, 'mine'],
    ['CONNECT', 404, last('CONNECT example.org:443 HTTP/1.1'), 'mine'],
    ['half of a body', 408, posted(['Content-Length: 9'], '{'), 'mine'],
    ['another version', 505, last('GET /live HTTP/1.2'), undefined],
  ])('%s gets %i after their answers', async (_, status, bytes, id) => {
    const answers = await answersTo(LIVE.repeat(3) + bytes);
    expect(answers.map((answer) => answer.status)).toEqual([200, 200, 200, status]);
    codeOf(answers[3] as Heard, id);
  });

  test('on a connection that was idle, too', async () => {
    const socket = await server?.open();
    let heard = '';
    const closed = new Promise((resolve) => socket?.once('close', resolve));
    socket?.setEncoding('utf8').on('data', (text: string) => {
      if (heard === '') socket.write('GARBAGE\r\n\r\n');
      heard += text;
    });
    socket?.write(LIVE);
    await closed;
    expect(answersIn(heard).map(({ status }) => status)).toEqual([200, 400]);
  });

  test('a request that had its answer gets no second one for its broken body', async () => {
    const socket = await server?.open();
    let heard = '';
    const closed = new Promise((resolve) => socket?.once('close', resolve));
    socket?.setEncoding('utf8').on('data', (text: string) => {
      if (heard === '') socket.write('zz\r\n');
      heard += text;
    });
    socket?.write(`GET /live HTTP/1.1\r\n${HOST}\r\n${CHUNKED}\r\n\r\n2\r\n{}\r\n`);
    await closed;
    expect(answersIn(heard).map(({ status }) => status)).toEqual([200]);
  });
});

describe.concurrent('HTTP that stays valid', () => {
  test.each([
    ['HTTP/1.0 without Host', 'GET /live HTTP/1.0\r\n\r\n'],
    ['HTTP/1.0 with an expectation that it does not know', `GET /live HTTP/1.0\r\n${HOST}\r\nExpect: x\r\n\r\n`],
    ['an Upgrade that is ignored', last('GET /live HTTP/1.1', ['Upgrade: websocket'])],
    ['as many headers as allowed', last('GET /live HTTP/1.1', Array(MAX_HEADERS - 3).fill('a:'))],
    ['a GET with a body', last('GET /live HTTP/1.1', ['Content-Length: 2'], '{}')],
    ['an empty list of expectations', last('GET /live HTTP/1.1', ['Expect: ,'])],
  ])('%s', async (_, bytes) => {
    expect((await answersTo(bytes)).map(({ status }) => status)).toEqual([200]);
  });

  test('a second Host is seen behind a thousand headers', async () => {
    const [answer] = await answersTo(last('GET /live HTTP/1.1', [...Array(1100).fill('a:'), HOST]));
    expect(answer?.status).toBe(400);
  });
});

describe.concurrent('a client that expects 100 Continue', () => {
  const waiting = (headers: readonly string[], line = 'POST /cancel HTTP/1.1'): string =>
    `${[line, ID, 'Expect: 100-Continue', ...headers].join('\r\n')}\r\n\r\n`;
  const token = `Authorization: Bearer ${TOKEN}`;
  const body = '{"job_id":"nobody"}';
  const sized = [JSON_TYPE, `Content-Length: ${body.length}`];

  test.each([
    [401, [HOST, ...sized]],
    [403, [HOST, token, 'Origin: https://evil.example', ...sized]],
    [400, [token, ...sized]],
    [413, [HOST, token, JSON_TYPE, 'Content-Length: 99999999']],
    [415, [HOST, token, 'Content-Type: text/plain', 'Content-Length: 9']],
    [415, [HOST, token, 'Content-Encoding: zstd', ...sized]],
    [417, [HOST, token, 'Expect: x', ...sized]],
  ])('gets %i at once if the headers decide', async (status, headers) => {
    const [answer, ...others] = await answersTo(waiting(headers), guarded);
    expect([answer?.status, others]).toEqual([status, []]);
    codeOf(answer as Heard, 'mine');
  });

  test('gets 404 at once for a path without a route', async () => {
    const [answer, ...others] = await answersTo(waiting([HOST, ...sized], 'POST /nowhere HTTP/1.1'), guarded);
    expect([answer?.status, others]).toEqual([404, []]);
  });

  test('gets the answer of a route that reads no body, and no 100', async () => {
    const answers = await answersTo(waiting([HOST, token, 'Content-Length: 2'], 'GET /health HTTP/1.1'), guarded);
    expect(answers.map(({ status }) => status)).toEqual([200]);
  });

  test('gets 100 if nothing speaks against its body, then the answer, and keeps its connection', async () => {
    const socket = await guarded?.open();
    let heard = '';
    const closed = new Promise((resolve) => socket?.once('close', resolve));
    socket?.setEncoding('utf8').on('data', (text: string) => {
      heard += text;
      if (heard.endsWith('100 Continue\r\n\r\n')) socket.write(body);
      else if (/404[\s\S]*\}$/.test(heard)) socket.write(last('GET /live HTTP/1.1'));
    });
    socket?.write(waiting([HOST, token, ...sized]));
    await closed;
    expect(answersIn(heard).map(({ status }) => status)).toEqual([100, 404, 200]);
  });

  test('gets 408 if its body does not arrive after that', async () => {
    const answers = await answersTo(waiting([HOST, token, ...sized]), guarded);
    expect(answers.map(({ status }) => status)).toEqual([100, 408]);
    codeOf(answers[1] as Heard, 'mine');
  });
});

/** Bodies as bytes, over real sockets: their charset, their UTF-8, and their content coding. */
import { brotliCompressSync, deflateRawSync, deflateSync, gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { schemaProblems } from '../../contract/document.ts';
import { BODY_BYTES, type LoopServer, startLoopServer } from '../../loop/loop-server.ts';

let server: LoopServer;
beforeAll(async () => {
  server = await startLoopServer();
});
afterAll(() => server.app.close());

const JOB = '{"job_id":"job","prompt":"The sea: Öl, 海, 🐝"}';
const JSON_TYPE = 'Content-Type: application/json';

interface Sent {
  readonly path?: string;
  readonly headers?: readonly string[];
  /** Sent in chunks, each of which arrives by itself. */
  readonly chunks?: readonly Uint8Array[];
}

function requestOf(body: Uint8Array, { path = '/execute', headers = [JSON_TYPE] }: Sent = {}): Buffer {
  const lines = [`POST ${path} HTTP/1.1`, 'Host: 127.0.0.1', 'Connection: close', 'X-Correlation-Id: mine', ...headers];
  return Buffer.concat([Buffer.from(`${lines.join('\r\n')}\r\nContent-Length: ${body.length}\r\n\r\n`), body]);
}

interface Answer {
  readonly status: number;
  readonly head: string;
  readonly body: string;
  readonly error?: {
    readonly code: string;
    readonly message: string;
    readonly details?: Readonly<Record<string, unknown>>;
    readonly errors?: readonly { readonly field: string; readonly constraint: string }[];
  };
}

function answerIn(heard: string): Answer {
  const [head = '', body = ''] = heard.split(/\r\n\r\n([\s\S]*)/);
  const status = Number(head.slice(9, 12));
  if (status < 400) return { status, head, body };
  const value = JSON.parse(body) as { error: NonNullable<Answer['error']> };
  expect(schemaProblems({ $ref: '#/components/schemas/ErrorAnswer' }, value)).toEqual([]);
  return { status, head, body, error: value.error };
}

const post = async (body: Uint8Array | string, sent: Sent = {}): Promise<Answer> =>
  answerIn(await server.send(requestOf(Buffer.from(body as Uint8Array), sent)));
const coded = (coding: string, body: Uint8Array, path = '/execute'): Promise<Answer> =>
  post(body, { path, headers: [JSON_TYPE, `Content-Encoding: ${coding}`] });

describe('a charset', () => {
  test.each(['utf-8', 'UTF-8', '"utf-8"', 'utf8', 'us-ascii', 'US-ASCII', '"us-ascii"', 'utf-8; x=";charset=latin1"'])(
    'of UTF-8 is accepted: %s',
    async (charset) => {
      const { status } = await post(JOB, { headers: [`Content-Type: application/json; charset=${charset}`] });
      expect(status).toBe(200);
    },
  );

  test.each([
    ['iso-8859-1', 'iso-8859-1'],
    ['"UTF-16"', 'utf-16'],
    ['utf-16le', 'utf-16le'],
    ['windows-1252', 'windows-1252'],
    ['utf-7', 'utf-7'],
    ['utf-8; charset=latin1', 'latin1'],
    ['', ''],
    ['"utf-8', '"utf-8'],
  ])('of another kind is 415, which names the allowed ones: %s', async (charset, shown) => {
    const { status, error } = await post(JOB, { headers: [`Content-Type: application/json;charset=${charset}`] });
    expect([status, error?.code, error?.details]).toEqual([415, 'UNSUPPORTED_MEDIA_TYPE', { charset: shown }]);
    expect(error?.message).toBe(`The charset must be utf-8 or us-ascii, but is ${JSON.stringify(shown)}.`);
  });
});

describe('bytes that are not UTF-8', () => {
  const head = '{"job_id":"job","prompt":"';
  test.each([
    ['Latin-1', Buffer.from('Öl', 'latin1'), 0],
    ['a byte behind a genuine replacement character', Buffer.from([0xef, 0xbf, 0xbd, 0x41, 0xff]), 4],
    ['an overlong form', Buffer.from([0x41, 0xc0, 0xaf]), 1],
    ['half of a surrogate pair', Buffer.from([0xed, 0xa0, 0x80]), 0],
    ['a character beyond Unicode', Buffer.from([0xf5, 0x80, 0x80, 0x80]), 0],
    ['a character that is cut', Buffer.from([0x41, 0xf0, 0x9f, 0x90]), 1],
  ])('are 400 with the offset of the first one: %s', async (_, bytes, offset) => {
    const body = Buffer.concat([Buffer.from(head), bytes, Buffer.from('"}')]);
    for (const sent of [() => post(body), () => coded('gzip', gzipSync(body))]) {
      const { status, error } = await sent();
      expect([status, error?.errors]).toMatchObject([400, [{ field: 'body', constraint: 'utf8' }]]);
      expect(error?.message).toContain(`its byte ${head.length + offset} (counted from 0)`);
    }
  });

  test('are 400 for UTF-16, and with an event stream', async () => {
    const utf16 = Buffer.from(`\ufeff${JOB}`, 'utf16le');
    expect((await post(utf16)).error?.message).toContain('byte 0 ');
    const heard = await server.send(requestOf(utf16, { headers: [JSON_TYPE, 'Accept: text/event-stream'] }));
    expect(heard).toMatch(/^HTTP\/1\.1 400 [\s\S]*event: error\ndata: .*body must be UTF-8/);
  });

  test('a byte order mark is no part of the JSON', async () => {
    expect((await post(`\ufeff${JOB}`)).status).toBe(200);
    expect((await post(`\ufeff`)).error?.errors).toMatchObject([{ field: 'body' }]);
  });
});

const CODINGS = [
  ['gzip', gzipSync],
  ['x-gzip', gzipSync],
  ['GZip', gzipSync],
  ['deflate', deflateSync],
  ['deflate', deflateRawSync],
  ['br', brotliCompressSync],
] as const;

describe.each(CODINGS)('a body in %s', (coding, compress) => {
  test('is decoded', async () => {
    expect((await coded(coding, compress(JOB))).status).toBe(200);
    expect((await coded(`identity, ${coding},`, compress(JOB))).status).toBe(200);
    expect((await coded(coding, compress('{"job_id":"nobody"}'), '/cancel')).status).toBe(404);
  });

  test('may arrive byte by byte', async () => {
    const head = requestOf(Buffer.alloc(0), {
      headers: [JSON_TYPE, `Content-Encoding: ${coding}`, 'Transfer-Encoding: chunked'],
    }).toString();
    const chunks = [...compress(JOB)].map((byte) => Buffer.from([0x31, 0x0d, 0x0a, byte, 0x0d, 0x0a]));
    const request = [Buffer.from(head.replace('Content-Length: 0\r\n', '')), ...chunks, Buffer.from('0\r\n\r\n')];
    expect(answerIn(await server.send(Buffer.concat(request))).status).toBe(200);
  });

  test('that is cut, damaged, or followed by other bytes is 400', async () => {
    const good = compress(JOB.padEnd(400));
    const damaged = Buffer.from(good);
    for (let at = 4; at < damaged.length; at += 1) damaged[at] = (damaged[at] ?? 0) ^ 0x55;
    for (const bad of [
      good.subarray(0, -3),
      good.subarray(0, 1),
      damaged,
      Buffer.from('{}'),
      Buffer.concat([good, Buffer.from('more')]),
      Buffer.concat([good, Buffer.alloc(1)]),
    ]) {
      const { status, error } = await coded(coding, bad);
      expect([status, error?.errors]).toMatchObject([400, [{ field: 'body', constraint: 'encoding' }]]);
    }
  });

  test('has the limit of the body: its last byte is accepted, one more is 413', async () => {
    const fits = JOB.padEnd(BODY_BYTES - Buffer.byteLength(JOB) + JOB.length);
    expect(Buffer.byteLength(fits)).toBe(BODY_BYTES);
    expect((await coded(coding, compress(fits))).status).toBe(200);
    const { status, error } = await coded(coding, compress(`${fits} `));
    expect([status, error?.code, error?.details]).toEqual([413, 'PAYLOAD_TOO_LARGE', { max_bytes: BODY_BYTES }]);
  });

  test('has the limits of the structure', async () => {
    const { status, error } = await coded(coding, compress('['.repeat(400_000)));
    expect([status, error?.errors]).toMatchObject([400, [{ field: 'body', constraint: 'depth' }]]);
  });

  test('is refused on a route that reads no body', async () => {
    const { status, head, error } = await coded(coding, compress('{}'), '/shutdown');
    expect([status, error?.code]).toEqual([415, 'UNSUPPORTED_MEDIA_TYPE']);
    expect(head).toMatch(/\r\nAccept-Encoding: identity\r\n/i);
  });
});

test.each(['zstd', 'compress', 'gzip, br', 'gzip, gzip', 'gzip;q=1', '\u0080', 'x'.repeat(10_000)])(
  'another coding is 415, which names the known ones: %s',
  async (coding) => {
    const { status, head, error, body } = await coded(coding, gzipSync(JOB));
    expect([status, error?.code]).toEqual([415, 'UNSUPPORTED_MEDIA_TYPE']);
    expect(head).toMatch(/\r\nAccept-Encoding: gzip, deflate, br, identity\r\n/i);
    expect(error?.message).toMatch(/^Content-Encoding must be one of gzip, deflate, br, identity, but is "/);
    expect(body.length).toBeLessThan(750);
  },
);

test.each(['identity', 'Identity', ''])('the coding "%s" is none', async (coding) => {
  expect((await coded(coding, Buffer.from(JOB))).status).toBe(200);
});

test('without the token, nothing is decoded', async () => {
  const guarded = await startLoopServer({ args: ['--api-token', 'correct-horse-battery'] });
  const request = requestOf(Buffer.from('not gzip'), { headers: [JSON_TYPE, 'Content-Encoding: gzip'] });
  expect(answerIn(await guarded.send(request)).status).toBe(401);
  await guarded.app.close();
});

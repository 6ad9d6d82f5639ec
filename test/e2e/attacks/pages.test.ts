/**
 * Web pages that a browser on the same machine has open: pages of other origins, and names that point to this
 * machine. Only the probes answer them.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { rawOnce, requestOf, statusesOf } from '../../support/raw.ts';
import { sharedWorker } from '../../support/shared-worker.ts';
import { startWorker, type TestWorker } from '../../support/worker.ts';

const ADVERTISED = 'gpu-7.lan';

let [worker, advertised]: TestWorker[] = [];
beforeAll(async () => {
  worker = await sharedWorker();
  advertised = await startWorker({ args: ['--advertise-url', `http://${ADVERTISED}:8080`], early: true });
});
afterAll(() => advertised?.kill());

/** A request with exactly these header lines. */
const bare = (method: string, path: string, headers: readonly string[], version = '1.1'): string =>
  `${[`${method} ${path} HTTP/${version}`, ...headers, 'Connection: close'].join('\r\n')}\r\n\r\n`;
const answerTo = async (bytes: string, to = worker): Promise<string> => rawOnce(to as TestWorker, bytes);
const statusOf = async (bytes: string, to = worker): Promise<number | undefined> =>
  statusesOf(await answerTo(bytes, to))[0];
const errorIn = (answer: string): unknown => JSON.parse(answer.split('\r\n\r\n')[1] ?? '');

const MARKS = [
  ['Sec-Fetch-Site: cross-site'],
  ['Sec-Fetch-Site: same-site'],
  ['Sec-Fetch-Site: CROSS-SITE'],
  ['Sec-Fetch-Site: none, cross-site'],
  ['Origin: https://evil.example'],
  ['Origin: null'],
  ['Origin:'],
  ['Origin: http://evil', 'Sec-Fetch-Site: same-origin'],
  ['Origin: http://evil', 'Sec-Fetch-Site: none'],
  ['Origin: chrome-extension://abcdefghijklmnop'],
];

describe.each(MARKS.map((mark) => [mark.join(', '), mark] as const))('a page with %s', (_, mark) => {
  const headers = ['Host: 127.0.0.1', ...mark];

  test('reads the probes', async () => {
    for (const path of ['/live', '/ready'])
      for (const method of ['GET', 'HEAD'])
        expect([method, path, await statusOf(bare(method, path, headers))]).toEqual([method, path, 200]);
  });

  test('gets 403 on every other route, and on paths that are no route', async () => {
    const paths = ['/health', '/metrics', '/openapi.yaml', '/openapi.json', '/jobs/any/events', '/', '/no-route'];
    for (const [method, path] of [
      ...['GET', 'HEAD', 'OPTIONS'].flatMap((method) => paths.map((path) => [method, path])),
      ...['/execute', '/cancel', '/shutdown', '/live'].map((path) => ['POST', path]),
      ['OPTIONS', '/live'],
      ['DELETE', '/health'],
    ] as [string, string][])
      expect([method, path, await statusOf(bare(method, path, headers))]).toEqual([method, path, 403]);
  });
});

test('a refused page gets the native error, which names the page and the way out', async () => {
  const answer = await answerTo(bare('GET', '/health', ['Host: 127.0.0.1', 'Origin: https://evil.example']));
  expect(answer).not.toMatch(/access-control/i);
  expect(errorIn(answer)).toEqual({
    error: {
      code: 'FORBIDDEN_ORIGIN',
      message: expect.stringContaining('--cors-origin'),
      retriable: false,
      retry: 'never',
      correlation_id: /x-correlation-id: (\S+)/i.exec(answer)?.[1],
      details: { origin: 'https://evil.example' },
    },
  });
  const long = `https://${'evil.'.repeat(2000)}example`;
  expect((await answerTo(bare('GET', '/health', ['Host: 127.0.0.1', `Origin: ${long}`]))).length).toBeLessThan(750);
});

test.each([
  ['http://127.0.0.1:8080', '127.0.0.1:8080', 200],
  ['http://127.0.0.1', '127.0.0.1:80', 200],
  ['http://localhost:80', 'LOCALHOST', 200],
  ['http://[::1]:8080', '[::1]:8080', 200],
  ['https://localhost', 'localhost', 200],
  ['https://localhost:443', 'localhost:80', 200],
  ['https://localhost:8443', 'localhost:8443', 200],
  ['http://127.0.0.1:8081', '127.0.0.1:8080', 403],
  ['http://127.0.0.1', '127.0.0.1:8080', 403],
  ['http://127.0.0.1:8080', '127.0.0.1', 403],
  ['http://localhost:8080', '127.0.0.1:8080', 403],
  ['http://127.0.0.1:8080/', '127.0.0.1:8080', 403],
  ['http://a@127.0.0.1:8080', '127.0.0.1:8080', 403],
  ['127.0.0.1:8080', '127.0.0.1:8080', 403],
])('the page %s, which asks the host %s, gets %i', async (origin, host, expected) => {
  for (const mark of [[], ['Sec-Fetch-Site: same-origin']])
    expect(await statusOf(bare('GET', '/health', [`Host: ${host}`, `Origin: ${origin}`, ...mark]))).toBe(expected);
  const marked = bare('GET', '/health', [`Host: ${host}`, `Origin: ${origin}`, 'Sec-Fetch-Site: cross-site']);
  expect(await statusOf(marked)).toBe(403);
});

test('a page without a host to compare with is refused', async () => {
  expect(await statusOf(bare('GET', '/health', ['Origin: http://127.0.0.1'], '1.0'))).toBe(403);
});

describe('without a token, the name in Host', () => {
  test.each([
    'evil',
    'evil:8080',
    '2130706433',
    '0x7f.1',
    '0x7f000001',
    '127.1',
    '0177.0.0.1',
    'localhost.',
    'foo.localhost',
    'localhost.evil.example',
    '127.0.0.1.evil.example',
    'a@127.0.0.1',
    '127.0.0.1:80@evil.com',
    '127.0.0.1.',
    '127.0.0.1:',
    '127.0.0.1:123456',
    '[::1',
    '::1',
    '[::1]evil',
    '127.0.0.1/evil',
    '',
    ADVERTISED,
  ])('is refused on every route: %s', async (host) => {
    for (const path of ['/health', '/live', '/jobs/any/events', '/no-route'])
      expect([path, await statusOf(bare('GET', path, [`Host: ${host}`]))]).toEqual([path, 403]);
    expect(await statusOf(bare('POST', '/shutdown', [`Host: ${host}`]))).toBe(403);
  });

  test.each(['localhost', 'LocalHost:8080', '127.0.0.1', '127.0.0.1:1', '127.9.8.7', '192.168.0.7', '[::1]:80'])(
    'is accepted: %s',
    async (host) => {
      expect(await statusOf(bare('GET', '/health', [`Host: ${host}`]))).toBe(200);
    },
  );

  test('may be absent in HTTP/1.0', async () => {
    expect(await statusOf(bare('GET', '/health', [], '1.0'))).toBe(200);
  });

  test('may be the one of --advertise-url', async () => {
    expect(await statusOf(bare('GET', '/live', [`Host: ${ADVERTISED}:8080`]), advertised)).toBe(200);
    expect(await statusOf(bare('GET', '/live', [`Host: x.${ADVERTISED}`]), advertised)).toBe(403);
  });

  test('is the one of an absolute target, if there is one', async () => {
    const absolute = (target: string): string => bare('GET', target, ['Host: 127.0.0.1']);
    expect(await statusOf(absolute('http://evil.example/health'))).toBe(403);
    expect(await statusOf(absolute('http://127.0.0.1/health'))).toBe(200);
  });

  test('is explained in the native error', async () => {
    const answer = await answerTo(bare('GET', '/live', ['Host: evil.example']));
    expect(errorIn(answer)).toMatchObject({
      error: {
        code: 'FORBIDDEN_ORIGIN',
        message: expect.stringMatching(/localhost.*--advertise-url.*--api-token/),
        details: { host: 'evil.example' },
      },
    });
  });
});

describe('a page cannot', () => {
  test.each(['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=x'])(
    'post the form %s, which needs no preflight',
    async (type) => {
      const response = await fetch(`${worker?.url}/cancel`, {
        method: 'POST',
        headers: { 'Content-Type': type },
        body: '{"job_id":"any"}',
      });
      expect(response.status).toBe(415);
    },
  );

  test.each(['X-HTTP-Method-Override', 'X-HTTP-Method', 'X-Method-Override'])(
    'replace its method: %s',
    async (name) => {
      expect(await statusOf(bare('GET', '/shutdown', ['Host: 127.0.0.1', `${name}: POST`]))).toBe(404);
      expect(await statusOf(bare('GET', '/shutdown?_method=POST', ['Host: 127.0.0.1']))).toBe(404);
    },
  );

  test('change the protocol', async () => {
    const upgrade = ['Host: 127.0.0.1', 'Upgrade: h2c', 'HTTP2-Settings: AAMAAABkAAQAAP__', 'Connection: Upgrade'];
    expect(await answerTo(bare('GET', '/live', upgrade))).toMatch(/^HTTP\/1\.1 200 [\s\S]*"alive"/);
    expect(statusesOf(await answerTo('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'))).toEqual([400]);
  });

  test('put a line into the headers of an answer', async () => {
    const split = '%0d%0aSet-Cookie:%20x=1%0d%0a%0d%0a';
    const body = JSON.stringify({ job_id: 'a\r\nSet-Cookie: x=1\r\n\r\n' });
    for (const bytes of [
      requestOf('GET', `/jobs/${split}/events`, '', ['Connection: close']),
      requestOf('POST', '/cancel', body, ['Connection: close']),
      requestOf('GET', '/live', '', [`X-Correlation-Id: ${split}`, 'Connection: close']),
    ])
      expect((await answerTo(bytes)).split('\r\n\r\n')[0]).not.toMatch(/set-cookie/i);
  });
});

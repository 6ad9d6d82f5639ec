/**
 * A worker with a token, and callers without it: no form of a path, method or connection reaches a guarded
 * route. And callers with it, who repeat it: it never reaches the log.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { raw, rawOnce, requestOf, statusesOf } from '../../support/raw.ts';
import { startWorker, type TestWorker } from '../../support/worker.ts';

/** Valid as an id of a request and, from the third part on, of a trace. */
const TOKEN = 'deadbeefcafef00d';

let worker: TestWorker;
beforeAll(async () => {
  worker = await startWorker({ env: { RBEES_API_TOKEN: TOKEN } });
});
afterAll(() => worker.kill());

const PATHS = [
  ...['//execute', '/execute/', '/execute//', '/%65xecute', '/%2565xecute', '/EXECUTE', '/execute;a', '/execute#x'],
  ...['/execute.', '/execute%00', '/execute%20', '/execute%2f', '/./execute', '/../execute', '/live/../execute'],
  ...[
    '/live/..%2fexecute',
    '/live%2f..%2fexecute',
    '/live;/../execute',
    '/live/execute',
    '/live?/execute',
    '/execute?x',
  ],
  ...['//health', '/health/', '/%68ealth', '/Health', '/health;jsessionid=1', '/health?a', '/health%3f', '/health#'],
  ...['/ready/../health', '/health\\', '/openapi.json/', '/%6fpenapi.json', '/metrics%2e', '/jobs/%2e%2e/events'],
  ...['http://127.0.0.1/health', 'http://127.0.0.1/live/../health', 'http://localhost/shutdown', '127.0.0.1:80', '*'],
];
const METHODS = ['GET', 'HEAD', 'POST', 'OPTIONS', 'PUT', 'PATCH', 'DELETE', 'QUERY', 'TRACE', 'CONNECT', 'get'];

describe('without the token', () => {
  test.each(METHODS)('no path opens a route: %s', async (method) => {
    const open = PATHS.filter((path) => path.startsWith('/live?'));
    for (const version of ['1.1', '1.0']) {
      const statuses = await Promise.all(
        PATHS.map(async (path) => {
          const bytes = `${method} ${path} HTTP/${version}\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n`;
          return [path, statusesOf(await rawOnce(worker, bytes))] as const;
        }),
      );
      const allowed = (path: string): number[] => (open.includes(path) ? [200, 404, 400] : [400, 401, 404]);
      // CONNECT, which the worker does not know, ends the connection without an answer.
      expect(statuses.filter(([path, given]) => given.some((status) => !allowed(path).includes(status)))).toEqual([]);
      expect(statuses.filter(([, given]) => given.length > 1)).toEqual([]);
    }
  });

  test('an open route opens nothing behind it on its connection', async () => {
    const heard = await rawOnce(
      worker,
      requestOf('GET', '/live') +
        requestOf('GET', '/health') +
        requestOf('POST', '/shutdown') +
        requestOf('GET', '/metrics', '', ['Connection: close']),
    );
    const [first, ...others] = statusesOf(heard);
    expect([first, new Set(others)]).toEqual([200, new Set([401])]);
  });

  test.each([
    ['of a guarded route', 'POST', '/execute', 401],
    ['of an open route', 'GET', '/live', 200],
    ['of no route', 'POST', '/nothing', 404],
  ])('a request in the body %s is not answered', async (_, method, path, status) => {
    const inner = requestOf('GET', '/health') + requestOf('POST', '/shutdown');
    const head = [`Content-Length: ${inner.length}`, 'Content-Type: application/json', 'Connection: close'];
    const lines = [`${method} ${path} HTTP/1.1`, 'Host: 127.0.0.1', ...head].join('\r\n');
    const chunks = lines.replace(/Content-Length: \d+/, 'Transfer-Encoding: chunked');
    for (const bytes of [
      `${lines}\r\n\r\n${inner}`,
      `${chunks}\r\n\r\n${inner.length.toString(16)}\r\n${inner}\r\n0\r\n\r\n`,
    ])
      expect(statusesOf(await rawOnce(worker, bytes))).toEqual([status]);
  });

  test('the body of a request without a route is not parsed', async () => {
    const body = '{ broken';
    for (const [method, path] of [
      ['POST', '/nothing'],
      ['POST', '/live'],
      ['PUT', '/execute'],
    ] as const)
      expect(statusesOf(await rawOnce(worker, requestOf(method, path, body, ['Connection: close'])))).toEqual([404]);
  });

  test('a body that waits for permission is not asked for', async () => {
    const head = 'POST /execute HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n';
    const heard = await raw(worker, [
      { when: /^$/, send: `${head}Content-Length: 400000\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n` },
      { when: /HTTP\/1\.1 401/, send: ' '.repeat(400_000) },
    ]);
    expect(statusesOf(heard)).toContain(401);
    expect(statusesOf(heard).filter((status) => ![100, 401].includes(status))).toEqual([]);
  });

  test('no job ran and nothing stopped', () => {
    const told = worker.lines.filter(({ event }) =>
      ['request.validated', 'inference.start', 'worker.draining', 'worker.fault'].includes(event),
    );
    expect(told).toEqual([]);
  });
});

test('with the token, nothing that repeats it brings it into the log', async () => {
  const headers = { Authorization: `Bearer ${TOKEN}` };
  const wide = `${'x'.repeat(250)}${TOKEN}`.slice(-256);
  const hidden = [...TOKEN].join('\u200b');
  for (const [index, text] of [TOKEN, wide, hidden, `${TOKEN}${TOKEN}`, `a${TOKEN}b`].entries()) {
    const body = { job_id: `${text.slice(0, 200)}-${index}`, prompt: 'The sea', max_tokens: 1 };
    await worker.execute({ ...body, [text]: 1, [`${'y'.repeat(8180)}${text}`]: text.repeat(1000) }, headers);
    await worker.post('/execute', { ...body, max_tokens: 0, min_tokens: text, stop: [text, 1] }, headers);
    await worker.post('/execute', { ...body, job_id: text.repeat(2000), raw: text }, headers);
    await worker.post('/cancel', { job_id: text }, headers);
    await worker.get(`/jobs/${encodeURIComponent(text)}/events?after=${encodeURIComponent(text)}`, headers);
  }
  const ids = { 'X-Correlation-Id': TOKEN, traceparent: `00-${TOKEN}${TOKEN}-${TOKEN}-01` };
  const answer = await worker.post('/execute', { job_id: 'ids', prompt: 'x', max_tokens: 1 }, { ...headers, ...ids });
  expect(answer.headers.get('x-correlation-id')).toMatch(/^[0-9a-f]{8}-/);
  expect(answer.headers.get('traceparent')).toBeNull();
  expect(await answer.text()).not.toContain(TOKEN);
  expect(await worker.stop()).toBe(0);
  expect(worker.stdout).not.toContain(TOKEN);
  expect(worker.stdout).toContain('[REDACTED]');
  expect(worker.stderr).toBe('');
});

/** Pages that may use the worker: none, unless the operator names their origins. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { lastOf } from '../../support/listener.ts';
import { rawOnce, requestOf, statusesOf } from '../../support/raw.ts';
import { sharedWorker } from '../../support/shared-worker.ts';
import { startWorker, type TestWorker } from '../../support/worker.ts';

const APP = 'https://app.example';
const TOKEN = 'correct-horse-battery-staple';
const PREFLIGHT = { 'Access-Control-Request-Method': 'POST', 'Access-Control-Request-Headers': 'content-type' };

let [closed, opened]: TestWorker[] = [];
beforeAll(async () => {
  closed = await sharedWorker();
  opened = await startWorker({
    args: ['--cors-origin', `${APP}, http://localhost:3000`],
    env: { RBEES_API_TOKEN: TOKEN },
  });
});
afterAll(() => opened?.kill());

function ask(
  worker: TestWorker | undefined,
  method: string,
  path: string,
  headers: Record<string, string>,
  body?: string,
) {
  return fetch(`${worker?.url}${path}`, { method, headers, ...(body !== undefined && { body }) });
}
const corsOf = (response: Response): string[] =>
  [...response.headers.keys()].filter((name) => name.startsWith('access-control-'));
const listOf = (response: Response, name: string): string[] =>
  (response.headers.get(name) ?? '').split(', ').map((each) => each.toLowerCase());
/** Headers that the packages openai and @anthropic-ai/sdk send from a browser. */
const CLIENT_HEADERS = [
  ...['authorization', 'content-type', 'x-api-key'],
  ...['anthropic-version', 'anthropic-beta', 'anthropic-dangerous-direct-browser-access'],
  ...['openai-organization', 'openai-project'],
  ...[
    'arch',
    'lang',
    'os',
    'package-version',
    'retry-count',
    'runtime',
    'runtime-version',
    'timeout',
    'helper-method',
  ].map((name) => `x-stainless-${name}`),
];

describe('a worker that names no origin', () => {
  test.each(['GET', 'POST', 'OPTIONS'])('sends no CORS header for %s', async (method) => {
    for (const headers of [{}, { Origin: APP }, { Origin: APP, ...PREFLIGHT }]) {
      const response = await ask(closed, method, '/health', headers);
      expect([corsOf(response), response.headers.get('vary')]).toEqual([[], null]);
      if ('Origin' in headers) expect(response.status).toBe(403);
    }
  });
});

describe('a worker that names origins', () => {
  test('answers the preflight of these, without a token', async () => {
    for (const origin of [APP, 'http://localhost:3000']) {
      const response = await ask(opened, 'OPTIONS', '/execute', { Origin: origin, ...PREFLIGHT });
      expect(response.status).toBe(204);
      expect(response.headers.get('access-control-allow-origin')).toBe(origin);
      expect(response.headers.get('access-control-allow-methods')).toContain('POST');
      expect(response.headers.get('access-control-allow-headers')).toMatch(/Authorization.*Last-Event-ID/);
      expect(response.headers.get('access-control-allow-credentials')).toBeNull();
      expect(response.headers.get('vary')).toBe('Origin');
    }
  });

  test('allows the headers of the official clients in a page, and shows those that the clients read', async () => {
    const response = await ask(opened, 'OPTIONS', '/v1/messages', { Origin: APP, ...PREFLIGHT });
    const allowed = listOf(response, 'access-control-allow-headers');
    expect(allowed).toEqual(expect.arrayContaining(CLIENT_HEADERS));
    const shown = listOf(await ask(opened, 'GET', '/v1/models', { Origin: APP }), 'access-control-expose-headers');
    expect(shown).toEqual(expect.arrayContaining(['request-id', 'x-request-id', 'retry-after', 'x-should-retry']));
  });

  test('runs their jobs, and lets them read the correlation id', async () => {
    const headers = {
      Origin: APP,
      'Sec-Fetch-Site': 'cross-site',
      'Content-Type': 'application/json',
      Authorization: `Bearer ${TOKEN}`,
    };
    const body = JSON.stringify({ job_id: 'page', prompt: 'The sea', max_tokens: 1 });
    const response = await ask(opened, 'POST', '/execute', headers, body);
    expect(response.headers.get('access-control-allow-origin')).toBe(APP);
    expect(response.headers.get('access-control-expose-headers')).toContain('X-Correlation-Id');
    expect(await response.text()).toContain('event: end');
    const replay = await ask(opened, 'GET', '/jobs/page/events', headers);
    expect([replay.status, replay.headers.get('access-control-allow-origin')]).toEqual([200, APP]);
    await replay.body?.cancel();
  });

  test('still requires the token from these pages, and lets them read the refusal', async () => {
    const response = await ask(opened, 'POST', '/shutdown', { Origin: APP });
    expect([response.status, response.headers.get('access-control-allow-origin')]).toEqual([401, APP]);
  });

  test.each([
    'https://app.example.evil',
    'https://evil.example',
    'http://app.example',
    'https://app.example:444',
    'null',
  ])('refuses all others: %s', async (origin) => {
    for (const [method, path] of [
      ['POST', '/shutdown'],
      ['OPTIONS', '/execute'],
      ['GET', '/health'],
      ['GET', '/no-route'],
    ] as const) {
      const response = await ask(opened, method, path, {
        Origin: origin,
        ...PREFLIGHT,
        Authorization: `Bearer ${TOKEN}`,
      });
      expect([response.status, corsOf(response)]).toEqual([403, []]);
      expect(response.headers.get('vary')).toBe('Origin');
    }
  });

  test('lets these pages read every route, and answers their preflights for every path', async () => {
    const headers = { Origin: APP, 'Sec-Fetch-Site': 'cross-site', Authorization: `Bearer ${TOKEN}` };
    for (const [path, status] of [
      ['/health', 200],
      ['/metrics', 200],
      ['/openapi.json', 200],
      ['/v1/models', 200],
      ['/v1/models/other', 404],
      ['/tokenizer_info', 200],
      ['/no-route', 404],
    ] as const) {
      const response = await ask(opened, 'GET', path, headers);
      expect([path, response.status, response.headers.get('access-control-allow-origin')]).toEqual([path, status, APP]);
      expect((await ask(opened, 'OPTIONS', path, { Origin: APP, ...PREFLIGHT })).status).toBe(204);
    }
  });

  test('has a token, and so accepts every name in Host', async () => {
    for (const host of ['worker', 'worker.example:8080', 'localhost.']) {
      const request = requestOf('GET', '/live', '', ['Connection: close']).replace('127.0.0.1', host);
      expect(statusesOf(await rawOnce(opened as TestWorker, request))).toEqual([200]);
    }
  });

  test('answers clients that are not pages as usual', async () => {
    const headers = { Authorization: `Bearer ${TOKEN}` };
    const events = await opened?.execute({ job_id: 'no-page', prompt: 'The sea', max_tokens: 1 }, headers);
    expect(lastOf(events ?? []).type).toBe('end');
  });
});

/**
 * The correlation id of a request: the caller's if it is valid, otherwise a new one; and the caller's trace.
 */
import { connect } from 'node:net';
import { beforeAll, expect, test } from 'vitest';
import { sharedWorker } from '../../support/shared-worker.ts';
import { all, type TestWorker } from '../../support/worker.ts';

const UUID_V4 = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const SPAN = '00f067aa0ba902b7';

let worker: TestWorker;
beforeAll(async () => {
  worker = await sharedWorker();
});

const echoed = async (id: string): Promise<string | null> =>
  (await worker.get('/health', { 'X-Correlation-Id': id })).headers.get('x-correlation-id');

test.each(['req-abc123', 'a', 'A.b_c-9', 'x'.repeat(64)])('a valid id is kept: %s', async (id) => {
  expect(await echoed(id)).toBe(id);
});

test.each([
  'x'.repeat(65),
  'x'.repeat(4000),
  'has space',
  'semi;colon',
  'slash/ed',
  'quote"d',
  '<script>',
  '{"json":1}',
  'a,b',
  'tab\there',
  'caf\u00e9',
  '%0d%0aSet-Cookie:x=1',
])('an invalid id is replaced by a UUID v4: %s', async (id) => {
  expect(await echoed(id)).toMatch(UUID_V4);
});

test('every request without an id gets a new one', async () => {
  const ids = await Promise.all([1, 2, 3].map(async () => (await worker.get('/live')).headers.get('x-correlation-id')));
  for (const id of ids) expect(id).toMatch(UUID_V4);
  expect(new Set(ids).size).toBe(3);
});

/** Sends bytes that `fetch` refuses to send, on a bare socket. */
function raw(head: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const { hostname, port } = new URL(worker.url);
    let answer = '';
    const socket = connect(Number(port), hostname, () => socket.write(head));
    socket.setEncoding('utf8').on('data', (text: string) => {
      answer += text;
    });
    socket.on('close', () => resolve(answer)).on('error', reject);
  });
}

test('two ids in one request are ignored', async () => {
  const answer = await raw(
    'GET /live HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nX-Correlation-Id: one\r\nX-Correlation-Id: two\r\n\r\n',
  );
  expect(/x-correlation-id: (.*)\r\n/i.exec(answer)?.[1]).toMatch(UUID_V4);
});

test('a line break in the id makes no header', async () => {
  for (const injected of ['a\nSet-Cookie: evil=1', 'a\rSet-Cookie: evil=1', 'a\0b']) {
    const answer = await raw(
      `GET /live HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nX-Correlation-Id: ${injected}\r\n\r\n`,
    );
    expect(answer).toMatch(/^HTTP\/1\.1 /);
    expect(answer).not.toContain('evil');
    expect(/x-correlation-id: (.*)\r\n/i.exec(answer)?.[1]).toMatch(UUID_V4);
  }
});

test('every answer echoes the id, errors in their body too', async () => {
  const headers = { 'X-Correlation-Id': 'req-echo' };
  const answers = {
    live: [200, await worker.get('/live', headers)],
    metrics: [200, await worker.get('/metrics', headers)],
    contract: [200, await worker.get('/openapi.yaml', headers)],
    nothing: [404, await worker.get('/nothing', headers)],
    invalid: [400, await worker.post('/execute', {}, headers)],
    malformed: [400, await worker.post('/execute', '{', headers)],
    foreignType: [415, await worker.post('/execute', 'a=b', { ...headers, 'Content-Type': 'text/plain' })],
    unknownJob: [404, await worker.post('/cancel', { job_id: 'never' }, headers)],
    tooLong: [413, await worker.post('/execute', { job_id: 'long', prompt: 'sea '.repeat(1000) }, headers)],
  } as const;
  for (const [name, [status, response]] of Object.entries(answers)) {
    expect([name, response.status]).toEqual([name, status]);
    expect([name, response.headers.get('x-correlation-id')]).toEqual([name, 'req-echo']);
    if (status < 400) continue;
    expect(await response.json()).toMatchObject({ error: { correlation_id: 'req-echo' } });
  }
});

test('a trace is logged, narrated and forwarded', async () => {
  const traceparent = `00-${TRACE}-${SPAN}-01`;
  const response = await worker.post(
    '/execute',
    { job_id: 'traced', prompt: 'The sea', max_tokens: 2 },
    { traceparent, 'X-Correlation-Id': 'req-traced' },
  );
  expect(response.headers.get('traceparent')).toBe(traceparent);
  expect(await response.text()).toContain(`"trace_id":"${TRACE}","span_id":"${SPAN}"`);
  const lines = await worker.told('req-traced');
  expect(lines.length).toBeGreaterThan(4);
  for (const line of lines) expect(line).toMatchObject({ trace_id: TRACE, span_id: SPAN });
});

test.each([
  `00-${'0'.repeat(32)}-${SPAN}-01`,
  `00-${TRACE}-${'0'.repeat(16)}-01`,
  `ff-${TRACE}-${SPAN}-01`,
  `00-${TRACE.toUpperCase()}-${SPAN}-01`,
  `00-${TRACE}-${SPAN}`,
  'garbage',
])('a malformed traceparent is as good as none: %s', async (traceparent) => {
  const response = await worker.post(
    '/execute',
    { job_id: 'untraced', prompt: 'The sea', max_tokens: 1 },
    { traceparent },
  );
  expect(response.headers.get('traceparent')).toBeNull();
  expect(await response.text()).not.toContain('trace_id');
});

test('an invalid request is narrated under its ids too', async () => {
  const events = await worker.execute(
    { job_id: 'bad-job' },
    { 'X-Correlation-Id': 'req-bad', Accept: 'text/event-stream' },
  );
  expect(all(events, 'narration')[0]).toMatchObject({ correlation_id: 'req-bad', job_id: 'bad-job' });
  expect((await worker.told('req-bad')).map((line) => [line.event, line['job_id']])).toEqual([
    ['request.invalid', 'bad-job'],
  ]);
});

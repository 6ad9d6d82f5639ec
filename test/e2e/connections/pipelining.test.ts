/** Requests that are sent together on one connection: each waits for the answer of the one before. */
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { longJob } from '../../support/listener.ts';
import { closed, open, raw, rawOnce, requestOf, statusesOf } from '../../support/raw.ts';
import { startWorker, type TestWorker } from '../../support/worker.ts';

const LAST = ['Connection: close'];

let worker: TestWorker;
beforeAll(async () => {
  worker = await startWorker({ args: ['--slots', '2'] });
});
afterAll(() => worker.kill());

const alive = async (): Promise<void> => {
  expect((await worker.get('/ready')).status).toBe(200);
  expect(worker.lines.filter(({ event }) => ['worker.draining', 'worker.fault'].includes(event))).toEqual([]);
};
const uptimes = (heard: string): number[] =>
  [...heard.matchAll(/"uptime_seconds":([\d.]+)/g)].map(([, seconds]) => Number(seconds));

test('another connection gets its answer between them', async () => {
  // Without turns, the order of the two was that of chance in a part of the rounds.
  for (let round = 0; round < 6; round += 1) {
    const many = await listening();
    const other = await listening();
    // The worker computes the metrics for some hundred milliseconds, and then reports its time.
    many.socket.write(requestOf('GET', '/metrics').repeat(90) + requestOf('GET', '/health', '', LAST));
    other.socket.write(requestOf('GET', '/health', '', LAST));
    await Promise.all([closed(many.socket), closed(other.socket)]);
    expect(statusesOf(many.heard())).toEqual(Array(92).fill(200));
    const [between = Number.NaN] = uptimes(other.heard());
    const [last = Number.NaN] = uptimes(many.heard());
    expect(between).toBeLessThan(last);
  }
});

/** A connection that the worker has accepted: it has answered a request. */
async function listening(): Promise<{ socket: Socket; heard: () => string }> {
  const socket = await open(worker);
  let heard = '';
  socket.setEncoding('utf8').on('data', (text: string) => {
    heard += text;
  });
  socket.write(requestOf('GET', '/live'));
  await once(socket, 'data');
  return { socket, heard: () => heard };
}

test('answers keep the order and the correlation ids of all kinds of requests', async () => {
  const id = (n: number): string => `X-Correlation-Id: n${n}`;
  const kinds = [
    (n: number) => ({ sent: requestOf('GET', '/live', '', [id(n)]), status: 200 }),
    (n: number) => ({ sent: requestOf('HEAD', '/health', '', [id(n)]), status: 200 }),
    (n: number) => ({ sent: requestOf('GET', '/nowhere', '', [id(n)]), status: 404 }),
    (n: number) => ({ sent: requestOf('POST', '/cancel', '{"job_id":"nobody"}', [id(n)]), status: 404 }),
    (n: number) => ({ sent: requestOf('POST', '/execute', '{}', [id(n)]), status: 400 }),
    (n: number) => ({ sent: requestOf('GET', '/live', '', [id(n), 'Expect: wonders']), status: 417 }),
    (n: number) => ({
      sent: requestOf('POST', '/execute', JSON.stringify({ job_id: `p${n}`, prompt: 'x', max_tokens: 2 }), [id(n)]),
      status: 200,
    }),
  ];
  const requests = Array.from({ length: 64 }, (_, n) => kinds[n % kinds.length]?.(n) ?? { sent: '', status: 0 });
  const heard = await rawOnce(
    worker,
    requests.map(({ sent }) => sent).join('') + requestOf('GET', '/live', '', [id(64), ...LAST]),
  );
  expect(statusesOf(heard)).toEqual([...requests.map(({ status }) => status), 200]);
  const ids = [...heard.matchAll(/\r\nX-Correlation-Id: (\S+)\r\n/gi)].map(([, given]) => given);
  expect(ids).toEqual(Array.from({ length: 65 }, (_, n) => `n${n}`));
});

test('a request that expects 100 gets it after the answer before it, and then sends its body', async () => {
  const body = '{"job_id":"nobody"}';
  const headers = ['Content-Type: application/json', `Content-Length: ${body.length}`, 'Expect: 100-continue', ...LAST];
  const head = `POST /cancel HTTP/1.1\r\nHost: 127.0.0.1\r\n${headers.join('\r\n')}\r\n\r\n`;
  const heard = await raw(worker, [
    { when: /^/, send: requestOf('GET', '/live') + head },
    { when: /HTTP\/1\.1 100 Continue/, send: body },
  ]);
  expect(statusesOf(heard)).toEqual([200, 100, 404]);
});

test('requests behind a stream wait for its end', async () => {
  const body = JSON.stringify(longJob('stream', { max_tokens: 20, min_tokens: 20 }));
  const heard = await rawOnce(
    worker,
    requestOf('POST', '/execute', body) + requestOf('GET', '/live').repeat(30) + requestOf('GET', '/live', '', LAST),
  );
  expect(statusesOf(heard)).toEqual(Array(32).fill(200));
  expect(heard.indexOf('event: end')).toBeLessThan(heard.indexOf('"status":"alive"'));
});

test('a job that waits behind a stream does not start if the client leaves', async () => {
  const job = (id: string): string => requestOf('POST', '/execute', JSON.stringify(longJob(id)));
  const socket = await open(worker);
  socket.setEncoding('utf8').write(job('left-1') + job('left-2'));
  await once(socket, 'data');
  socket.destroy();
  await worker.line('inference.failed', (line) => line['job_id'] === 'left-1' && line['error_kind'] === 'cancelled');
  await alive();
  expect(worker.lines.filter((line) => line['job_id'] === 'left-2')).toEqual([]);
});

describe('more requests in one chunk than may wait', () => {
  test.each([
    ['requests', 'GET /live HTTP/1.1\r\nHost: a\r\n\r\n'],
    ['requests without Host', 'GET /live HTTP/1.1\r\n\r\n'],
    ['requests of an old version', 'GET /live HTTP/1.0\r\nConnection: keep-alive\r\n\r\n'],
    ['unknown expectations', 'GET /live HTTP/1.1\r\nHost: a\r\nExpect: x\r\n\r\n'],
  ])('close the connection before they are all parsed: %s', async (_, request) => {
    const socket = await open(worker);
    let heard = '';
    socket.setEncoding('utf8').on('data', (text: string) => {
      heard += text;
    });
    socket.write(request.repeat(2500));
    await closed(socket);
    expect(statusesOf(heard).length).toBeLessThan(2500);
    await alive();
  });
});

test.each([
  ['none', '', 'required', 'Host must be sent with every request of HTTP/1.1'],
  ['two', 'Host: 127.0.0.1\r\nHost: b\r\n', 'single', 'Host must be sent once, but the request has 2 such headers'],
])('a request needs one Host: %s is 400 and ends the connection', async (_, headers, constraint, message) => {
  const heard = await rawOnce(worker, `GET /live HTTP/1.1\r\n${headers}\r\n${requestOf('GET', '/live')}`);
  expect(statusesOf(heard)).toEqual([400]);
  expect(JSON.parse(heard.split('\r\n\r\n')[1] ?? '')).toMatchObject({
    error: { code: 'INVALID_REQUEST', errors: [{ field: 'Host', constraint, message }] },
  });
});

/**
 * Requests that two HTTP parsers would read differently, requests that never end, and too many connections.
 */
import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { bodyLimit } from '../../../src/http/server.ts';
import { longJob } from '../../support/listener.ts';
import { closed, open, raw, rawOnce, requestOf, statusesOf } from '../../support/raw.ts';
import { startWorker, type TestWorker } from '../../support/worker.ts';

let worker: TestWorker;
beforeAll(async () => {
  worker = await startWorker({ args: ['--arrival-timeout', '3', '--max-connections', '40', '--slots', '2'] });
});
afterAll(() => worker.kill());

const POST = 'POST /cancel HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n';
const INNER = 'POST /shutdown HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n';
const alive = async (): Promise<void> => {
  expect((await worker.get('/ready')).status).toBe(200);
  expect(worker.lines.filter(({ event }) => ['worker.draining', 'worker.fault'].includes(event))).toEqual([]);
};

describe('a second request hidden in the first', () => {
  test.each([
    ['two lengths', `${POST}Content-Length: 2\r\nContent-Length: 60\r\n\r\n{}${INNER}`],
    ['a length and chunks', `${POST}Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${INNER}`],
    ['chunks that are not last', `${POST}Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n${INNER}`],
    ['an unknown encoding', `${POST}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n${INNER}`],
    ['a space before the colon', `${POST}Content-Length : 0\r\n\r\n${INNER}`],
    ['a header that continues in the next line', `${POST}X-A: b\r\n Content-Length: 0\r\n\r\n${INNER}`],
    ['a length with a sign', `${POST}Content-Length: +2\r\n\r\n{}${INNER}`],
    ['a length beyond 64 bits', `${POST}Content-Length: 99999999999999999999\r\n\r\n{}${INNER}`],
    ['a chunk without a size', `${POST}Transfer-Encoding: chunked\r\n\r\nzz\r\n${INNER}`],
    ['a line feed alone', `GET /live HTTP/1.1\nHost: 127.0.0.1\n\n${INNER}`],
  ])('is not found: %s', async (_, bytes) => {
    const heard = await rawOnce(worker, bytes);
    expect(statusesOf(heard)).toEqual([400]);
    expect(heard).toMatch(/INVALID_REQUEST|^HTTP\/1\.1 400 Bad Request\r\n/);
    await alive();
  });

  test('is a normal one if both state their ends: answers come in the order of the requests', async () => {
    const heard = await rawOnce(
      worker,
      requestOf('GET', '/live') +
        requestOf('POST', '/cancel', '{"job_id":"nobody"}') +
        requestOf('GET', '/live', '', ['Connection: close']),
    );
    expect(statusesOf(heard)).toEqual([200, 404, 200]);
  });
});

describe('a body in chunks', () => {
  test('may have many small ones', async () => {
    const body = JSON.stringify({ job_id: 'nobody' });
    const chunks = [...body].map((character) => `1\r\n${character}\r\n`).join('');
    const heard = await rawOnce(
      worker,
      `${POST}Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n${chunks}0\r\n\r\n`,
    );
    expect(statusesOf(heard)).toEqual([404]);
  });

  test('does not bypass the limit of the body size', async () => {
    const chunk = `10000\r\n${' '.repeat(0x10000)}\r\n`;
    const heard = await rawOnce(
      worker,
      `${POST}Transfer-Encoding: chunked\r\n\r\n${chunk.repeat(bodyLimit('auto') / 0x10000 + 1)}`,
    );
    expect(statusesOf(heard)).toEqual([413]);
    await alive();
  });

  test('cannot carry endless extensions', async () => {
    const heard = await rawOnce(worker, `${POST}Transfer-Encoding: chunked\r\n\r\n2;${'x'.repeat(40_000)}\r\n`);
    expect(statusesOf(heard).every((status) => status >= 400 && status < 500)).toBe(true);
    await alive();
  });
});

describe.concurrent('a request that never ends', () => {
  test.each([
    ['nothing at all', ''],
    ['half of a request line', 'GET /li'],
    ['headers without an end', 'GET /live HTTP/1.1\r\nHost: 127.0.0.1\r\n'],
    ['half of a body', `${POST}Content-Length: 100\r\n\r\n{"job_id":`],
    ['an announced chunk', `${POST}Transfer-Encoding: chunked\r\n\r\n10\r\n{`],
  ])('is ended: %s', async (_, bytes) => {
    const heard = bytes === '' ? await rawNothing() : await rawOnce(worker, bytes);
    expect(statusesOf(heard)).toEqual([408]);
    await alive();
  });

  test('is closed even if a byte arrives from time to time', async () => {
    const socket = await open(worker);
    socket.write('GET /live HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ');
    const drip = setInterval(() => socket.write('x'), 100);
    socket.resume();
    await closed(socket);
    clearInterval(drip);
    await alive();
  });

  test('does not keep other clients out', async () => {
    const sockets = await Promise.all(Array.from({ length: 30 }, () => open(worker)));
    for (const socket of sockets) socket.resume().write('POST /execute HTTP/1.1\r\nHost: 127.0.0.1\r\n');
    const events = await worker.execute({ job_id: 'through', prompt: 'The sea', max_tokens: 2 });
    expect(events.at(-1)?.data.type).toBe('end');
    await Promise.all(sockets.map(closed));
  });

  /** A connection over which nothing is sent. */
  async function rawNothing(): Promise<string> {
    const socket = await open(worker);
    let heard = '';
    socket.setEncoding('utf8').on('data', (text: string) => {
      heard += text;
    });
    await closed(socket);
    return heard;
  }
});

test('a request behind a stream on the same connection waits for the end of the stream', async () => {
  const body = JSON.stringify(longJob('first', { max_tokens: 20, min_tokens: 20 }));
  const heard = await raw(worker, [
    { when: /^$/, send: requestOf('POST', '/execute', body) },
    { when: /event: started/, send: requestOf('GET', '/live', '', ['Connection: close']) },
  ]);
  expect(statusesOf(heard)).toEqual([200, 200]);
  expect(heard.indexOf('event: end')).toBeLessThan(heard.lastIndexOf('HTTP/1.1 200'));
});

test('connections beyond the limit are closed at once and narrated, and new ones are accepted when others close', async () => {
  const { hostname, port } = new URL(worker.url);
  const sockets = Array.from({ length: 200 }, () => connect(Number(port), hostname).on('error', () => undefined));
  for (const socket of sockets) socket.resume();
  const told = await worker.line('connections.refused');
  expect(told).toMatchObject({ level: 'WARN', connections_limit: 40 });
  await Promise.all(sockets.map(closed));
  await alive();
});

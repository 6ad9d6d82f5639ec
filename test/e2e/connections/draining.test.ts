/** Connections of a worker that drains: each answer ends its connection, and no request is reset. */
import { once } from 'node:events';
import { connect } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { busyWorker, PATIENT } from '../../support/drain.ts';
import { eventually } from '../../support/eventually.ts';
import { Listener, lastOf, longJob } from '../../support/listener.ts';
import { killAll } from '../../support/processes.ts';
import { type Heard, listenTo, open, requestOf, statusesOf } from '../../support/raw.ts';
import { stopped } from '../../support/stopped-engine.ts';
import { startWorker, type TestWorker } from '../../support/worker.ts';

const LIVE = requestOf('GET', '/live');
const EXECUTE = requestOf('POST', '/execute', JSON.stringify(longJob('late')));

/** A connection that has had one answer, and that the worker keeps open. */
async function keptAlive(worker: TestWorker): Promise<Heard> {
  const socket = await open(worker);
  socket.allowHalfOpen = true;
  const connection = listenTo(socket);
  socket.write(LIVE);
  await once(socket, 'data');
  expect(connection.heard()).toMatch(/\r\nConnection: keep-alive\r\nKeep-Alive: timeout=\d+\r\n/);
  return connection;
}

/** True if a new connection is refused. */
function isRefused(worker: TestWorker): Promise<boolean> {
  const { hostname, port } = new URL(worker.url);
  return new Promise((resolve) => {
    const socket = connect(Number(port), hostname, () => {
      socket.destroy();
      resolve(false);
    }).on('error', (error: NodeJS.ErrnoException) => resolve(error.code === 'ECONNREFUSED'));
  });
}

describe('each answer says Connection: close', () => {
  let worker: TestWorker;
  beforeAll(async () => {
    // The engine is stopped, so that the drain lasts until the end of these tests.
    const drained = await stopped(...PATIENT, '--step-timeout', '3600');
    worker = drained.worker;
    worker.process.kill('SIGTERM');
    await worker.line('worker.draining');
  });
  afterAll(() => worker.kill());

  test.each([
    ['/live', LIVE, 200],
    ['/ready', requestOf('GET', '/ready'), 503],
    ['/health', requestOf('GET', '/health'), 503],
    ['HEAD /health', requestOf('HEAD', '/health'), 503],
    ['/metrics', requestOf('GET', '/metrics'), 200],
    ['/openapi.json', requestOf('GET', '/openapi.json'), 200],
    ['a new job', EXECUTE, 503],
    ['a body that is not JSON', requestOf('POST', '/execute', '{'), 400],
    ['/cancel', requestOf('POST', '/cancel', '{"job_id":"nobody"}'), 404],
    ['a second /shutdown', requestOf('POST', '/shutdown', '{}'), 503],
    ['the stream of a running job', requestOf('GET', '/jobs/running/events'), 200],
    ['the events of an unknown job', requestOf('GET', '/jobs/nobody/events'), 404],
    ['a foreign page', requestOf('POST', '/cancel', '{}', ['Origin: https://app.example']), 403],
    ['no route', requestOf('GET', '/nowhere'), 404],
    ['a path that is not UTF-8', requestOf('GET', '/jobs/%ff/events'), 400],
    ['malformed HTTP', 'GET /live HTTP/1.1\r\nno header\r\n\r\n', 400],
    ['HTTP/1.0 that asks for keep-alive', 'GET /live HTTP/1.0\r\nConnection: keep-alive\r\n\r\n', 200],
  ])('%s', async (_, request, status) => {
    const head = await headOf(worker, request);
    expect(statusesOf(head)).toEqual([status]);
    expect(head).toMatch(/\r\nConnection: close(\r\n|$)/i);
    expect(head).not.toMatch(/keep-alive/i);
  });
});

/** The status and the headers of the answer to a request on a connection of its own. */
async function headOf(worker: TestWorker, request: string): Promise<string> {
  const socket = await open(worker);
  socket.setEncoding('utf8').write(request);
  let heard = '';
  while (!heard.includes('\r\n\r\n')) heard += String((await once(socket, 'data'))[0]);
  socket.destroy();
  return heard.split('\r\n\r\n')[0] ?? '';
}

/** A worker that drains until its stream ends. */
async function draining(): Promise<{ worker: TestWorker; stream: Listener; kept: Heard }> {
  const { worker, stream } = await busyWorker();
  const kept = await keptAlive(worker);
  worker.process.kill('SIGTERM');
  await worker.line('worker.draining');
  return { worker, stream, kept };
}

test('the answer that begins the drain says so too', async () => {
  const worker = await startWorker({ args: ['--slots', '1'] });
  const connection = await keptAlive(worker);
  connection.socket.write(requestOf('POST', '/shutdown'));
  expect(await connection.ended).toEqual([]);
  const [, answer = ''] = connection.heard().split(/(?=HTTP\/1\.1 202)/);
  expect(answer).toMatch(/\r\nConnection: close\r\n/i);
  expect(answer).toMatch(/\r\nX-Worker-Slots-Free: 0\r\n/i);
  expect(answer).not.toMatch(/keep-alive|x-worker-expected-wait-ms/i);
  connection.socket.end();
  expect(await worker.exited).toEqual({ code: 0, signal: null });
});

test('an untrusted client gets it too', async () => {
  const worker = await startWorker({ env: { RBEES_API_TOKEN: 'correct-horse-battery-staple' } });
  const headers = { Authorization: 'Bearer correct-horse-battery-staple' };
  const stream = await Listener.open(worker, longJob('running'), headers);
  await stream.untilToken();
  worker.process.kill('SIGTERM');
  await worker.line('worker.draining');
  for (const request of [LIVE, requestOf('GET', '/health'), requestOf('GET', '/nowhere')]) {
    const head = await headOf(worker, request);
    expect(head).toMatch(/\r\nConnection: close/i);
    expect(head).not.toMatch(/keep-alive/i);
  }
  await stream.ended;
  await worker.exited;
});

describe('a connection that was kept alive', () => {
  afterEach(killAll);

  test('gets an answer to a request after the begin of the drain, and then its end', async () => {
    const { stream, kept } = await draining();
    kept.socket.write(EXECUTE);
    expect(await kept.ended).toEqual([]);
    expect(statusesOf(kept.heard())).toEqual([200, 503]);
    expect(kept.heard()).toMatch(/\r\nConnection: close\r\n/i);
    kept.socket.end();
    expect(lastOf(await stream.ended)).toMatchObject({ type: 'end' });
  });

  test('stays open while a stream of the drain runs, also that of an earlier stream', async () => {
    const { worker, stream, kept } = await draining();
    const again = await Listener.attach(worker, 'running');
    await again.untilToken();
    expect(kept.socket.readableEnded).toBe(false);
    await Promise.all([stream.ended, again.ended]);
    expect(await kept.ended).toEqual([]);
    kept.socket.end();
    expect(await worker.exited).toEqual({ code: 0, signal: null });
  });

  test('gets an answer to a request that has arrived in part when the worker stops to listen', async () => {
    const { worker, stream, kept } = await draining();
    const [head = '', body = ''] = EXECUTE.split(/(?<=\r\n\r\n)/);
    kept.socket.write(head);
    await stream.ended;
    await eventually(async () => expect(await isRefused(worker)).toBe(true));
    kept.socket.write(body);
    expect(await kept.ended).toEqual([]);
    expect(statusesOf(kept.heard())).toEqual([200, 503]);
    kept.socket.end();
    expect(await worker.exited).toEqual({ code: 0, signal: null });
  });
});

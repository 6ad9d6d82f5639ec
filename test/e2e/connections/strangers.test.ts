/** Connections without the token cannot take the worker from its owner, nor from a probe. */
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { afterAll, describe, expect, test } from 'vitest';
import { enginePid } from '../../support/cli.ts';
import { Listener, lastOf, longJob } from '../../support/listener.ts';
import { killAll } from '../../support/processes.ts';
import { closed, open, raw, requestOf, statusesOf } from '../../support/raw.ts';
import { startWorker, type TestWorker } from '../../support/worker.ts';

const TOKEN = 'correct-horse-battery-staple';
const OWNER = { Authorization: `Bearer ${TOKEN}` };
const LIVE = requestOf('GET', '/live');
const HEALTH = requestOf('GET', '/health', '', [`Authorization: Bearer ${TOKEN}`]);
/** A ceiling for "within five seconds" on a busy machine; without the limit it would be more than a minute. */
const SOON_MS = 30_000;

afterAll(killAll);

/** A worker with a token, which is ready and has no connection. */
async function guarded(...args: string[]): Promise<TestWorker> {
  const env = { RBEES_API_TOKEN: TOKEN };
  const worker = await startWorker({ args: ['--arrival-timeout', '3600', ...args], env, early: true });
  await worker.line('warmup.done');
  return worker;
}

/** A connection over which one request was answered, and the answer. */
async function answered(worker: TestWorker, request: string): Promise<{ socket: Socket; answer: string }> {
  const socket = await open(worker);
  socket.setEncoding('utf8').write(request);
  let answer = '';
  while (!answer.includes('}')) answer += String((await once(socket, 'data'))[0]);
  socket.resume();
  return { socket, answer };
}

/** One request on a connection of its own; the status of the answer. */
async function statusOf(worker: TestWorker, request: string): Promise<number[]> {
  const { socket, answer } = await answered(worker, request);
  socket.destroy();
  return statusesOf(answer);
}

/** The numbers of all reports together. */
function refusals(worker: TestWorker): { refused: number; evicted: number } {
  const told = worker.lines.filter(({ event }) => event === 'connections.refused');
  const sum = (fact: string): number => told.reduce((total, line) => total + Number(line[fact]), 0);
  return { refused: sum('connections'), evicted: sum('connections_evicted') };
}

async function countOf(worker: TestWorker, reason: string): Promise<number> {
  const metrics = await (await worker.get('/metrics', OWNER)).text();
  return Number(new RegExp(`worker_http_refusals_total\\{reason="${reason}"\\} (\\d+)`).exec(metrics)?.[1] ?? 0);
}

describe('idle strangers that hold every place', () => {
  test('lose one to the owner and one to a probe, and every loss is counted', async () => {
    const worker = await guarded('--max-connections', '128');
    const strangers = await Promise.all(Array.from({ length: 128 }, () => answered(worker, LIVE)));
    expect(await statusOf(worker, HEALTH)).toEqual([200]);
    expect(await statusOf(worker, LIVE)).toEqual([200]);
    for (const { socket } of strangers) socket.destroy();
    const evicted = await countOf(worker, 'connection_evicted');
    await worker.stop();
    expect(refusals(worker)).toEqual({ refused: 0, evicted });
  });

  test('leave in the order in which they had their last answers, the owner never', async () => {
    const worker = await guarded('--max-connections', '4');
    const owner = await answered(worker, HEALTH);
    const [first, second, third] = [
      await answered(worker, LIVE),
      await answered(worker, LIVE),
      await answered(worker, LIVE),
    ];
    first.socket.write(LIVE);
    await once(first.socket, 'data');
    const order: string[] = [];
    for (const [name, { socket }] of Object.entries({ first, second, third }))
      socket.once('close', () => order.push(name));
    for (let n = 0; n < 3; n += 1) await answered(worker, LIVE);
    await Promise.all([first, second, third].map(({ socket }) => closed(socket)));
    expect(order).toEqual(['second', 'third', 'first']);
    owner.socket.write(HEALTH);
    expect(String(await once(owner.socket, 'data'))).toMatch(/^HTTP\/1\.1 200 /);
    await worker.stop();
    expect(refusals(worker)).toEqual({ refused: 0, evicted: 3 });
    const told = worker.lines.filter(({ event }) => event === 'connections.refused');
    expect(told.map((line) => line['connections_evicted'])).toEqual([1, 2]);
  });

  test.runIf(process.platform === 'linux')('lose places first if they share an address', async () => {
    const worker = await guarded('--max-connections', '16');
    const { hostname, port } = new URL(worker.url);
    const { connect } = await import('node:net');
    const other = connect({ host: hostname, port: Number(port), localAddress: '127.0.0.2' });
    other.on('error', () => undefined).write(LIVE);
    await once(other, 'data');
    for (let n = 0; n < 15; n += 1) await answered(worker, LIVE);
    for (let n = 0; n < 10; n += 1) await answered(worker, LIVE);
    other.write(LIVE);
    expect(String(await once(other, 'data'))).toMatch(/^HTTP\/1\.1 200 /);
  });
});

describe.concurrent('a connection that never brought the token', () => {
  let shared: Promise<TestWorker> | undefined;
  const worker = (): Promise<TestWorker> => (shared ??= guarded());
  const HALF_BODY = requestOf('POST', '/nowhere', '{"job_id":"half"}').slice(0, -1);

  test.each([
    ['sends nothing', '', [408]],
    ['sends half a request', 'GET /live HTTP/1.1\r\nHost: a\r\n', [408]],
    ['sends half a body to a route that does not exist', HALF_BODY, [404]],
    ['was answered by a probe', LIVE, [200]],
  ])('is closed within five seconds if it %s', async (_, bytes, statuses) => {
    const socket = await open(await worker());
    const began = performance.now();
    let heard = '';
    socket.setEncoding('utf8').on('data', (text: string) => {
      heard += text;
    });
    socket.write(bytes);
    await closed(socket);
    expect(performance.now() - began).toBeLessThan(SOON_MS);
    expect(statusesOf(heard)).toEqual(statuses);
  });

  test('learns its time from the answer; one with the token keeps its connection', async () => {
    const owner = await answered(await worker(), HEALTH);
    expect(owner.answer).toMatch(/\r\nkeep-alive: timeout=72\r\n/i);
    const stranger = await answered(await worker(), LIVE);
    expect(stranger.answer.match(/keep-alive: .*/gi)).toEqual(['keep-alive: timeout=4']);
    await closed(stranger.socket);
    owner.socket.write(LIVE);
    expect(String(await once(owner.socket, 'data'))).toMatch(/^HTTP\/1\.1 200 /);
  });
});

describe('while every connection is busy', () => {
  /** A worker whose four places are taken by streams, which continue after `resume`. */
  async function busy(): Promise<{ worker: TestWorker; streams: Listener[]; resume: () => void }> {
    const worker = await guarded('--max-connections', '4', '--slots', '4', '--stall-after', '600');
    const engine = enginePid(worker);
    process.kill(engine, 'SIGSTOP');
    const streams: Listener[] = [];
    for (const id of ['a', 'b', 'c', 'd'])
      streams.push(await Listener.open(worker, longJob(id, { min_tokens: 20, max_tokens: 20 }), OWNER));
    return { worker, streams, resume: () => process.kill(engine, 'SIGCONT') };
  }

  test('a probe is answered on a place of its own, any other route gets 503', async () => {
    const { worker, streams, resume } = await busy();
    for (const path of ['/live', '/ready']) {
      const heard = await raw(worker, [{ when: /^/, send: requestOf('GET', path) }]);
      expect(heard).toMatch(/^HTTP\/1\.1 200 [\s\S]*\r\nconnection: close\r\n/i);
    }
    for (const request of [HEALTH, requestOf('GET', '/nowhere'), requestOf('POST', '/shutdown', '{}', [])]) {
      const heard = await raw(worker, [{ when: /^/, send: request }]);
      expect(heard).toMatch(/^HTTP\/1\.1 503 [\s\S]*\r\nconnection: close\r\n/i);
      expect(heard).toMatch(/\r\nRetry-After: 1\r\n/i);
      expect(heard).toContain('TOO_MANY_CONNECTIONS');
    }
    resume();
    for (const stream of streams) expect(lastOf(await stream.ended).type).toBe('end');
    await worker.stop();
    expect(refusals(worker)).toEqual({ refused: 3, evicted: 0 });
  });

  test('silent strangers do not keep the probe out, and no stream is closed for them', async () => {
    const { worker, streams, resume } = await busy();
    const strangers: Socket[] = [];
    for (let n = 0; n < 20; n += 1) strangers.push(await open(worker));
    for (const socket of strangers) socket.resume();
    expect(await statusOf(worker, LIVE)).toEqual([200]);
    resume();
    for (const stream of streams) expect(lastOf(await stream.ended).type).toBe('end');
    await Promise.all(strangers.map(closed));
    await worker.stop();
    // Eight strangers had the places for probes; the others, and then the probe, took them over.
    expect(refusals(worker).refused).toBe(13);
  });
});

/** The example orchestrator with one worker, behind a proxy that breaks connections. */
import { createServer, type Server } from 'node:http';
import {
  type AddressInfo,
  connect,
  createServer as createTcpServer,
  type Socket,
  type Server as TcpServer,
} from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { eventually } from '../../support/eventually.ts';
import { CEILING_MS, Orchestrator, task } from '../../support/fleet.ts';
import { endings, Listener, lastOf } from '../../support/listener.ts';
import { all, startWorker, type TestWorker, textOf } from '../../support/worker.ts';

let worker: TestWorker;
let orchestrator: Orchestrator;
let proxy: TcpServer;
let table: Server;
/** Connections of the orchestrator to the worker. */
const connections = new Set<Socket>();
const portOf = (server: TcpServer | Server): number => (server.address() as AddressInfo).port;

/** Jobs that run and wait on the worker: a job behind them has not begun when its first narrations arrive. */
const occupy = (): Promise<Listener[]> =>
  Promise.all(['x', 'y', 'z'].map((id, seed) => Listener.open(worker, { job_id: id, ...task(seed, 200) })));

beforeAll(async () => {
  worker = await startWorker({ args: ['--slots', '1', '--queue', '4'] });
  const port = Number(new URL(worker.url).port);
  proxy = createTcpServer((socket) => {
    const upstream = connect(port, '127.0.0.1');
    connections.add(socket.on('error', () => undefined).once('close', () => upstream.destroy()));
    upstream.on('error', () => undefined).once('close', () => socket.destroy());
    socket.once('close', () => connections.delete(socket));
    socket.pipe(upstream).pipe(socket);
  });
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
  const listed = [{ instance_id: 'a', worker_id: 'w', pid: 1, url: `http://127.0.0.1:${portOf(proxy)}` }];
  table = createServer((_request, response) => response.end(JSON.stringify(listed)));
  await new Promise<void>((resolve) => table.listen(0, '127.0.0.1', resolve));
  orchestrator = await Orchestrator.start(`http://127.0.0.1:${portOf(table)}`);
}, CEILING_MS);
afterAll(async () => {
  await orchestrator.stop('SIGKILL');
  await worker.kill();
  table.close();
  proxy.close();
});

describe('an orchestrator', { timeout: CEILING_MS }, () => {
  test('reads on behind the last event when a connection breaks', async () => {
    const whole = await (await Listener.post(orchestrator.tasks, task(7, 120))).ended;
    const jobs = (): number => worker.lines.filter(({ event }) => event === 'request.validated').length;
    const before = jobs();
    const others = await occupy();
    const stream = await Listener.post(orchestrator.tasks, task(7, 120));
    await stream.untilNarrated('request.queued');
    for (const socket of connections) socket.destroy();
    const events = await stream.ended;
    await Promise.all(others.map((other) => other.ended));
    expect(endings(events)).toEqual([events.at(-1)]);
    expect(lastOf(events)).toMatchObject({ type: 'end', tokens_out: 120 });
    expect(textOf(events)).toBe(textOf(whole));
    expect(all(events, 'narration').filter(({ event }) => event === 'request.queued')).toHaveLength(1);
    expect(await orchestrator.counts()).toMatchObject({ resumed: 1, continued: 0, failed: 0 });
    expect(jobs() - before).toBe(others.length + 1);
  });

  test('waits while all slots are busy and the queue is full', async () => {
    const { refused } = await orchestrator.counts();
    const seeds = Array.from({ length: 12 }, (_, index) => index);
    const ended = await Promise.all(
      seeds.map(async (seed) => (await Listener.post(orchestrator.tasks, task(seed, 40))).ended),
    );
    for (const events of ended) expect(lastOf(events)).toMatchObject({ type: 'end', tokens_out: 40 });
    expect((await orchestrator.counts()).refused).toBeGreaterThan(refused);
    expect((await orchestrator.counts()).failed).toBe(0);
  });

  test('passes a final error on, with its status', async () => {
    const { response } = await Listener.post(orchestrator.tasks, { prompt: '' });
    expect(response.status).toBe(400);
  });

  test('refuses a task that continues the answer of another one', async () => {
    const resume = { token_ids: [1], index: 1, fingerprint: 'a' };
    const answer = await fetch(orchestrator.tasks, { method: 'POST', body: JSON.stringify({ prompt: 'Sea', resume }) });
    expect(answer.status).toBe(400);
    expect(await answer.json()).toMatchObject({ error: { code: 'INVALID_REQUEST', retry: 'never' } });
  });

  test('gives a task to another worker if a worker takes the request and never answers', async () => {
    let reached: () => void = () => undefined;
    const request = new Promise<void>((resolve) => {
      reached = resolve;
    });
    // As the system does for a stopped worker: connections are accepted, and nobody reads them.
    const silent = createTcpServer((socket) =>
      socket.on('error', () => undefined).on('data', (bytes) => bytes.includes('POST /execute') && reached()),
    );
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    const workers = [{ instance_id: 's', worker_id: 's', pid: 1, url: `http://127.0.0.1:${portOf(silent)}` }];
    const endpoints = createServer((_request, response) => response.end(JSON.stringify(workers)));
    await new Promise<void>((resolve) => endpoints.listen(0, '127.0.0.1', resolve));
    const patient = await Orchestrator.start(`http://127.0.0.1:${portOf(endpoints)}`, 2);
    const answer = Listener.post(patient.tasks, task(3, 40));
    await request;
    workers.push({ instance_id: 'a', worker_id: 'w', pid: 1, url: worker.url });
    const events = await (await answer).ended;
    expect(lastOf(events)).toMatchObject({ type: 'end', tokens_out: 40 });
    await patient.stop('SIGKILL');
    endpoints.close();
    silent.close();
  });

  test('cancels the job of a caller that leaves', async () => {
    const others = await occupy();
    const headers = { 'X-Correlation-Id': 'leaves' };
    const waiting = await Listener.post(orchestrator.tasks, task(9, 200), headers);
    await waiting.untilNarrated('request.queued');
    waiting.leave();
    await worker.line('request.cancelled', (line) => line['correlation_id'] === 'leaves');
    for (const other of others) expect(lastOf(await other.ended).type).toBe('end');
    await eventually(async () => {
      const health = (await (await worker.get('/health')).json()) as { slots: { busy: number } };
      expect(health.slots.busy).toBe(0);
    });
  });
});

/** The example orchestrator with one worker, behind a proxy that breaks connections. */
import { createServer, type Server } from 'node:http';
import { type AddressInfo, connect, createServer as createProxy, type Server as Proxy, type Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { eventually } from '../../support/eventually.ts';
import { Orchestrator, task } from '../../support/fleet.ts';
import { endings, Listener, lastOf } from '../../support/listener.ts';
import { all, startWorker, type TestWorker, textOf } from '../../support/worker.ts';

let worker: TestWorker;
let orchestrator: Orchestrator;
let proxy: Proxy;
let table: Server;
/** Connections of the orchestrator to the worker. */
const connections = new Set<Socket>();
const portOf = (server: Proxy | Server): number => (server.address() as AddressInfo).port;

beforeAll(async () => {
  worker = await startWorker({ args: ['--slots', '1', '--queue', '1'] });
  const port = Number(new URL(worker.url).port);
  proxy = createProxy((socket) => {
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
});
afterAll(async () => {
  await orchestrator.stop('SIGKILL');
  await worker.kill();
  table.close();
  proxy.close();
});

describe('an orchestrator', () => {
  test('reads on behind the last event when a connection breaks', async () => {
    const whole = await (await Listener.post(orchestrator.tasks, task(7, 400))).ended;
    const jobs = (): number => worker.lines.filter(({ event }) => event === 'request.validated').length;
    const before = jobs();
    // The job waits behind another one, so that its stream is still open when the connections break.
    const first = await Listener.open(worker, { job_id: 'first', ...task(1, 400) });
    const stream = await Listener.post(orchestrator.tasks, task(7, 400));
    await stream.untilNarrated('request.queued');
    for (const socket of connections) socket.destroy();
    const events = await stream.ended;
    await first.ended;
    expect(endings(events)).toEqual([events.at(-1)]);
    expect(lastOf(events)).toMatchObject({ type: 'end', tokens_out: 400 });
    expect(textOf(events)).toBe(textOf(whole));
    expect(all(events, 'narration').filter(({ event }) => event === 'request.queued')).toHaveLength(1);
    expect(await orchestrator.counts()).toMatchObject({ resumed: 1, restarted: 0, failed: 0 });
    expect(jobs() - before).toBe(2);
  });

  test('waits while all slots are busy and the queue is full', async () => {
    const { refused } = await orchestrator.counts();
    const seeds = [1, 2, 3, 4, 5];
    const ended = await Promise.all(
      seeds.map(async (seed) => (await Listener.post(orchestrator.tasks, task(seed, 200))).ended),
    );
    for (const events of ended) expect(lastOf(events)).toMatchObject({ type: 'end', tokens_out: 200 });
    expect((await orchestrator.counts()).refused).toBeGreaterThan(refused);
    expect((await orchestrator.counts()).failed).toBe(0);
  });

  test('passes a final error on, with its status', async () => {
    const { response } = await Listener.post(orchestrator.tasks, { prompt: '' });
    expect(response.status).toBe(400);
  });

  test('cancels the job of a caller that leaves', async () => {
    // The second task waits: nothing but a cancel removes it before the first has ended.
    const first = await Listener.open(worker, { job_id: 'long', ...task(1, 480) });
    const headers = { 'X-Correlation-Id': 'leaves' };
    const second = await Listener.post(orchestrator.tasks, task(2, 480), headers);
    await second.untilNarrated('request.queued');
    second.leave();
    await worker.line('request.cancelled', (line) => line['correlation_id'] === 'leaves');
    expect(lastOf(await first.ended).type).toBe('end');
    await eventually(async () => {
      const health = (await (await worker.get('/health')).json()) as { slots: { busy: number } };
      expect(health.slots.busy).toBe(0);
    });
  });
});

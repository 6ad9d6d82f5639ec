/**
 * A client that leaves stops its generation and frees its slot; a client that does not read affects no other.
 */
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Listener, lastOf, longJob } from '../../support/listener.ts';
import { startWorker, type TestWorker } from '../../support/worker.ts';

let worker: TestWorker;
beforeAll(async () => {
  worker = await startWorker({ args: ['--slots', '1'] });
});
afterAll(() => worker.kill());

const freeSlot = (): Promise<void> =>
  expect
    .poll(async () => (await worker.get('/health')).json())
    .toMatchObject({ slots: { busy: 0 }, queue: { length: 0 } });

test('the generation stops and the slot is free', async () => {
  const stream = await Listener.open(worker, longJob('leaves'), { 'X-Correlation-Id': 'req-leaves' });
  await stream.untilToken(5);
  stream.leave();
  await freeSlot();
  await worker.line('inference.failed', (line) => line['correlation_id'] === 'req-leaves');
});

test('the log has the client that left, the duration of the stop and the discarded tokens', async () => {
  const lines = (await worker.told('req-leaves')).slice(-3);
  expect(lines.map((line) => line.event)).toEqual(['reader.left', 'request.cancelled', 'inference.failed']);
  const [left, cancelled, failed] = lines;
  const tokens = Number(left?.['tokens_out']);
  expect(tokens).toBeGreaterThanOrEqual(6);
  expect(tokens).toBeLessThan(480);
  expect(cancelled).toMatchObject({ duration_ms: expect.any(Number), tokens_discarded: tokens });
  expect(Number(cancelled?.['duration_ms'])).toBeLessThan(20_000);
  expect(failed).toMatchObject({ error_kind: 'cancelled', tokens_out: tokens });
});

test('no token is generated without a client', async () => {
  const generated = async (): Promise<number> => {
    const text = await (await worker.get('/metrics')).text();
    return Number(/^worker_tokens_generated_total(?:\{\})? (\d+)/m.exec(text)?.[1]);
  };
  const before = await generated();
  expect(before).toBeGreaterThan(0);
  await sleep(200);
  expect(await generated()).toBe(before);
  expect(worker.linesOf('req-leaves').at(-1)?.event).toBe('inference.failed');
});

test('a client that leaves the queue is not served', async () => {
  const running = await Listener.open(worker, longJob('runs'));
  await running.untilToken();
  const waiting = await Listener.open(worker, longJob('waits'), { 'X-Correlation-Id': 'req-waits' });
  await waiting.untilNarrated('request.queued');
  waiting.leave();
  await worker.line('reader.left', (line) => line['correlation_id'] === 'req-waits');
  expect(lastOf(await running.ended)).toMatchObject({ type: 'end', tokens_out: 480 });
  expect((await worker.told('req-waits')).map((line) => line.event)).not.toContain('cache.reset');
  await freeSlot();
});

test('a client that leaves while its prompt is tokenized causes no worker.fault', async () => {
  const stream = new AbortController();
  const body = { job_id: 'reads', prompt: 'sea wind '.repeat(3600) };
  const request = worker
    .post('/execute', body, { 'X-Correlation-Id': 'req-reads' }, stream.signal)
    .catch(() => undefined);
  await sleep(12);
  stream.abort();
  await request;
  expect(lastOf(await worker.execute({ job_id: 'next', prompt: 'The sea', max_tokens: 1 })).type).toBe('end');
  await sleep(100);
  expect(worker.lines.filter((line) => line.event === 'worker.fault')).toEqual([]);
});

test('a client that leaves at the last event changes nothing', async () => {
  for (let round = 0; round < 10; round += 1) {
    const id = `req-last-${round}`;
    const stream = await Listener.open(worker, longJob(id, { max_tokens: 3, min_tokens: 3 }), {
      'X-Correlation-Id': id,
    });
    await stream.until(({ data }) => data.type === 'end');
    stream.leave();
    await stream.ended;
    expect((await worker.told(id)).map((line) => line.event)).not.toContain('reader.left');
  }
});

/** Sends a request on a bare socket and reads nothing. `length` announces more bytes than it sends. */
function post(body: object, length?: number): Promise<Socket> {
  const { hostname, port } = new URL(worker.url);
  const json = JSON.stringify(body);
  return new Promise((resolve, reject) => {
    const socket = connect(Number(port), hostname, () => {
      const head = `POST /execute HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: ${length ?? json.length}`;
      socket.write(`${head}\r\nX-Correlation-Id: ${'req-bare'}\r\n\r\n${json}`, () => resolve(socket));
    });
    socket.on('error', reject).pause();
  });
}

test('a reset connection counts as a client that left', async () => {
  const socket = await post(longJob('bare'));
  await worker.line('tokens.progress', (line) => line['job_id'] === 'bare');
  socket.resetAndDestroy();
  await worker.line('reader.left', (line) => line['job_id'] === 'bare');
  await freeSlot();
});

test('a client that does not read does not hold the engine', async () => {
  const socket = await post(longJob('deaf', { logprobs: 20 }));
  await worker.line('inference.complete', (line) => line['job_id'] === 'deaf');
  await freeSlot();
  socket.destroy();
});

test.each(['ends', 'is reset'])('a connection that %s inside a body causes no worker.fault', async (how) => {
  const sockets = await Promise.all([1, 2, 3].map(() => post(longJob('half'), 5000)));
  await sleep(30);
  for (const socket of sockets) {
    if (how === 'ends') socket.end();
    else socket.resetAndDestroy();
  }
  await sleep(100);
  expect(lastOf(await worker.execute({ job_id: 'half', prompt: 'The sea', max_tokens: 1 })).type).toBe('end');
  expect(worker.lines.filter((line) => line.event === 'worker.fault')).toEqual([]);
  for (const socket of sockets) socket.destroy();
});

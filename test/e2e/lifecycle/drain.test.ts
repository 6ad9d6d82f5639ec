/** The end of a worker: what runs may finish, what comes is refused, the exit code says how it went. */
import { afterEach, describe, expect, test } from 'vitest';
import { nextEnginePid } from '../../support/cli.ts';
import { endings, Listener, lastOf, longJob } from '../../support/listener.ts';
import { all, startWorker, type TestWorker, type WorkerOptions } from '../../support/worker.ts';

let worker: TestWorker;
afterEach(() => worker.kill());

/** A worker with one slot and a stream that runs in it. */
async function busyWorker(options: WorkerOptions = {}): Promise<Listener> {
  worker = await startWorker({ ...options, args: ['--slots', '1', ...(options.args ?? [])] });
  const stream = await Listener.open(worker, longJob('running'));
  await stream.untilToken();
  return stream;
}

async function expectDraining(): Promise<void> {
  const response = await worker.post('/execute', longJob('late'));
  expect(response.status).toBe(503);
  expect(Number(response.headers.get('retry-after'))).toBeGreaterThan(0);
  expect(await response.json()).toMatchObject({ error: { code: 'DRAINING', retriable: true } });
  expect((await worker.get('/ready')).status).toBe(503);
  expect((await worker.get('/live')).status).toBe(200);
  const health = await worker.get('/health');
  expect([health.status, await health.json()]).toEqual([503, expect.objectContaining({ status: 'draining' })]);
}

async function expectCleanEnd(reason: string): Promise<void> {
  expect(await worker.exited).toEqual({ code: 0, signal: null });
  const told = worker.lines.map((line) => line.event);
  expect(told.filter((event) => event === 'worker.draining')).toHaveLength(1);
  expect(worker.lines.at(-1)).toMatchObject({ event: 'server.shutdown', target: reason, reason });
  expect(worker.stderr).toBe('');
}

describe('a signal', () => {
  test.each(['SIGTERM', 'SIGINT'] as const)('%s lets the stream finish and refuses new work', async (signal) => {
    const stream = await busyWorker();
    worker.process.kill(signal);
    await worker.line('worker.draining');
    await expectDraining();
    expect(lastOf(await stream.ended)).toMatchObject({ type: 'end', tokens_out: 480 });
    const told = all(stream.events, 'narration').find((narration) => narration['event'] === 'request.draining');
    expect(told).toMatchObject({ timeout_ms: 30_000, job_id: 'running', level: 'WARN' });
    await expectCleanEnd(signal.toLowerCase());
  });

  test('finds nothing to wait for in an idle worker', async () => {
    worker = await startWorker();
    const keptAlive = await worker.get('/health');
    await keptAlive.text();
    const asked = performance.now();
    expect(await worker.stop()).toBe(0);
    expect(performance.now() - asked).toBeLessThan(1500);
    await expectCleanEnd('sigterm');
  });

  test('what waits in the queue finishes too', async () => {
    const running = await busyWorker();
    const waiting = await Listener.open(worker, longJob('waiting', { min_tokens: 5, max_tokens: 5 }));
    await waiting.untilNarrated('request.queued');
    worker.process.kill('SIGTERM');
    expect(lastOf(await running.ended)).toMatchObject({ type: 'end' });
    expect(lastOf(await waiting.ended)).toMatchObject({ type: 'end', tokens_out: 5 });
    await expectCleanEnd('sigterm');
  });

  test('a second one stops at once, with exit code 1', async () => {
    const stream = await busyWorker();
    worker.process.kill('SIGTERM');
    await worker.line('worker.draining');
    const asked = performance.now();
    worker.process.kill('SIGINT');
    expect(await worker.exited).toEqual({ code: 1, signal: null });
    expect(performance.now() - asked).toBeLessThan(1000);
    await stream.ended.catch(() => undefined);
  });

  test('a second one stops at once also after another cause of the drain', async () => {
    const stream = await busyWorker();
    expect((await worker.post('/shutdown', {})).status).toBe(202);
    await worker.line('worker.draining');
    worker.process.kill('SIGTERM');
    await new Promise((resolve) => setTimeout(resolve, 50));
    worker.process.kill('SIGTERM');
    expect(await worker.exited).toEqual({ code: 1, signal: null });
    await stream.ended.catch(() => undefined);
    expect(endings(stream.events)).toEqual([]);
  });
});

test('the deadline of the drain ends what is left with DRAINING', async () => {
  worker = await startWorker({ args: ['--slots', '1', '--shutdown-timeout', '1'] });
  const streams = await Promise.all(
    Array.from({ length: 48 }, (_, index) => Listener.open(worker, longJob(`job-${index}`))),
  );
  await Promise.race(streams.map((stream) => stream.untilToken()));
  const asked = performance.now();
  worker.process.kill('SIGTERM');
  const ends = (await Promise.all(streams.map((stream) => stream.ended))).map((events) => {
    expect(endings(events)).toEqual([events.at(-1)]);
    return lastOf(events);
  });
  expect(performance.now() - asked).toBeGreaterThan(900);
  const drained = ends.filter((end) => end.type === 'error');
  expect(drained.length).toBeGreaterThan(2);
  for (const end of drained) expect(end).toMatchObject({ code: 'DRAINING', retriable: true });
  await expectCleanEnd('sigterm');
  expect(performance.now() - asked).toBeLessThan(6000);
});

test('a reader that never reads does not hold the end', async () => {
  worker = await startWorker();
  const response = await worker.post('/execute', longJob('deaf', { logprobs: 20 }));
  await worker.line('inference.complete');
  const asked = performance.now();
  expect(await worker.stop()).toBe(0);
  expect(performance.now() - asked).toBeLessThan(5000);
  await response.text().catch(() => undefined);
});

describe('POST /shutdown', () => {
  test('drains; a second call is told that it already does', async () => {
    const stream = await busyWorker({ args: ['--shutdown-timeout', '20'] });
    const first = await fetch(`${worker.url}/shutdown`, { method: 'POST' });
    expect([first.status, await first.json()]).toEqual([202, { status: 'draining', timeout_seconds: 20 }]);
    const second = await worker.post('/shutdown', {});
    expect(second.status).toBe(503);
    expect(await second.json()).toMatchObject({ error: { code: 'DRAINING' } });
    await expectDraining();
    expect(lastOf(await stream.ended)).toMatchObject({ type: 'end', tokens_out: 480 });
    await expectCleanEnd('shutdown_request');
  });

  test('works while the model is loading', async () => {
    worker = await startWorker({ early: true });
    expect((await worker.post('/shutdown', {})).status).toBe(202);
    expect((await worker.exited).code).toBe(0);
    expect(worker.lines.map((line) => line.event)).not.toContain('model.load_failed');
    expect(worker.lines.at(-1)?.event).toBe('server.shutdown');
  });
});

test('a stop while the engine opens a model that takes long is no failed load', async () => {
  worker = await startWorker({ early: true });
  process.kill(await nextEnginePid(worker, -1), 'SIGSTOP');
  const asked = performance.now();
  worker.process.kill('SIGTERM');
  expect((await worker.exited).code).toBe(0);
  expect(performance.now() - asked).toBeLessThan(5000);
  const told = worker.lines.map((line) => line.event);
  expect(told).not.toContain('model.load_failed');
  expect(told.at(-1)).toBe('server.shutdown');
});

describe('standard input', () => {
  test('a pipe that closes drains the worker', async () => {
    const stream = await busyWorker({ stdin: 'pipe' });
    worker.process.stdin?.end();
    await worker.line('worker.draining', (line) => line['reason'] === 'stdin_closed');
    await expectDraining();
    expect(lastOf(await stream.ended)).toMatchObject({ type: 'end', tokens_out: 480 });
    await expectCleanEnd('stdin_closed');
  });

  test('a pipe that is written to says nothing', async () => {
    worker = await startWorker({ stdin: 'pipe' });
    worker.process.stdin?.write('shutdown\n'.repeat(1000));
    expect(lastOf(await worker.execute({ job_id: 'on', prompt: 'The sea', max_tokens: 5 })).type).toBe('end');
    expect(worker.process.exitCode).toBeNull();
  });

  test('/dev/null says nothing', async () => {
    worker = await startWorker({ stdin: 'ignore' });
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect((await worker.get('/ready')).status).toBe(200);
    expect(worker.lines.map((line) => line.event)).not.toContain('worker.draining');
  });
});

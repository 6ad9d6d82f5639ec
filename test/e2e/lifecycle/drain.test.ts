/** The drain of a worker: accepted work may finish, new work is refused, the exit code reports the outcome. */
import { afterEach, describe, expect, test } from 'vitest';
import { nextEnginePid } from '../../support/cli.ts';
import { endings, Listener, lastOf, longJob } from '../../support/listener.ts';
import { killAll } from '../../support/processes.ts';
import { all, startWorker, type TestWorker, type WorkerOptions } from '../../support/worker.ts';

afterEach(killAll);

/** A drain that waits for something waits this long (`PATIENT`). */
const AT_ONCE_MS = 60_000;
const PATIENT = ['--shutdown-timeout', '600'];

/** A worker with one slot and a stream that runs in it. */
async function busyWorker(options: WorkerOptions = {}): Promise<{ worker: TestWorker; stream: Listener }> {
  const worker = await startWorker({ ...options, args: ['--slots', '1', ...PATIENT, ...(options.args ?? [])] });
  const stream = await Listener.open(worker, longJob('running'));
  await stream.untilToken();
  return { worker, stream };
}

async function expectDraining(worker: TestWorker): Promise<void> {
  const response = await worker.post('/execute', longJob('late'));
  expect(response.status).toBe(503);
  expect(Number(response.headers.get('retry-after'))).toBeGreaterThan(0);
  expect(await response.json()).toMatchObject({ error: { code: 'DRAINING', retriable: true } });
  // An unread body keeps its connection open, and the end of the worker waits for that.
  const statuses = ['/ready', '/live'].map(async (path) => {
    const probe = await worker.get(path);
    await probe.text();
    return probe.status;
  });
  expect(await Promise.all(statuses)).toEqual([503, 200]);
  const health = await worker.get('/health');
  expect([health.status, await health.json()]).toEqual([503, expect.objectContaining({ status: 'draining' })]);
}

async function expectCleanEnd(worker: TestWorker, reason: string): Promise<void> {
  expect(await worker.exited).toEqual({ code: 0, signal: null });
  const told = worker.lines.map((line) => line.event);
  expect(told.filter((event) => event === 'worker.draining')).toHaveLength(1);
  expect(worker.lines.at(-1)).toMatchObject({ event: 'server.shutdown', target: reason, reason });
  expect(worker.stderr).toBe('');
}

describe('a signal', () => {
  test.each(['SIGTERM', 'SIGINT'] as const)('%s lets the stream finish and refuses new work', async (signal) => {
    const { worker, stream } = await busyWorker();
    worker.process.kill(signal);
    await worker.line('worker.draining');
    await expectDraining(worker);
    expect(lastOf(await stream.ended)).toMatchObject({ type: 'end', tokens_out: 480 });
    const told = all(stream.events, 'narration').find((narration) => narration['event'] === 'request.draining');
    expect(told).toMatchObject({ timeout_ms: 600_000, job_id: 'running', level: 'WARN' });
    await expectCleanEnd(worker, signal.toLowerCase());
  });

  test('ends an idle worker at once, even with an open connection', async () => {
    const worker = await startWorker({ args: PATIENT });
    const keptAlive = await worker.get('/health');
    await keptAlive.text();
    const asked = performance.now();
    expect(await worker.stop()).toBe(0);
    expect(performance.now() - asked).toBeLessThan(AT_ONCE_MS);
    await expectCleanEnd(worker, 'sigterm');
  });

  test('lets queued requests finish too', async () => {
    const { worker, stream: running } = await busyWorker();
    const waiting = await Listener.open(worker, longJob('waiting', { min_tokens: 5, max_tokens: 5 }));
    await waiting.untilNarrated('request.queued');
    worker.process.kill('SIGTERM');
    expect(lastOf(await running.ended)).toMatchObject({ type: 'end' });
    expect(lastOf(await waiting.ended)).toMatchObject({ type: 'end', tokens_out: 5 });
    await expectCleanEnd(worker, 'sigterm');
  });

  test('stops the worker at once with exit code 1 if it is the second', async () => {
    const { worker, stream } = await busyWorker();
    worker.process.kill('SIGTERM');
    await worker.line('worker.draining');
    worker.process.kill('SIGINT');
    expect(await worker.exited).toEqual({ code: 1, signal: null });
    await stream.ended.catch(() => undefined);
    expect(endings(stream.events)).toEqual([]);
  });

  test('stops the worker at once if it is the second, also when the drain has another cause', async () => {
    const { worker, stream } = await busyWorker();
    expect((await worker.post('/shutdown', {})).status).toBe(202);
    await worker.line('worker.draining');
    worker.process.kill('SIGTERM');
    // Two equal signals at once are one for the kernel: this answer comes from a loop that has taken the
    // first.
    expect((await worker.get('/live')).status).toBe(200);
    worker.process.kill('SIGTERM');
    expect(await worker.exited).toEqual({ code: 1, signal: null });
    await stream.ended.catch(() => undefined);
    expect(endings(stream.events)).toEqual([]);
  });
});

test('the deadline of the drain ends the remaining jobs with DRAINING', async () => {
  const worker = await startWorker({ args: ['--slots', '1', '--shutdown-timeout', '1'] });
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
  await expectCleanEnd(worker, 'sigterm');
  expect(performance.now() - asked).toBeLessThan(AT_ONCE_MS);
});

test('a client that does not read does not delay the end', async () => {
  const worker = await startWorker({ args: PATIENT });
  const response = await worker.post('/execute', longJob('deaf', { logprobs: 20 }));
  await worker.line('inference.complete');
  const asked = performance.now();
  expect(await worker.stop()).toBe(0);
  expect(performance.now() - asked).toBeLessThan(AT_ONCE_MS);
  await response.text().catch(() => undefined);
});

describe('POST /shutdown', () => {
  test('drains the worker; a second call gets DRAINING', async () => {
    const { worker, stream } = await busyWorker({ args: ['--shutdown-timeout', '300'] });
    const first = await fetch(`${worker.url}/shutdown`, { method: 'POST' });
    expect([first.status, await first.json()]).toEqual([202, { status: 'draining', timeout_seconds: 300 }]);
    const second = await worker.post('/shutdown', {});
    expect(second.status).toBe(503);
    expect(await second.json()).toMatchObject({ error: { code: 'DRAINING' } });
    await expectDraining(worker);
    expect(lastOf(await stream.ended)).toMatchObject({ type: 'end', tokens_out: 480 });
    await expectCleanEnd(worker, 'shutdown_request');
  });

  test('works while the model is loading', async () => {
    const worker = await startWorker({ early: true });
    expect((await worker.post('/shutdown', {})).status).toBe(202);
    expect((await worker.exited).code).toBe(0);
    expect(worker.lines.map((line) => line.event)).not.toContain('model.load_failed');
    expect(worker.lines.at(-1)?.event).toBe('server.shutdown');
  });
});

test('a stop while the engine opens the model is not a failed load', async () => {
  const worker = await startWorker({ early: true, args: PATIENT });
  process.kill(await nextEnginePid(worker, -1), 'SIGSTOP');
  const asked = performance.now();
  worker.process.kill('SIGTERM');
  expect((await worker.exited).code).toBe(0);
  expect(performance.now() - asked).toBeLessThan(AT_ONCE_MS);
  const told = worker.lines.map((line) => line.event);
  expect(told).not.toContain('model.load_failed');
  expect(told.at(-1)).toBe('server.shutdown');
});

describe('standard input', () => {
  test('a pipe that closes drains the worker', async () => {
    const { worker, stream } = await busyWorker({ stdin: 'pipe' });
    worker.process.stdin?.end();
    await worker.line('worker.draining', (line) => line['reason'] === 'stdin_closed');
    await expectDraining(worker);
    expect(lastOf(await stream.ended)).toMatchObject({ type: 'end', tokens_out: 480 });
    await expectCleanEnd(worker, 'stdin_closed');
  });

  test('text in the pipe is ignored', async () => {
    const worker = await startWorker({ stdin: 'pipe' });
    worker.process.stdin?.write('shutdown\n'.repeat(1000));
    expect(lastOf(await worker.execute({ job_id: 'on', prompt: 'The sea', max_tokens: 5 })).type).toBe('end');
    expect(worker.process.exitCode).toBeNull();
  });

  test('/dev/null does not drain the worker', async () => {
    const worker = await startWorker({ stdin: 'ignore' });
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect((await worker.get('/ready')).status).toBe(200);
    expect(worker.lines.map((line) => line.event)).not.toContain('worker.draining');
  });
});

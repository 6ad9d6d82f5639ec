/** The drain of a worker: accepted work may finish, new work is refused, the exit code reports the outcome. */
import { afterEach, describe, expect, test } from 'vitest';
import { nextEnginePid } from '../../support/cli.ts';
import { AT_ONCE_MS, busyWorker, expectCleanEnd, expectDraining, PATIENT } from '../../support/drain.ts';
import { endings, Listener, lastOf, longJob } from '../../support/listener.ts';
import { killAll } from '../../support/processes.ts';
import { all, startWorker } from '../../support/worker.ts';

afterEach(killAll);

describe('a signal', () => {
  test.each(['SIGTERM', 'SIGINT'] as const)('%s lets the stream finish and refuses new work', async (signal) => {
    const { worker, stream } = await busyWorker();
    worker.process.kill(signal);
    await worker.line('worker.draining');
    await expectDraining(worker);
    expect(lastOf(await stream.ended)).toMatchObject({ type: 'end', tokens_out: 480 });
    const told = all(stream.events, 'narration').find((narration) => narration['event'] === 'request.draining');
    expect(told).toMatchObject({ timeout_ms: 596_000, job_id: 'running', level: 'WARN' });
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
});

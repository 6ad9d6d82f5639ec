/** Drains at a deadline, with a client that does not read, at start-up, and with odd standard inputs. */
import { afterEach, describe, expect, test } from 'vitest';
import { AT_ONCE_MS, busyWorker, expectCleanEnd, PATIENT } from '../../support/drain.ts';
import { endings, Listener, lastOf, longJob } from '../../support/listener.ts';
import { killAll } from '../../support/processes.ts';
import { startWorker } from '../../support/worker.ts';

afterEach(killAll);

describe('a second signal', () => {
  test('stops the worker at once, also when the drain has another cause', async () => {
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
  const worker = await startWorker({ args: ['--slots', '1', '--shutdown-timeout', '4'] });
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
  expect(performance.now() - asked).toBeGreaterThan(1900);
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
  test('works while the model is loading', async () => {
    const worker = await startWorker({ early: true });
    expect((await worker.post('/shutdown', {})).status).toBe(202);
    expect((await worker.exited).code).toBe(0);
    expect(worker.lines.map((line) => line.event)).not.toContain('model.load_failed');
    expect(worker.lines.at(-1)?.event).toBe('server.shutdown');
  });
});

describe('standard input', () => {
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

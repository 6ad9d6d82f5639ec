/**
 * The engine process dies: the next engine starts, and after three losses the worker exits. With
 * `--on-engine-loss fail`, its streams end. No orphans.
 */
import { afterEach, describe, expect, test } from 'vitest';
import { enginePid } from '../../support/cli.ts';
import { Halt } from '../../support/halt.ts';
import { endings, Listener, lastOf, longJob, narrated } from '../../support/listener.ts';
import { isAlive, untilGone } from '../../support/processes.ts';
import { all, startWorker, type TestWorker } from '../../support/worker.ts';

let worker: TestWorker;
afterEach(() => worker.kill());

const ready = (): Promise<void> => expect.poll(async () => (await worker.get('/ready')).status).toBe(200);

describe('an engine that dies', () => {
  test.each([
    ['SIGKILL', 'as a kernel without memory does'],
    ['SIGSEGV', 'as a fault in native code does'],
  ] as const)(
    'of %s (%s) under sixteen streams ends each of them once with `fail`, and is restarted',
    async (signal, _as) => {
      worker = await startWorker({ args: ['--slots', '16', '--on-engine-loss', 'fail'] });
      const jobs = Array.from({ length: 16 }, (_, index) => index);
      const streams = await Promise.all(
        jobs.map((index) => Listener.open(worker, longJob(`job-${index}`), { 'X-Correlation-Id': `req-${index}` })),
      );
      await Promise.all(streams.map((stream) => stream.untilToken(3)));
      const engine = enginePid(worker);
      process.kill(engine, signal);
      const ends = await Promise.all(streams.map((stream) => stream.ended));
      for (const [index, events] of ends.entries()) {
        expect(endings(events)).toEqual([events.at(-1)]);
        expect(lastOf(events)).toMatchObject({
          type: 'error',
          code: 'ENGINE_LOST',
          retriable: true,
          correlation_id: `req-${index}`,
        });
        expect(narrated(events).slice(-2)).toEqual(['request.engine_lost', 'inference.failed']);
        expect(all(events, 'narration').at(-1)).toMatchObject({ error_kind: 'engine_lost' });
      }
      const lost = await worker.line('engine.lost');
      expect(lost).toMatchObject({ level: 'ERROR', signal, requests_running: 16, error_kind: 'engine_lost' });
      expect(lost).toMatchObject({ requests_interrupted: 0, requests_waiting: 0, reason: `signal ${signal}` });
      const restarted = await worker.line('engine.restarted');
      expect(restarted).toMatchObject({ restarts: 1, duration_ms: expect.any(Number) });
      await ready();
      expect(enginePid(worker)).not.toBe(engine);
      expect(lastOf(await worker.execute(longJob('job-0', { max_tokens: 5, min_tokens: 5 })))).toMatchObject({
        type: 'end',
        tokens_out: 5,
        cached_tokens: 0,
      });
      expect(await (await worker.get('/health')).json()).toMatchObject({ status: 'healthy', slots: { busy: 0 } });
      expect(await worker.stop()).toBe(0);
    },
  );

  test('makes the worker refuse work until the next one is ready', async () => {
    const halt = new Halt();
    worker = await startWorker({ env: halt.env });
    const engine = enginePid(worker);
    halt.arm();
    process.kill(engine, 'SIGKILL');
    await worker.line('engine.lost');
    const response = await worker.post('/execute', longJob('meanwhile'));
    expect(response.status).toBe(503);
    expect(Number(response.headers.get('retry-after'))).toBeGreaterThan(0);
    expect(await response.json()).toMatchObject({ error: { code: 'WORKER_UNHEALTHY', retriable: true } });
    const health = await worker.get('/health');
    expect([health.status, await health.json()]).toEqual([
      503,
      expect.objectContaining({ status: 'unhealthy', resident: false }),
    ]);
    expect((await worker.get('/ready')).status).toBe(503);
    const live = await worker.get('/live');
    expect([live.status, await live.json()]).toEqual([
      200,
      expect.objectContaining({ status: 'alive', engine_heartbeat_age_ms: expect.any(Number) }),
    ]);
    halt.disarm();
    await worker.line('engine.restarted');
    await ready();
    halt.remove();
  });

  test('leaves its requests in the queue, which shows until the next one serves them', async () => {
    const halt = new Halt();
    worker = await startWorker({ args: ['--slots', '1'], env: halt.env });
    const running = await Listener.open(worker, longJob('running'));
    await running.untilToken();
    const waiting = await Listener.open(worker, longJob('waiting', { max_tokens: 5, min_tokens: 5 }));
    await waiting.untilNarrated('request.queued');
    halt.arm();
    process.kill(enginePid(worker), 'SIGKILL');
    await running.untilNarrated('request.interrupted');
    const health = await worker.get('/health');
    expect(await health.json()).toMatchObject({ accepting: false, slots: { busy: 0 }, queue: { length: 2 } });
    expect([health.headers.get('x-worker-slots-free'), health.headers.get('x-worker-queue')]).toEqual(['0', '2']);
    const { jobs } = (await (await worker.get('/jobs')).json()) as { jobs: { job_id: string; state: string }[] };
    expect(jobs.map(({ job_id, state }) => [job_id, state]).toSorted()).toEqual([
      ['running', 'waiting'],
      ['waiting', 'waiting'],
    ]);
    halt.disarm();
    expect(lastOf(await running.ended)).toMatchObject({ type: 'end', tokens_out: 480 });
    expect(lastOf(await waiting.ended)).toMatchObject({ type: 'end', tokens_out: 5 });
    halt.remove();
  });

  test('three times in a row ends the worker with exit code 1', async () => {
    worker = await startWorker();
    for (const restarts of [1, 2]) {
      process.kill(enginePid(worker), 'SIGKILL');
      await worker.line('engine.restarted', (line) => line['restarts'] === restarts);
      await ready();
    }
    const stream = await Listener.open(worker, longJob('last'));
    await stream.untilToken();
    process.kill(enginePid(worker), 'SIGKILL');
    expect(lastOf(await stream.ended)).toMatchObject({ code: 'ENGINE_LOST' });
    expect(stream.told.slice(-3)).toEqual(['request.interrupted', 'request.engine_lost', 'inference.failed']);
    expect(await worker.exited).toEqual({ code: 1, signal: null });
    expect(worker.lines.filter((line) => line.event === 'engine.lost')).toHaveLength(3);
    expect(worker.lines.find((line) => line.event === 'worker.failed')).toMatchObject({
      level: 'FATAL',
      error_kind: 'engine_lost',
    });
    expect(worker.lines.at(-1)?.event).toBe('server.shutdown');
  });
});

describe('an engine lives exactly as long as its worker', () => {
  test('that is killed while it works', async () => {
    worker = await startWorker();
    const engine = enginePid(worker);
    const stream = await Listener.open(worker, longJob('orphan'));
    await stream.untilToken();
    worker.process.kill('SIGKILL');
    await untilGone(engine);
    await stream.ended.catch(() => undefined);
  });

  test('that is asked to stop', async () => {
    worker = await startWorker();
    const engine = enginePid(worker);
    expect(await worker.stop()).toBe(0);
    expect(isAlive(engine)).toBe(false);
  });
});

/**
 * An engine that stops answering, as with a driver that hangs or a machine that swaps. The tests suspend it
 * with SIGSTOP.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { enginePid, nextEnginePid } from '../../support/cli.ts';
import { eventually } from '../../support/eventually.ts';
import { endings, Listener, lastOf, longJob, narrated } from '../../support/listener.ts';
import { isAlive } from '../../support/processes.ts';
import { startWorker, type TestWorker } from '../../support/worker.ts';

const events = (worker: TestWorker): string[] => worker.lines.map((line) => line.event);
const health = async (worker: TestWorker): Promise<unknown> => (await worker.get('/health')).json();

/** Starts a stream and stops the engine as soon as the stream has a token. */
async function stoppedOn(worker: TestWorker, job: object = {}): Promise<{ stream: Listener; engine: number }> {
  const stream = await Listener.open(worker, longJob('running', job));
  await stream.untilToken();
  const engine = enginePid(worker);
  process.kill(engine, 'SIGSTOP');
  return { stream, engine };
}

/** A worker with one slot, a stream that runs in it, and an engine that has just been stopped. */
async function stopped(...args: string[]): Promise<{ worker: TestWorker; stream: Listener; engine: number }> {
  const worker = await startWorker({ args: ['--slots', '1', ...args] });
  return { worker, ...(await stoppedOn(worker)) };
}

describe.concurrent('the heartbeat', () => {
  test('replaces an engine whose step never ends', async () => {
    const { worker, stream, engine } = await stopped('--step-timeout', '2');
    const waiting = await Listener.open(worker, longJob('waiting', { max_tokens: 5, min_tokens: 5 }));
    expect(lastOf(await stream.ended)).toMatchObject({ type: 'error', code: 'ENGINE_LOST', retriable: true });
    expect(await worker.line('engine.lost')).toMatchObject({
      reason: 'no step for 2 s',
      signal: 'SIGKILL',
      requests_running: 1,
      requests_waiting: 1,
    });
    await worker.line('engine.restarted');
    expect(lastOf(await waiting.ended)).toMatchObject({ type: 'end', tokens_out: 5 });
    expect(isAlive(engine)).toBe(false);
    expect(await worker.stop()).toBe(0);
  });

  test('replaces an idle engine that does not answer', async () => {
    const worker = await startWorker({ args: ['--step-timeout', '1'] });
    const engine = enginePid(worker);
    process.kill(engine, 'SIGSTOP');
    expect(await worker.line('engine.lost')).toMatchObject({ reason: 'no step for 1 s', requests_running: 0 });
    await worker.line('engine.restarted');
    expect(enginePid(worker)).not.toBe(engine);
  });

  test('does not count the time in which a model loads', async () => {
    const worker = await startWorker({ args: ['--step-timeout', '2'], early: true });
    const engine = await nextEnginePid(worker, -1);
    process.kill(engine, 'SIGSTOP');
    await sleep(3500);
    process.kill(engine, 'SIGCONT');
    await worker.line('warmup.done');
    expect(enginePid(worker)).toBe(engine);
    expect(events(worker)).not.toContain('engine.lost');
  });

  test('does not blame the engine for a pause of the whole worker', async () => {
    const worker = await startWorker({ args: ['--step-timeout', '2'] });
    const engine = enginePid(worker);
    worker.process.kill('SIGSTOP');
    await sleep(4500);
    worker.process.kill('SIGCONT');
    expect(lastOf(await worker.execute(longJob('after'))).type).toBe('end');
    expect(enginePid(worker)).toBe(engine);
    expect(events(worker)).not.toContain('engine.lost');
  });

  test('reports its age in /live: low while the engine answers, rising while it does not; /live stays 200', async () => {
    const worker = await startWorker();
    const age = async (): Promise<number> => {
      const live = await worker.get('/live');
      expect(live.status).toBe(200);
      return Number(((await live.json()) as Record<string, unknown>)['engine_heartbeat_age_ms']);
    };
    // An idle engine is pinged every second: its age falls again and again.
    const first = await age();
    await eventually(async () => expect(await age()).toBeLessThan(first));
    const engine = enginePid(worker);
    process.kill(engine, 'SIGSTOP');
    await eventually(async () => expect(await age()).toBeGreaterThan(2500));
    process.kill(engine, 'SIGCONT');
    await eventually(async () => expect(await age()).toBeLessThan(2500));
  });

  test('a drain ends at its deadline with exit code 0, even if the engine is silent', async () => {
    const { worker, stream, engine } = await stopped('--shutdown-timeout', '1');
    worker.process.kill('SIGTERM');
    const all = await stream.ended;
    expect(endings(all)).toEqual([all.at(-1)]);
    expect(lastOf(all)).toMatchObject({ type: 'error', code: 'DRAINING', retriable: true });
    expect(await worker.exited).toEqual({ code: 0, signal: null });
    expect(worker.lines.at(-1)?.event).toBe('server.shutdown');
    expect(isAlive(engine)).toBe(false);
  });
});

describe('while the engine is silent', () => {
  let worker: TestWorker;
  beforeAll(async () => {
    worker = await startWorker({ args: ['--slots', '1', '--queue', '1'] });
  });
  afterAll(() => worker.kill());

  const untilIdle = (): Promise<void> =>
    eventually(async () => expect(await health(worker)).toMatchObject({ slots: { busy: 0 }, queue: { length: 0 } }));

  /** The job has ended for its caller; its slot is busy until the engine continues. */
  async function expectReconciled(stream: Listener, engine: number, code: string): Promise<void> {
    const all = await stream.ended;
    expect(endings(all)).toEqual([all.at(-1)]);
    expect(lastOf(all)).toMatchObject({ type: 'error', code });
    expect(narrated(all).slice(-2)).toEqual(['cancel.unconfirmed', 'inference.failed']);
    expect(await health(worker)).toMatchObject({ status: 'healthy', slots: { busy: 1 } });
    process.kill(engine, 'SIGCONT');
    await untilIdle();
    expect(lastOf(await worker.execute(longJob('next', { max_tokens: 3, min_tokens: 3 })))).toMatchObject({
      type: 'end',
    });
    expect(events(worker)).not.toContain('engine.lost');
  }

  test('a deadline still ends its request', async () => {
    const { stream, engine } = await stoppedOn(worker, { timeout_ms: 1500 });
    await expectReconciled(stream, engine, 'TIMEOUT');
  });

  test('a cancel is answered', async () => {
    const { stream, engine } = await stoppedOn(worker);
    expect((await worker.post('/cancel', { job_id: 'running' })).status).toBe(202);
    await expectReconciled(stream, engine, 'CANCELLED');
  });

  test('a queued request keeps its deadline too', async () => {
    const { stream, engine } = await stoppedOn(worker);
    const waiting = await Listener.open(worker, longJob('waiting', { timeout_ms: 300 }));
    expect(lastOf(await waiting.ended)).toMatchObject({ type: 'error', code: 'TIMEOUT' });
    expect(waiting.told).not.toContain('cache.reset');
    process.kill(engine, 'SIGCONT');
    expect(lastOf(await stream.ended)).toMatchObject({ type: 'end', tokens_out: 480 });
    await untilIdle();
  });

  test('cancelled sequences count until the engine drops them: cancelling does not fill its memory', async () => {
    const { stream, engine } = await stoppedOn(worker);
    const waiting = await Listener.open(worker, longJob('waiting'));
    for (const job_id of ['running', 'waiting']) await worker.post('/cancel', { job_id });
    for (const { ended } of [stream, waiting]) expect(lastOf(await ended)).toMatchObject({ code: 'CANCELLED' });
    const refused = await worker.post('/execute', longJob('more'));
    expect([refused.status, await refused.json()]).toMatchObject([503, { error: { code: 'ALL_SLOTS_BUSY' } }]);
    process.kill(engine, 'SIGCONT');
    await untilIdle();
    expect((await worker.post('/execute', longJob('more', { max_tokens: 1, min_tokens: 1 }))).status).toBe(200);
  });

  test('a client that leaves ends its job, and the id can be used again', async () => {
    const before = worker.lines.length;
    const { stream, engine } = await stoppedOn(worker);
    stream.leave();
    const failed = await worker.line('inference.failed', (line) => worker.lines.indexOf(line) >= before);
    expect(failed).toMatchObject({ job_id: 'running', error_kind: 'cancelled' });
    process.kill(engine, 'SIGCONT');
    const again = await worker.execute(longJob('running', { max_tokens: 3, min_tokens: 3 }));
    expect(lastOf(again)).toMatchObject({ type: 'end', tokens_out: 3 });
  });
});

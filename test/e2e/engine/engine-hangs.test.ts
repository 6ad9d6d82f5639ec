/** An engine that is there and says nothing: stopped by a signal, as a driver or a swapping machine would. Nobody is kept waiting for it. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, test } from 'vitest';
import { enginePid, isAlive, nextEnginePid } from '../../support/cli.ts';
import { endings, Listener, lastOf, longJob, narrated } from '../../support/listener.ts';
import { startWorker, type TestWorker } from '../../support/worker.ts';

let worker: TestWorker;
afterEach(() => worker.kill());

const health = async (): Promise<unknown> => (await worker.get('/health')).json();
const heartbeatAge = async (): Promise<number> => {
  const live = await worker.get('/live');
  expect(live.status).toBe(200);
  return Number(((await live.json()) as Record<string, unknown>)['engine_heartbeat_age_ms']);
};

/** A worker with one slot, a stream that runs in it, and an engine that has just been stopped. */
async function stopped(args: readonly string[], job: object = {}): Promise<{ stream: Listener; engine: number }> {
  worker = await startWorker({ args: ['--slots', '1', ...args] });
  const stream = await Listener.open(worker, longJob('running', job));
  await stream.untilToken();
  const engine = enginePid(worker);
  process.kill(engine, 'SIGSTOP');
  return { stream, engine };
}

describe('the watch', () => {
  test('replaces an engine whose step never ends', async () => {
    const { stream, engine } = await stopped(['--step-timeout', '2']);
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

  test('replaces an engine that has nothing to do and does not answer', async () => {
    worker = await startWorker({ args: ['--step-timeout', '1'] });
    const engine = enginePid(worker);
    process.kill(engine, 'SIGSTOP');
    expect(await worker.line('engine.lost')).toMatchObject({ reason: 'no step for 1 s', requests_running: 0 });
    await worker.line('engine.restarted');
    expect(enginePid(worker)).not.toBe(engine);
  });

  test('does not count the time that a model takes to load', async () => {
    worker = await startWorker({ args: ['--step-timeout', '2'], early: true });
    const engine = await nextEnginePid(worker, -1);
    process.kill(engine, 'SIGSTOP');
    await sleep(3500);
    process.kill(engine, 'SIGCONT');
    await worker.line('warmup.done');
    expect(enginePid(worker)).toBe(engine);
    expect(worker.lines.map((line) => line.event)).not.toContain('engine.lost');
  });

  test('does not blame the engine for a pause of the whole worker', async () => {
    worker = await startWorker({ args: ['--step-timeout', '2'] });
    const engine = enginePid(worker);
    worker.process.kill('SIGSTOP');
    await sleep(4500);
    worker.process.kill('SIGCONT');
    expect(lastOf(await worker.execute(longJob('after'))).type).toBe('end');
    expect(enginePid(worker)).toBe(engine);
    expect(worker.lines.map((line) => line.event)).not.toContain('engine.lost');
  });

  test('is told by /live: young while the engine answers, older while it does not, and never a reason to be dead', async () => {
    worker = await startWorker();
    await sleep(4000); // idle: without pings nothing would be heard by now
    expect(await heartbeatAge()).toBeLessThan(3900);
    const engine = enginePid(worker);
    process.kill(engine, 'SIGSTOP');
    await expect.poll(heartbeatAge, { timeout: 20_000 }).toBeGreaterThan(4000);
    process.kill(engine, 'SIGCONT');
    await expect.poll(heartbeatAge, { timeout: 20_000 }).toBeLessThan(3900);
  });
});

describe('while it is silent', () => {
  /** Ended for its caller; the slot is taken until the engine goes on. */
  async function expectReconciled(stream: Listener, engine: number, code: string): Promise<void> {
    const events = await stream.ended;
    expect(endings(events)).toEqual([events.at(-1)]);
    expect(lastOf(events)).toMatchObject({ type: 'error', code });
    expect(narrated(events).slice(-2)).toEqual(['cancel.unconfirmed', 'inference.failed']);
    expect(await health()).toMatchObject({ status: 'healthy', slots: { busy: 1 } });
    process.kill(engine, 'SIGCONT');
    await expect.poll(health, { timeout: 20_000 }).toMatchObject({ slots: { busy: 0 }, queue: { length: 0 } });
    expect(lastOf(await worker.execute(longJob('next', { max_tokens: 3, min_tokens: 3 })))).toMatchObject({
      type: 'end',
    });
    expect(worker.lines.map((line) => line.event)).not.toContain('engine.lost');
  }

  test('a deadline is kept', async () => {
    const { stream, engine } = await stopped([], { timeout_ms: 1500 });
    await expectReconciled(stream, engine, 'TIMEOUT');
  });

  test('a cancel is answered', async () => {
    const { stream, engine } = await stopped([]);
    expect((await worker.post('/cancel', { job_id: 'running' })).status).toBe(202);
    await expectReconciled(stream, engine, 'CANCELLED');
  });

  test('what waits for a slot has its deadline too', async () => {
    const { stream, engine } = await stopped([]);
    const waiting = await Listener.open(worker, longJob('waiting', { timeout_ms: 300 }));
    expect(lastOf(await waiting.ended)).toMatchObject({ type: 'error', code: 'TIMEOUT' });
    expect(waiting.told).not.toContain('cache.reset');
    process.kill(engine, 'SIGCONT');
    expect(lastOf(await stream.ended)).toMatchObject({ type: 'end', tokens_out: 480 });
    await expect.poll(health, { timeout: 20_000 }).toMatchObject({ slots: { busy: 0 }, queue: { length: 0 } });
  });

  test('sequences that it still has take up room: a caller cannot fill its memory by cancelling', async () => {
    const { stream, engine } = await stopped(['--queue', '1']);
    const waiting = await Listener.open(worker, longJob('waiting'));
    for (const job_id of ['running', 'waiting']) await worker.post('/cancel', { job_id });
    for (const { ended } of [stream, waiting]) expect(lastOf(await ended)).toMatchObject({ code: 'CANCELLED' });
    const refused = await worker.post('/execute', longJob('more'));
    expect([refused.status, await refused.json()]).toMatchObject([503, { error: { code: 'ALL_SLOTS_BUSY' } }]);
    process.kill(engine, 'SIGCONT');
    await expect.poll(health, { timeout: 20_000 }).toMatchObject({ slots: { busy: 0 }, queue: { length: 0 } });
    expect((await worker.post('/execute', longJob('more', { max_tokens: 1, min_tokens: 1 }))).status).toBe(200);
  });

  test('a reader that leaves is forgotten, and its job can be sent again', async () => {
    const { stream, engine } = await stopped([]);
    stream.leave();
    const failed = await worker.line('inference.failed');
    expect(failed).toMatchObject({ job_id: 'running', error_kind: 'cancelled' });
    process.kill(engine, 'SIGCONT');
    const again = await worker.execute(longJob('running', { max_tokens: 3, min_tokens: 3 }));
    expect(lastOf(again)).toMatchObject({ type: 'end', tokens_out: 3 });
  });

  test('a drain ends at its deadline, with exit code 0', async () => {
    const { stream, engine } = await stopped(['--shutdown-timeout', '1']);
    worker.process.kill('SIGTERM');
    const events = await stream.ended;
    expect(endings(events)).toEqual([events.at(-1)]);
    expect(lastOf(events)).toMatchObject({ type: 'error', code: 'DRAINING', retriable: true });
    expect(await worker.exited).toEqual({ code: 0, signal: null });
    expect(worker.lines.at(-1)?.event).toBe('server.shutdown');
    expect(isAlive(engine)).toBe(false);
  });
});

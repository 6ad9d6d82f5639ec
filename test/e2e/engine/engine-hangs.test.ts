/**
 * An engine that stops answering, as with a driver that hangs or a machine that swaps. The tests suspend it
 * with SIGSTOP.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { eventually } from '../../support/eventually.ts';
import { endings, Listener, lastOf, longJob, narrated } from '../../support/listener.ts';
import { isAlive } from '../../support/processes.ts';
import { stopped, stoppedOn } from '../../support/stopped-engine.ts';
import { startWorker, type TestWorker } from '../../support/worker.ts';

const events = (worker: TestWorker): string[] => worker.lines.map((line) => line.event);
const health = async (worker: TestWorker): Promise<unknown> => (await worker.get('/health')).json();

test('the heartbeat replaces an engine whose step never ends', async () => {
  const { worker, stream, engine } = await stopped('--step-timeout', '2');
  const waiting = await Listener.open(worker, longJob('waiting', { max_tokens: 5, min_tokens: 5 }));
  expect(lastOf(await stream.ended)).toMatchObject({ type: 'end', tokens_out: 480 });
  expect(stream.told).toContain('request.resumed');
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

describe('while the engine is silent', () => {
  let worker: TestWorker;
  beforeAll(async () => {
    worker = await startWorker({ args: ['--slots', '1', '--queue', '1', '--stall-after', '600'] });
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

/**
 * An engine that is silent for longer than `--stall-after`, but is not killed yet: the worker says so
 * everywhere, refuses new jobs, and continues at the next message. The tests suspend the engine with SIGSTOP.
 */
import { afterEach, describe, expect, test } from 'vitest';
import { enginePid } from '../../support/cli.ts';
import { eventually } from '../../support/eventually.ts';
import { endings, Listener, lastOf, longJob, narrated } from '../../support/listener.ts';
import { type LogLine, startWorker, type TestWorker } from '../../support/worker.ts';

let worker: TestWorker;
afterEach(() => worker.kill());

const short = { max_tokens: 5, min_tokens: 5 };

async function answer(path: string): Promise<{ status: number; headers: Headers; body: Record<string, unknown> }> {
  const response = await worker.get(path);
  return { status: response.status, headers: response.headers, body: (await response.json()) as never };
}

/** Waits until the engine answers again: the worker is ready. */
const untilReady = (): Promise<void> => eventually(async () => expect((await answer('/ready')).status).toBe(200));

describe('with a running and a queued request', () => {
  /** A worker whose engine is stalled with one running and one queued request. */
  async function stalled(...args: string[]) {
    worker = await startWorker({ args: ['--slots', '1', '--queue', '2', '--stall-after', '1', ...args] });
    const running = await Listener.open(worker, longJob('running'));
    await running.untilToken();
    const waiting = await Listener.open(worker, longJob('waiting', short));
    await waiting.untilNarrated('request.queued');
    const engine = enginePid(worker);
    process.kill(engine, 'SIGSTOP');
    const line = await worker.line('engine.stalled', (one) => one['requests_waiting'] === 1);
    return { running, waiting, engine, line };
  }

  test('probes, metrics, log and refusals say so until the engine answers', async () => {
    const { running, waiting, engine, line } = await stalled();
    expect(line).toMatchObject({ level: 'WARN', requests_running: 1, timeout_ms: 60_000 });
    expect(line['silence_ms']).toBeGreaterThanOrEqual(1000);
    expect(line.human).toMatch(/^Check .* 1 request running and 1 waiting/);

    const ready = await answer('/ready');
    expect([ready.status, ready.headers.get('retry-after')]).toEqual([503, '1']);
    expect(ready.body).toMatchObject({ error: { code: 'ENGINE_STALLED', retriable: true } });

    const health = await answer('/health');
    expect([health.status, health.headers.get('retry-after')]).toEqual([503, '1']);
    expect(health.body).toMatchObject({ status: 'stalled', accepting: false, resident: true });
    expect(health.body['engine_heartbeat_age_ms']).toBeGreaterThanOrEqual(1000);
    expect(health.body).not.toHaveProperty('expected_wait_ms');
    expect(health.headers.get('x-worker-slots-free')).toBe('0');
    expect(health.headers.has('x-worker-expected-wait-ms')).toBe(false);

    const metrics = await (await worker.get('/metrics')).text();
    expect(metrics).toMatch(/^worker_engine_stalled 1$/m);
    expect(Number(/^worker_engine_heartbeat_age_seconds (.*)$/m.exec(metrics)?.[1])).toBeGreaterThanOrEqual(1);
    expect((await answer('/live')).status).toBe(200);

    const refused = await worker.post('/execute', longJob('refused'));
    expect([refused.status, refused.headers.get('retry-after')]).toEqual([503, '1']);
    expect(await refused.json()).toMatchObject({
      error: { code: 'ENGINE_STALLED', details: { engine_heartbeat_age_ms: expect.any(Number) } },
    });

    process.kill(engine, 'SIGCONT');
    expect((await worker.line('engine.recovered'))['silence_ms']).toBeGreaterThan(Number(line['silence_ms']));
    await untilReady();
    expect((await answer('/health')).body).toMatchObject({ status: 'healthy' });
    expect(lastOf(await running.ended)).toMatchObject({ type: 'end', tokens_out: 480 });
    expect(lastOf(await waiting.ended)).toMatchObject({ type: 'end', tokens_out: 5 });
    expect(await (await worker.get('/metrics')).text()).toMatch(/^worker_engine_stalled 0$/m);
  });

  test('both requests are told in their streams and in the log, under their own ids', async () => {
    const { running, waiting, engine } = await stalled();
    const told: LogLine[] = [];
    for (const stream of [running, waiting]) {
      const { data } = await stream.untilNarrated('request.stalled');
      expect(data).toMatchObject({ level: 'WARN', silence_ms: expect.any(Number) });
      const id = stream.response.headers.get('x-correlation-id');
      expect(data['correlation_id']).toBe(id);
      told.push(await worker.line('request.stalled', (line) => line['correlation_id'] === id));
    }
    expect(told.map((line) => line['job_id'])).toEqual(['running', 'waiting']);
    process.kill(engine, 'SIGCONT');
    for (const stream of [running, waiting]) {
      await stream.untilNarrated('request.recovered');
      const events = await stream.ended;
      expect(endings(events)).toEqual([events.at(-1)]);
      const names = narrated(events).filter((name) => ['request.stalled', 'request.recovered'].includes(name));
      expect(names.slice(0, 2)).toEqual(['request.stalled', 'request.recovered']);
    }
  });

  test('an engine that stays silent is killed at --step-timeout, and the next one serves all requests', async () => {
    const { running, waiting } = await stalled('--step-timeout', '3');
    expect(lastOf(await running.ended)).toMatchObject({ type: 'end', tokens_out: 480 });
    await worker.line('engine.restarted');
    expect(lastOf(await waiting.ended)).toMatchObject({ type: 'end', tokens_out: 5 });
    await untilReady();
    const told = worker.lines.map(({ event }) => event);
    const [stall, loss] = [told.indexOf('engine.stalled'), told.indexOf('engine.lost')];
    expect(stall).toBeLessThan(loss);
    expect(told.slice(stall, loss)).not.toContain('engine.recovered');
    expect(narrated(running.events).filter((name) => /stalled|recovered|interrupted|resumed/.test(name))).toEqual([
      'request.stalled',
      'request.interrupted',
      'request.resumed',
    ]);
    expect(narrated(waiting.events)).toContain('request.requeued');
  });

  test('a worker that drains answers DRAINING', async () => {
    const { running, waiting, engine } = await stalled();
    expect((await worker.post('/shutdown', undefined)).status).toBe(202);
    await worker.line('worker.draining');
    expect((await answer('/ready')).body).toMatchObject({ error: { code: 'DRAINING' } });
    expect((await answer('/health')).body).toMatchObject({ status: 'draining' });
    process.kill(engine, 'SIGCONT');
    expect((await worker.line('engine.recovered')).human).not.toContain('accept');
    for (const stream of [running, waiting]) expect(lastOf(await stream.ended).type).toBe('end');
    expect(await worker.exited).toEqual({ code: 0, signal: null });
  });
});

test('an idle engine that does not answer is stalled too, and serves the next job when it answers', async () => {
  worker = await startWorker({ args: ['--stall-after', '1'] });
  const engine = enginePid(worker);
  process.kill(engine, 'SIGSTOP');
  expect(await worker.line('engine.stalled')).toMatchObject({ requests_running: 0, requests_waiting: 0 });
  expect((await answer('/ready')).body).toMatchObject({ error: { code: 'ENGINE_STALLED' } });
  process.kill(engine, 'SIGCONT');
  await worker.line('engine.recovered');
  await untilReady();
  const events = await worker.execute(longJob('after', short));
  expect(lastOf(events)).toMatchObject({ type: 'end', tokens_out: 5 });
  expect(enginePid(worker)).toBe(engine);
});

test('with --stall-after beyond --step-timeout, the silent engine is killed without a stall', async () => {
  worker = await startWorker({ args: ['--stall-after', '600', '--step-timeout', '1'] });
  process.kill(enginePid(worker), 'SIGSTOP');
  await worker.line('engine.restarted');
  expect(worker.lines.map(({ event }) => event)).not.toContain('engine.stalled');
  await untilReady();
});

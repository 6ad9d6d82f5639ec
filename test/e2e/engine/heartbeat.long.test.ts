/** The heartbeat tells an engine that hangs from one that loads, or whose worker pauses. */
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { enginePid, nextEnginePid } from '../../support/cli.ts';
import { eventually } from '../../support/eventually.ts';
import { endings, lastOf, longJob } from '../../support/listener.ts';
import { isAlive } from '../../support/processes.ts';
import { stopped } from '../../support/stopped-engine.ts';
import { startWorker, type TestWorker } from '../../support/worker.ts';

const events = (worker: TestWorker): string[] => worker.lines.map((line) => line.event);

describe.concurrent('the heartbeat', () => {
  test('replaces an idle engine that does not answer', async () => {
    const worker = await startWorker({ args: ['--step-timeout', '1'] });
    const engine = enginePid(worker);
    process.kill(engine, 'SIGSTOP');
    expect(await worker.line('engine.lost')).toMatchObject({ reason: 'no step for 1 s', requests_running: 0 });
    await worker.line('engine.restarted');
    expect(enginePid(worker)).not.toBe(engine);
  });

  test('does not count the time in which a model loads', async () => {
    const worker = await startWorker({ args: ['--step-timeout', '2', '--stall-after', '1'], early: true });
    const engine = await nextEnginePid(worker, -1);
    process.kill(engine, 'SIGSTOP');
    await sleep(3500);
    process.kill(engine, 'SIGCONT');
    await worker.line('warmup.done');
    expect(enginePid(worker)).toBe(engine);
    expect(events(worker)).not.toContain('engine.lost');
    expect(events(worker).slice(0, events(worker).indexOf('warmup.done'))).not.toContain('engine.stalled');
  });

  test('does not blame the engine for a pause of the whole worker', async () => {
    const worker = await startWorker({ args: ['--step-timeout', '2', '--stall-after', '2'] });
    const engine = enginePid(worker);
    worker.process.kill('SIGSTOP');
    await sleep(4500);
    worker.process.kill('SIGCONT');
    expect(lastOf(await worker.execute(longJob('after'))).type).toBe('end');
    expect(enginePid(worker)).toBe(engine);
    expect(events(worker)).not.toContain('engine.lost');
    expect(events(worker)).not.toContain('engine.stalled');
  });

  test('has its age in /live: low while the engine answers, rising while it does not; /live stays 200', async () => {
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
    const { worker, stream, engine } = await stopped('--shutdown-timeout', '4');
    worker.process.kill('SIGTERM');
    const all = await stream.ended;
    expect(endings(all)).toEqual([all.at(-1)]);
    expect(lastOf(all)).toMatchObject({ type: 'error', code: 'DRAINING', retriable: true });
    expect(await worker.exited).toEqual({ code: 0, signal: null });
    expect(worker.lines.at(-1)?.event).toBe('server.shutdown');
    expect(isAlive(engine)).toBe(false);
  });
});

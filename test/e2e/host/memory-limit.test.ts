/**
 * A worker in a control group with little memory: the plan respects the limit, and a kill by the kernel is
 * distinguished from a kill by an operator. Needs root, to make a real group.
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { enginePid, nextEnginePid, runCli } from '../../support/cli.ts';
import { Halt } from '../../support/halt.ts';
import { Listener, lastOf, longJob } from '../../support/listener.ts';
import { canBindMounts, canLimitMemory, MemoryGroup } from '../../support/memory-group.ts';
import { killAll, track } from '../../support/processes.ts';
import { startWorker, type TestWorker } from '../../support/worker.ts';

const REMEDY = /^raise the memory limit, or use less --cache-memory, fewer --slots or smaller weights \(--dtype\): /;
const KILLED = 'the kernel killed the engine for lack of memory: out_of_memory (signal SIGKILL)';

let group: MemoryGroup;
const pidOf = (worker: TestWorker): number => Number(worker.process.pid);

describe.runIf(canLimitMemory())('a control group with a limit of memory', () => {
  beforeEach(() => {
    group = new MemoryGroup(400);
  });
  afterEach(async () => {
    await killAll();
    await group.remove();
  });

  const start = (): Promise<TestWorker> => startWorker({ launcher: group.launcher, args: ['--slots', '2'] });

  /** Uses the memory of the group up until the kernel kills the engine. */
  const killEngine = (worker: TestWorker): Promise<void> => group.kill(enginePid(worker), pidOf(worker));

  test('above the own group limits the plan', async () => {
    const worker = await start();
    const plan = await worker.line('memory.expected');
    expect(Number(plan['available_bytes'])).toBeLessThan(400 * 2 ** 20);
    expect(await worker.stop()).toBe(0);
    group.limit(250);
    const args = ['--slots', '256', '--cache-memory', '240', '--port', '0'];
    const { code, stdout } = await runCli(args, { launcher: group.launcher });
    const refused = /"model.load_failed".*use --cache-memory \d+: the model needs/;
    expect([code, stdout]).toEqual([1, expect.stringMatching(refused)]);
  });

  test.runIf(canBindMounts())(
    'of a container leaves the memory that workers of another container reserve',
    async () => {
      const folder = mkdtempSync(join(tmpdir(), 'containers-'));
      const other = new MemoryGroup(400);
      try {
        const workers: TestWorker[] = [];
        // Each plans more than half of its limit.
        for (const { container } of [group, other])
          workers.push(
            await startWorker({
              launcher: container,
              args: ['--slots', '200', '--context', '512', '--cache-memory', '200'],
              env: { TMPDIR: folder },
            }),
          );
        const [first, second] = await Promise.all(workers.map((worker) => worker.line('memory.expected')));
        expect(first).not.toHaveProperty('other_workers');
        expect(second).toMatchObject({ other_workers: 1 });
        for (const worker of workers) expect(await worker.stop()).toBe(0);
      } finally {
        await killAll();
        await other.remove();
        rmSync(folder, { recursive: true });
      }
    },
  );

  test('an engine that the kernel kills while it runs is out_of_memory', async () => {
    const worker = await start();
    const stream = await Listener.open(worker, longJob('running'));
    await stream.untilToken();
    process.kill(enginePid(worker), 'SIGSTOP'); // The job must not end before the kill.
    await killEngine(worker);
    const events = await stream.ended;
    expect(lastOf(events)).toMatchObject({ type: 'end', tokens_out: 480 });
    const lost = await worker.line('engine.lost');
    expect(lost).toMatchObject({ level: 'ERROR', error_kind: 'out_of_memory', signal: 'SIGKILL' });
    expect(lost['reason']).toMatch(REMEDY);
    expect(lost['reason']).toContain(KILLED);
    const told = worker.lines.find(({ event }) => event === 'request.interrupted');
    expect(told?.['reason']).toBe('out_of_memory (signal SIGKILL)');
    await worker.line('engine.restarted');

    // The kill of the kernel explains no later kill.
    process.kill(enginePid(worker), 'SIGKILL');
    const second = await worker.line('engine.lost', (line) => line !== lost);
    expect(second).toMatchObject({ error_kind: 'engine_lost', reason: 'signal SIGKILL' });
    await worker.line('engine.restarted', (line) => line['restarts'] === 2);
    expect(await worker.stop()).toBe(0);
  });

  test('a kill of another process by the kernel explains no later kill of the engine by an operator', async () => {
    const worker = await start();
    const [command = '', ...rest] = [...group.launcher, 'sleep', '600'];
    const bystander = track(spawn(command, rest, { stdio: 'ignore' }));
    await group.kill(bystander.pid ?? 0, pidOf(worker));
    // The engine is idle: each of its messages is a sign of life.
    let [signs, last] = [0, 0];
    while (signs < 3) {
      const live = (await (await worker.get('/live')).json()) as { engine_heartbeat_age_ms: number };
      if (live.engine_heartbeat_age_ms < last) signs += 1;
      last = live.engine_heartbeat_age_ms;
      await sleep(50);
    }
    process.kill(enginePid(worker), 'SIGKILL');
    expect(await worker.line('engine.lost')).toMatchObject({ error_kind: 'engine_lost', reason: 'signal SIGKILL' });
    await worker.line('engine.restarted');
    expect(await worker.stop()).toBe(0);
  });

  test('three kills end the worker with out_of_memory', async () => {
    const worker = await start();
    for (let loss = 1; loss <= 3; loss += 1) {
      await killEngine(worker);
      if (loss < 3) await worker.line('engine.restarted', (line) => line['restarts'] === loss);
    }
    expect(await worker.exited).toEqual({ code: 1, signal: null });
    const failed = worker.lines.find(({ event }) => event === 'worker.failed');
    expect(failed).toMatchObject({ level: 'FATAL', error_kind: 'out_of_memory' });
    expect(failed?.human).toContain('raise the memory limit');
    expect(failed?.['reason']).toContain(KILLED);
  });

  test('an engine that the kernel kills during the load is out_of_memory', async () => {
    const halt = new Halt();
    halt.arm();
    const worker = await startWorker({ launcher: group.launcher, env: halt.env, early: true });
    await group.kill(await nextEnginePid(worker, -1));
    expect(await worker.exited).toEqual({ code: 1, signal: null });
    const failed = worker.lines.find(({ event }) => event === 'model.load_failed');
    expect(failed).toMatchObject({ level: 'FATAL', error_kind: 'out_of_memory' });
    expect(failed?.['reason']).toMatch(REMEDY);
    expect(failed?.['reason']).toContain(KILLED);
    halt.remove();
  });
});

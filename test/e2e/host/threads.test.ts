/** Threads of the engine: a real affinity mask, a real control group, and --threads. */
import { existsSync, mkdirSync, rmdirSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { enginePid, runCli } from '../../support/cli.ts';
import { killAll } from '../../support/processes.ts';
import { startWorker } from '../../support/worker.ts';

afterEach(killAll);

interface Threads {
  readonly used: object;
  readonly auto: object;
}

/** The threads in the report of `doctor`, run by a launcher. */
async function examinedThreads(launcher: readonly string[], args: readonly string[] = []): Promise<Threads> {
  const { stdout } = await runCli(['doctor', '--json', '--device', 'cpu', ...args], { launcher });
  return (JSON.parse(stdout) as { threads: Threads }).threads;
}

describe('--threads', () => {
  test('sets the number, which the worker and doctor report', async () => {
    const worker = await startWorker({ args: ['--threads', '3'] });
    const warm = await worker.line('warmup.done');
    expect(warm).toMatchObject({ threads: 3, threads_reason: 'setting' });
    expect(warm.human).toContain('3 threads (--threads)');
    expect(await worker.stop()).toBe(0);
    const { used } = await examinedThreads([], ['--threads', '3']);
    expect(used).toEqual({ count: 3, reason: 'setting' });
  });

  test('auto gives a small model one thread', async () => {
    const worker = await startWorker({ env: { RBEES_THREADS: 'auto' } });
    expect(await worker.line('warmup.done')).toMatchObject({ threads: 1, threads_reason: 'small_model' });
    expect(enginePid(worker)).toBeGreaterThan(0);
    expect(await worker.stop()).toBe(0);
  });

  test.each(['0', '1025', '1.5', 'all'])('%s is refused with the allowed values', async (value) => {
    const { code, stderr } = await runCli(['serve', '--threads', value]);
    expect(code).toBe(2);
    expect(stderr).toContain(`--threads: "${value}" is not allowed; allowed: auto, or 1 to 1024`);
  });
});

describe.runIf(existsSync('/usr/bin/taskset') && cpus().length > 1)('an affinity mask', () => {
  test('of one core gives one thread', async () => {
    const { auto } = await examinedThreads(['taskset', '-c', '0']);
    expect(auto).toEqual({ count: 1, reason: 'affinity' });
  });
});

/** A new control group for half a core; undefined if this system does not allow one. */
function newGroup(): string | undefined {
  // Version 2 has no folder for each controller, and `mkdir` would make a group with this name.
  for (const root of ['/sys/fs/cgroup/cpu', '/sys/fs/cgroup'].filter((folder) => existsSync(folder))) {
    const group = join(root, `rbees-test-${process.pid}`);
    try {
      mkdirSync(join(group, 'inner'), { recursive: true });
      if (existsSync(join(group, 'cpu.max'))) writeFileSync(join(group, 'cpu.max'), '50000 100000');
      else writeFileSync(join(group, 'cpu.cfs_quota_us'), '50000');
      return group;
    } catch {
      removeGroup(group);
    }
  }
  return undefined;
}

function removeGroup(group: string): void {
  for (const folder of [join(group, 'inner'), group]) {
    try {
      rmdirSync(folder);
    } catch {
      // It was not made.
    }
  }
}

/** True if this system allows a control group with a quota. */
function canLimit(): boolean {
  const group = newGroup();
  if (group !== undefined) removeGroup(group);
  return group !== undefined;
}

describe.runIf(process.getuid?.() === 0 && cpus().length > 1 && canLimit())('a quota of half a core', () => {
  test('on the group above gives one thread', async () => {
    const group = newGroup() ?? '';
    try {
      const join = ['sh', '-c', `echo $$ >"${group}/inner/cgroup.procs" && exec "$@"`, 'sh'];
      const { auto } = await examinedThreads(join);
      expect(auto).toEqual({ count: 1, reason: 'cpu_quota', cpuQuota: 0.5 });
    } finally {
      removeGroup(group);
    }
  });
});

/** The lock of a repository: one holder at a time, stale locks, and what a waiting pull reports. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeEach, describe, expect, test } from 'vitest';
import { LOCK_TIMES, type LockHolder, withLock } from '../../../src/model/hub/lock.ts';
import { track } from '../../support/processes.ts';

const quick = { ...LOCK_TIMES, pollMs: 5, reportMs: 20 };

let folder: string;
let lock: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'lock-'));
  lock = join(folder, 'pull.lock');
});

const never = (holder: LockHolder): void => {
  throw new Error(`waits for ${JSON.stringify(holder)}`);
};
const work = async (): Promise<string> => 'done';

/** Writes a lock file with a time, in seconds from now. */
async function plant(content: string, seconds = 0, file = lock): Promise<void> {
  await writeFile(file, content);
  const time = new Date(Date.now() + seconds * 1000);
  await utimes(file, time, time);
}

describe('a stale lock', () => {
  test.each([
    ['a dead process', `4194305 on ${hostname()}`, 0],
    ['a dead process that states its start', `4194305 on ${hostname()} since 2026-01-01T00:00:00.000Z`, 0],
    ['another machine that has not updated it for two minutes', '1 on elsewhere', -120],
    ['another machine, with a time two minutes in the future', '1 on elsewhere', 120],
    ['nobody, with a time in ten years', 'any text', 10 * 365 * 86_400],
  ])('of %s is ignored and removed', async (_, content, seconds) => {
    await plant(content, seconds);
    expect(await withLock(lock, never, work, quick)).toBe('done');
    expect(await readdir(folder)).toEqual([]);
  });

  test.runIf(process.platform !== 'win32')('that is a link, a pipe or a folder holds nothing', async () => {
    await symlink('/etc/passwd', lock);
    execFileSync('mkfifo', [join(folder, 'pull.00000000-0000-0000-0000-000000000000.lock')]);
    await mkdir(join(folder, 'pull.00000000-0000-0000-0000-000000000001.lock'));
    expect(await withLock(lock, never, work, quick)).toBe('done');
  });
});

describe('a live lock', () => {
  test.each([
    ['of another machine', '1 on elsewhere', 0, '1 on elsewhere'],
    ['with a clock that is half a minute ahead', '1 on elsewhere', 30, '1 on elsewhere'],
    ['of a process of this machine', `${process.pid} on ${hostname()}`, 0, `${process.pid} on ${hostname()}`],
    ['of unknown content', '\u001b[2Jevil on \u001b[31m', 0, undefined],
  ])('%s is reported more than once while a pull waits for it', async (_, content, seconds, holder) => {
    await plant(content, seconds);
    const reports: LockHolder[] = [];
    const onWait = (one: LockHolder): void => {
      reports.push(one);
      if (reports.length === 3) void rm(lock);
    };
    expect(await withLock(lock, onWait, work, quick)).toBe('done');
    expect(reports).toEqual(Array(3).fill({ file: lock, process: holder, heldMs: undefined }));
  });

  test('states how long the process has it', async () => {
    await plant(`1 on elsewhere since ${new Date(Date.now() - 90_000).toISOString()}`);
    const holder = await new Promise<LockHolder>((resolve) => {
      const onWait = (one: LockHolder): void => void rm(lock).then(() => resolve(one));
      void withLock(lock, onWait, work, quick);
    });
    expect(holder).toMatchObject({ file: lock, process: '1 on elsewhere' });
    expect(holder.heldMs).toBeGreaterThanOrEqual(90_000);
  });

  test('ends with the work, also if the work fails', async () => {
    const failing = withLock(lock, never, () => Promise.reject(new Error('no')), quick);
    await expect(failing).rejects.toThrow('no');
    expect(await readdir(folder)).toEqual([]);
  });
});

describe('one pull works at a time', () => {
  test('of many that find a stale lock at the same moment', async () => {
    for (let round = 0; round < 20; round++) {
      await plant('1 on elsewhere', round % 2 === 0 ? -120 : 120);
      let [inside, most, done] = [0, 0, 0];
      const one = (): Promise<void> =>
        withLock(
          lock,
          () => undefined,
          async () => {
            inside += 1;
            most = Math.max(most, inside);
            await new Promise((resolve) => setImmediate(resolve));
            inside -= 1;
            done += 1;
          },
          { ...quick, pollMs: 1 },
        );
      await Promise.all(Array.from({ length: 8 }, one));
      expect([most, done]).toEqual([1, 8]);
    }
    expect(await readdir(folder)).toEqual([]);
  });

  test('of several processes, after a stale lock', async () => {
    const module = fileURLToPath(new URL('../../../dist/model/hub/lock.js', import.meta.url));
    // Inside the lock, a file must not exist yet: two at once would fail to create it.
    const script = `
      const { withLock, LOCK_TIMES } = await import(${JSON.stringify(module)});
      const { open, rm } = await import('node:fs/promises');
      for (let i = 0; i < 15; i++)
        await withLock(process.argv[1], () => undefined, async () => {
          await (await open(process.argv[1] + '.inside', 'wx')).close();
          await new Promise((resolve) => setTimeout(resolve, 1));
          await rm(process.argv[1] + '.inside');
        }, { ...LOCK_TIMES, pollMs: 2 });`;
    await plant('1 on elsewhere', -120);
    const children = Array.from(
      { length: 4 },
      (): ChildProcess =>
        track(
          spawn(process.execPath, ['--input-type=module', '-e', script, lock], {
            stdio: ['ignore', 'ignore', 'inherit'],
          }),
        ),
    );
    const codes = await Promise.all(children.map(async (child) => (await once(child, 'exit'))[0]));
    expect(codes).toEqual([0, 0, 0, 0]);
    expect([existsSync(lock), await readdir(folder)]).toEqual([false, []]);
  });
});

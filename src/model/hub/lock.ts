/**
 * Lets one pull at a time write to a repository's folder. Node has no lock that the kernel releases when a
 * process dies. Each pull creates a lock file with a unique name. It holds the lock if it then finds no other
 * live lock file. Two pulls cannot both find none, because the later one
 * looks after both files exist. A stale lock file is ignored and removed; its name is never used again, so a
 * process that removes it late cannot remove the lock of another process.
 */
import { constants } from 'node:fs';
import { lstat, open, readdir, rm, utimes, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { v4 as uuid } from 'uuid';

/** Times in milliseconds. */
export interface LockTimes {
  /** The holder updates the time of its file this often. */
  readonly refreshMs: number;
  /** A lock is stale if its time is older than this. */
  readonly staleMs: number;
  /** A lock is stale if its time is later than now by more than this. */
  readonly skewMs: number;
  readonly pollMs: number;
  /** A waiting pull reports the holder this often. */
  readonly reportMs: number;
}

export const LOCK_TIMES: LockTimes = {
  refreshMs: 10_000,
  staleMs: 60_000,
  skewMs: 60_000,
  pollMs: 300,
  reportMs: 30_000,
};
/** Bytes of a lock file that are read. */
const MAX_LOCK_BYTES = 512;
const CONTENT = /^(\d{1,10}) on ([\w.-]{1,255})(?: since (\d{4}-\d\d-\d\dT[\d:.]{8,12}Z))?$/;

/** Another pull that holds the lock, or is about to. */
export interface LockHolder {
  /** Path of its lock file. */
  readonly file: string;
  /** `1234 on host`; undefined if the file does not state it. */
  readonly process: string | undefined;
  /** How long the process has had its lock file; undefined if the file does not state it. */
  readonly heldMs: number | undefined;
}

/** Called while another process holds the lock: after the first wait, and every `reportMs`. */
export type OnWait = (holder: LockHolder) => void;

/**
 * Runs `work` while holding the lock.
 * @param path path of the lock, with the extension .lock: the lock files are beside it.
 * @throws errors of `work` and of the file system.
 */
export async function withLock<T>(
  path: string,
  onWait: OnWait,
  work: () => Promise<T>,
  times = LOCK_TIMES,
): Promise<T> {
  const mine = join(dirname(path), `${basename(path, '.lock')}.${uuid()}.lock`);
  const refresh = setInterval(() => void utimes(mine, new Date(), new Date()).catch(() => undefined), times.refreshMs);
  try {
    await acquire(mine, path, onWait, times);
    return await work();
  } finally {
    clearInterval(refresh);
    await rm(mine, { force: true });
  }
}

async function acquire(mine: string, path: string, onWait: OnWait, times: LockTimes): Promise<void> {
  let exists = false;
  let reportAt = performance.now() + times.pollMs;
  for (;;) {
    const [holder, ...more] = await othersThan(mine, path, times);
    if (holder === undefined) {
      if (exists) return;
      await writeFile(mine, `${process.pid} on ${hostname()} since ${new Date().toISOString()}`, { flag: 'wx' });
      exists = true;
      continue;
    }
    // If two pulls create their files at the same time, the file whose name sorts first stays.
    if (exists && [holder, ...more].some(({ file }) => file < mine)) {
      await rm(mine, { force: true });
      exists = false;
    }
    if (performance.now() >= reportAt) {
      onWait(holder);
      reportAt = performance.now() + times.reportMs;
    }
    await sleep(times.pollMs);
  }
}

/** The live lock files of other pulls, the oldest first. Removes stale ones. */
async function othersThan(mine: string, path: string, times: LockTimes): Promise<LockHolder[]> {
  const folder = dirname(path);
  const name = basename(path, '.lock');
  const holders: LockHolder[] = [];
  for (const entry of await readdir(folder)) {
    const file = join(folder, entry);
    const middle = entry.startsWith(name) && entry.endsWith('.lock') ? entry.slice(name.length, -'.lock'.length) : 'x';
    if (file === mine || !/^(?:\.[0-9a-f-]{36})?$/.test(middle)) continue;
    const holder = await readLock(file, times);
    if (holder === 'stale') await rm(file, { force: true }).catch(() => undefined);
    else if (holder !== undefined) holders.push(holder);
  }
  return holders.sort((a, b) => (b.heldMs ?? 0) - (a.heldMs ?? 0));
}

/** Undefined for a file that is gone, and for a link, a pipe or a folder, which no pull creates. */
async function readLock(file: string, times: LockTimes): Promise<LockHolder | 'stale' | undefined> {
  const stats = await lstat(file).catch(() => undefined);
  if (stats?.isFile() !== true) return undefined;
  const [, pid, host, since] = CONTENT.exec(await textOf(file)) ?? [];
  const age = Date.now() - stats.mtimeMs;
  const isDead = pid !== undefined && host === hostname() && !isAlive(Number(pid));
  if (isDead || age > times.staleMs || age < -times.skewMs) return 'stale';
  const began = since === undefined ? Number.NaN : Date.parse(since);
  return {
    file,
    process: pid === undefined ? undefined : `${pid} on ${host}`,
    heldMs: Number.isNaN(began) ? undefined : Math.max(0, Date.now() - began),
  };
}

/** The first bytes of a regular file; empty if the file cannot be read. */
async function textOf(file: string): Promise<string> {
  const flags = constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0);
  const handle = await open(file, flags).catch(() => undefined);
  if (handle === undefined) return '';
  try {
    const { bytesRead, buffer } = await handle.read(Buffer.alloc(MAX_LOCK_BYTES), 0, MAX_LOCK_BYTES, 0);
    return buffer.toString('utf8', 0, bytesRead);
  } catch {
    return '';
  } finally {
    await handle.close();
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH';
  }
}

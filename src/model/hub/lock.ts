/**
 * Lets one pull at a time write to a repository's folder, with a lock file that names the process that holds
 * the lock. Node has no lock that the kernel releases when a process dies. The holder therefore updates the
 * file's time regularly; a lock is stale if its holder is dead or has stopped updating.
 */
import { open, readFile, rm, stat, utimes } from 'node:fs/promises';
import { hostname } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';

const REFRESH_MS = 10_000;
const STALE_MS = 60_000;
const POLL_MS = 300;

/**
 * Runs `work` while holding the lock. Waits while another process holds it, and calls `onWait` once.
 * @throws errors of `work` and of the file system.
 */
export async function withLock<T>(path: string, onWait: (holder: string) => void, work: () => Promise<T>): Promise<T> {
  for (let reported = false; !(await acquire(path)); reported = true) {
    const holder = await readFile(path, 'utf8').catch(() => '');
    if (await isStale(path, holder)) {
      await rm(path, { force: true });
      continue;
    }
    if (!reported) onWait(holder);
    await sleep(POLL_MS);
  }
  const refresh = setInterval(() => void utimes(path, new Date(), new Date()).catch(() => undefined), REFRESH_MS);
  try {
    return await work();
  } finally {
    clearInterval(refresh);
    await rm(path, { force: true });
  }
}

async function acquire(path: string): Promise<boolean> {
  try {
    const file = await open(path, 'wx');
    await file.writeFile(`${process.pid} on ${hostname()}`);
    await file.close();
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

async function isStale(path: string, holder: string): Promise<boolean> {
  const [, pid, host] = /^(\d{1,10}) on (.+)$/.exec(holder) ?? [];
  if (host === hostname() && !isAlive(Number(pid))) return true;
  const stats = await stat(path).catch(() => undefined);
  return stats !== undefined && Date.now() - stats.mtimeMs > STALE_MS;
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH';
  }
}

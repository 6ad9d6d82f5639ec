/** Real control groups with a limit of memory, and processes that use it up. For tests as root on Linux. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { track } from './processes.ts';

const MIB = 2 ** 20;
/** Version 1 first: a system with both versions limits memory there. */
const ROOTS = ['/sys/fs/cgroup/memory', '/sys/fs/cgroup'];

/** A control group with a limit, and a group inside that has none: the limit is above the processes. */
export class MemoryGroup {
  readonly folder: string;
  readonly #isVersion1: boolean;

  /** @throws Error if this system does not allow a group with a limit. */
  constructor(mebibytes: number) {
    const root = ROOTS.find((folder) => existsSync(folder)) ?? '';
    this.folder = join(root, `rbees-memory-${process.pid}-${Math.random().toString(36).slice(2)}`);
    mkdirSync(this.folder);
    this.#isVersion1 = existsSync(join(this.folder, 'memory.limit_in_bytes'));
    try {
      this.limit(mebibytes);
      if (!this.#isVersion1) writeFileSync(join(this.folder, 'cgroup.subtree_control'), '+memory');
      mkdirSync(join(this.folder, 'inner'));
    } catch (error) {
      rmdirSync(this.folder);
      throw error;
    }
  }

  limit(mebibytes: number): void {
    const name = this.#isVersion1 ? 'memory.limit_in_bytes' : 'memory.max';
    writeFileSync(join(this.folder, name), String(mebibytes * MIB));
  }

  /** Starts the rest of its arguments in the inner group. */
  get launcher(): readonly string[] {
    return ['sh', '-c', `echo $$ >"${this.folder}/inner/cgroup.procs" && exec "$@"`, 'sh'];
  }

  /**
   * Starts the rest of its arguments in the inner group, as in a container: the group is at the place of the
   * root of all groups.
   */
  get container(): readonly string[] {
    const root = dirname(this.folder);
    const enter = `mount --bind "${this.folder}" "${root}" && echo $$ >"${root}/inner/cgroup.procs" && exec "$@"`;
    return ['unshare', '--mount', 'sh', '-c', enter, 'sh'];
  }

  /**
   * Uses the memory of the group up, until the kernel kills `victim`, which it prefers to all other processes
   * of the group.
   * @param worker is suspended meanwhile. If it started its next engine before the memory is free again, the
   * kernel would kill this engine or the worker, too. Absent: a worker that starts no further engine
   */
  async kill(victim: number, worker?: number): Promise<void> {
    writeFileSync(`/proc/${victim}/oom_score_adj`, '1000');
    const [command = '', ...rest] = this.launcher;
    // Ends with its victim, which stays a zombie while its parent is suspended.
    const code = `
      const kept = [];
      const lives = () => {
        try {
          return !require('node:fs').readFileSync('/proc/${victim}/stat', 'latin1').includes(') Z ');
        } catch {
          return false;
        }
      };
      setInterval(() => (lives() ? kept.push(Buffer.alloc(4 * 2 ** 20, 1)) : process.exit()), 1);`;
    if (worker !== undefined) process.kill(worker, 'SIGSTOP');
    try {
      const hog = track(spawn(command, [...rest, process.execPath, '-e', code], { stdio: 'ignore' }));
      await once(hog, 'exit');
    } finally {
      if (worker !== undefined) process.kill(worker, 'SIGCONT');
    }
  }

  /** Removes the group. Waits for the end of its processes. @throws Error if they do not end in a minute. */
  async remove(): Promise<void> {
    const end = performance.now() + 60_000;
    for (const folder of [join(this.folder, 'inner'), this.folder]) {
      while (readFileSync(join(folder, 'cgroup.procs'), 'utf8') !== '') {
        if (performance.now() > end) throw new Error(`${folder} still has processes.`);
        await sleep(5);
      }
      rmdirSync(folder);
    }
  }
}

/** True if this system allows such groups. */
export function canLimitMemory(): boolean {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return false;
  try {
    const group = new MemoryGroup(64);
    rmdirSync(join(group.folder, 'inner'));
    rmdirSync(group.folder);
    return true;
  } catch {
    return false;
  }
}

/** True if this system allows a namespace with mounts of its own. */
export const canBindMounts = (): boolean =>
  spawnSync('unshare', ['--mount', 'mount', '--bind', '/tmp', '/tmp']).status === 0;

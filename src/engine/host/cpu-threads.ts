/**
 * The number of threads that this process may keep busy: the cores of its affinity mask, and fewer if a
 * control group limits its processor time. More threads than the quota allows would make each run wait until
 * the next period (100 ms). Reads files of /proc and /sys.
 */
import { availableParallelism, cpus } from 'node:os';
import { type ControlGroup, controlGroups, type ReadText, readText } from '../../protocol/host/control-groups.ts';
import type { ThreadCount } from '../../protocol/threads.ts';

/** The cores of the machine, and those that the affinity mask of this process allows. */
export interface Cores {
  readonly all: number;
  readonly allowed: number;
}

/**
 * Threads for a model that uses all of them. A fraction of a core counts as a whole one.
 * @param cores replaced by tests
 * @param read reads a file of the system; replaced by tests
 */
export function usableThreads(cores: Cores = coresOf(), read: ReadText = readText): ThreadCount {
  const { all, allowed } = cores;
  const quota = cpuQuota(read);
  if (quota !== undefined && Math.ceil(quota) < allowed)
    return { count: Math.max(1, Math.ceil(quota)), reason: 'cpu_quota', cpuQuota: quota };
  return { count: allowed, reason: allowed < all ? 'affinity' : 'cores' };
}

/**
 * Cores by the mask that the kernel reports. `availableParallelism` is only for other systems, because from
 * libuv 1.49 on it rounds a quota down.
 */
function coresOf(read: ReadText = readText): Cores {
  const all = Math.max(1, cpus().length);
  const mask = /^Cpus_allowed:\s*([0-9a-f,]+)$/m.exec(read('/proc/self/status'))?.[1] ?? '';
  const allowed = mask
    .replaceAll(',', '')
    .split('')
    .reduce((sum, digit) => sum + bitsOf(Number.parseInt(digit, 16)), 0);
  // The mask may contain cores that are switched off.
  return { all, allowed: allowed === 0 ? availableParallelism() : Math.min(allowed, all) };
}

const bitsOf = (value: number): number => value.toString(2).replaceAll('0', '').length;

/** Cores whose time the control groups give to this process, such as 1.5; undefined without a limit. */
export function cpuQuota(read: ReadText = readText): number | undefined {
  const quotas = controlGroups('cpu', read).flatMap((group) => quotaOf(group, read) ?? []);
  return quotas.length === 0 ? undefined : Math.min(...quotas);
}

/** Time in each period, divided by the period. `max` (version 2) and -1 (version 1) mean no limit. */
function quotaOf({ version, folder }: ControlGroup, read: ReadText): number | undefined {
  const [time, period] =
    version === 2
      ? read(`${folder}/cpu.max`).trim().split(/\s+/)
      : ['cpu.cfs_quota_us', 'cpu.cfs_period_us'].map((name) => read(`${folder}/${name}`).trim());
  if (!isCount(time) || !isCount(period)) return undefined;
  return Number(time) / Number(period);
}

const isCount = (text: string | undefined): boolean => /^[1-9]\d{0,14}$/.test(text ?? '');

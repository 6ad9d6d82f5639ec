/**
 * The host memory that a process may still allocate. The system's page cache counts as free: it contains the
 * weights that the engine has just read, and they must not make the model appear too large. Reads files of
 * /proc and /sys.
 */
import { freemem } from 'node:os';
import { addressSpaceLimitIn } from '../../protocol/address-space.ts';
import {
  type ControlGroup,
  controlGroups,
  groupId,
  type ReadText,
  readText,
} from '../../protocol/host/control-groups.ts';
import { countIn, fieldIn, limitOfGroup } from '../../protocol/host/memory-limit.ts';

/** The files of a control group by version. */
const FILES = {
  1: { used: 'memory.usage_in_bytes', cached: ['total_inactive_file', 'total_active_file'] },
  2: { used: 'memory.current', cached: ['inactive_file', 'active_file'] },
} as const;

/** Memory that counts as free, although a process has planned it. */
export interface HeldMemory {
  readonly bytes: number;
  /** Ids of the control groups that contain the process. */
  readonly groups: readonly string[];
}

/**
 * Free host memory in bytes; undefined if the system does not report it. macOS counts as free only memory
 * that was not used since its start, so its number is not used.
 * @param held memory of other processes, which does not count as free
 * @param platform replaced by tests
 * @param read reads a file of the system; replaced by tests.
 */
export function hostFreeBytes(
  held: readonly HeldMemory[] = [],
  platform: string = process.platform,
  read: ReadText = readText,
): number | undefined {
  if (platform === 'win32') return freemem();
  if (platform !== 'linux') return undefined;
  const available = /^MemAvailable:\s+(\d+) kB$/m.exec(read('/proc/meminfo'))?.[1];
  if (available === undefined) return undefined;
  const heldIn = (id: string): number => sumOf(held.filter(({ groups }) => groups.includes(id)));
  return Math.max(
    0,
    Math.min(
      Number(available) * 1024 - sumOf(held),
      leftInAddressSpace(read),
      ...controlGroups('memory', read).map((group) => leftInGroup(group, read) - heldIn(groupId(group))),
    ),
  );
}

/**
 * True if the system counts address space as memory: its size is limited (`ulimit -v`), or the system refuses
 * more than it can back (`vm.overcommit_memory=2`).
 * @param read reads a file of the system; replaced by tests
 */
export const countsAddressSpace = (read: ReadText = readText): boolean =>
  addressSpaceLimitIn(read('/proc/self/limits')) !== undefined ||
  read('/proc/sys/vm/overcommit_memory').trim() === NEVER_OVERCOMMIT;

const NEVER_OVERCOMMIT = '2';

const sumOf = (held: readonly HeldMemory[]): number => held.reduce((sum, { bytes }) => sum + bytes, 0);

/** Bytes that the limit of the address space (`ulimit -v`) leaves; infinite without a limit. */
function leftInAddressSpace(read: ReadText): number {
  const limit = addressSpaceLimitIn(read('/proc/self/limits'));
  const size = /^VmSize:\s+(\d+) kB$/m.exec(read('/proc/self/status'))?.[1];
  return limit === undefined || size === undefined
    ? Number.POSITIVE_INFINITY
    : Math.max(0, limit - Number(size) * 1024);
}

/**
 * Bytes that the limits of a control group leave; infinite without a limit. Memory of the page cache counts
 * as free, as it does in `MemAvailable`: the kernel drops it before it refuses memory to the group.
 */
function leftInGroup(group: ControlGroup, read: ReadText): number {
  const { used, cached } = FILES[group.version];
  const now = countIn(read(`${group.folder}/${used}`));
  const stat = read(`${group.folder}/memory.stat`);
  const lowest = limitOfGroup(group, stat, read);
  if (now === undefined || !Number.isFinite(lowest)) return Number.POSITIVE_INFINITY;
  const free = cached.reduce((sum, name) => sum + (fieldIn(stat, name) ?? 0), 0);
  return Math.max(0, lowest - now + free);
}

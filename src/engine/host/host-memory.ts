/**
 * The host memory that a process may still allocate. The system's page cache counts as free: it contains the
 * weights that the engine has just read, and they must not make the model appear too large. Reads files of
 * /proc and /sys.
 */
import { freemem } from 'node:os';
import { addressSpaceLimitIn } from '../../protocol/address-space.ts';
import { type ControlGroup, controlGroups, type ReadText, readText } from '../../protocol/host/control-groups.ts';

/** The files of a control group by version. */
const FILES = {
  1: {
    limit: 'memory.limit_in_bytes',
    used: 'memory.usage_in_bytes',
    cached: ['total_inactive_file', 'total_active_file'],
  },
  2: { limit: 'memory.max', used: 'memory.current', cached: ['inactive_file', 'active_file'] },
} as const;

/**
 * Free host memory in bytes; undefined if the system does not report it. macOS counts as free only memory
 * that was not used since its start, so its number is not used.
 * @param read reads a file of the system; replaced by tests.
 */
export function hostFreeBytes(platform: string = process.platform, read: ReadText = readText): number | undefined {
  if (platform === 'win32') return freemem();
  if (platform !== 'linux') return undefined;
  const available = /^MemAvailable:\s+(\d+) kB$/m.exec(read('/proc/meminfo'))?.[1];
  if (available === undefined) return undefined;
  return Math.min(
    Number(available) * 1024,
    leftInAddressSpace(read),
    ...controlGroups('memory', read).map((group) => leftInGroup(group, read)),
  );
}

/** Bytes that the limit of the address space (`ulimit -v`) leaves; infinite without a limit. */
function leftInAddressSpace(read: ReadText): number {
  const limit = addressSpaceLimitIn(read('/proc/self/limits'));
  const size = /^VmSize:\s+(\d+) kB$/m.exec(read('/proc/self/status'))?.[1];
  return limit === undefined || size === undefined
    ? Number.POSITIVE_INFINITY
    : Math.max(0, limit - Number(size) * 1024);
}

/** Bytes that the limit of a control group leaves; infinite without a limit. */
function leftInGroup({ version, folder }: ControlGroup, read: ReadText): number {
  const { limit, used, cached: names } = FILES[version];
  const [most, now] = [limit, used].map((name) => Number.parseInt(read(`${folder}/${name}`), 10)) as [number, number];
  if (Number.isNaN(most) || Number.isNaN(now)) return Number.POSITIVE_INFINITY;
  const stat = read(`${folder}/memory.stat`);
  const cached = names.map((name) => Number(new RegExp(`^${name} (\\d+)$`, 'm').exec(stat)?.[1] ?? 0));
  return Math.max(0, most - now + cached.reduce((sum, bytes) => sum + bytes, 0));
}

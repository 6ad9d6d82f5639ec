/** Free memory of the host, read from the files of simulated systems. */
import { describe, expect, it } from 'vitest';
import { hostFreeBytes } from '../../../src/engine/host/host-memory.ts';

const GIB = 2 ** 30;
/** A system with these files. */
const files = (known: Readonly<Record<string, string>>) => (path: string) => known[path] ?? '';
const meminfo = {
  '/proc/meminfo': 'MemTotal:       16777216 kB\nMemFree:          102400 kB\nMemAvailable:    8388608 kB\n',
};

describe('free memory on Linux', () => {
  it('is the available memory, which includes caches', () => {
    expect(hostFreeBytes([], 'linux', files(meminfo))).toBe(8 * GIB);
  });

  it('is the rest of the container limit; the page cache of the container counts as free', () => {
    const group = {
      '/sys/fs/cgroup/memory.max': `${6 * GIB}\n`,
      '/sys/fs/cgroup/memory.current': `${5 * GIB}\n`,
      '/sys/fs/cgroup/memory.stat': `anon ${GIB}\ninactive_file ${3 * GIB}\nactive_file ${GIB}\n`,
    };
    expect(hostFreeBytes([], 'linux', files({ ...meminfo, ...group }))).toBe(5 * GIB);
  });

  it('is limited by memory.high too, which slows a group down', () => {
    const group = {
      '/sys/fs/cgroup/memory.max': `${6 * GIB}\n`,
      '/sys/fs/cgroup/memory.high': `${4 * GIB}\n`,
      '/sys/fs/cgroup/memory.current': `${GIB}\n`,
    };
    expect(hostFreeBytes([], 'linux', files({ ...meminfo, ...group }))).toBe(3 * GIB);
    const noMax = { ...group, '/sys/fs/cgroup/memory.max': 'max\n' };
    expect(hostFreeBytes([], 'linux', files({ ...meminfo, ...noMax }))).toBe(3 * GIB);
  });

  it('is limited by groups above a container of version 1 that it cannot see', () => {
    const root = '/sys/fs/cgroup/memory';
    const group = {
      [`${root}/memory.limit_in_bytes`]: '9223372036854771712',
      [`${root}/memory.usage_in_bytes`]: `${GIB}`,
      [`${root}/memory.stat`]: `hierarchical_memory_limit ${3 * GIB}\ntotal_inactive_file 0\ntotal_active_file 0\n`,
    };
    expect(hostFreeBytes([], 'linux', files({ ...meminfo, ...group }))).toBe(2 * GIB);
  });

  it('does not include the memory that others hold, in the groups that contain them', () => {
    const group = {
      '/proc/self/mountinfo': '31 23 0:28 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n',
      '/proc/self/cgroup': '0::/a\n',
      '/sys/fs/cgroup/a/memory.max': `${3 * GIB}\n`,
      '/sys/fs/cgroup/a/memory.current': `${GIB}\n`,
    };
    const read = files({ ...meminfo, ...group });
    const free = (bytes: number, ...groups: string[]) => hostFreeBytes([{ bytes, groups }], 'linux', read);
    expect(free(GIB)).toBe(2 * GIB);
    expect(free(GIB, '/sys/fs/cgroup/a', '/sys/fs/cgroup')).toBe(GIB);
    expect(free(7 * GIB)).toBe(GIB);
    expect(free(9 * GIB)).toBe(0);
  });

  it('is read from control groups of version 1 too', () => {
    const root = '/sys/fs/cgroup/memory';
    const group = {
      [`${root}/memory.limit_in_bytes`]: `${2 * GIB}`,
      [`${root}/memory.usage_in_bytes`]: `${GIB}`,
      [`${root}/memory.stat`]: `cache ${GIB}\ntotal_inactive_file ${GIB / 2}\ntotal_active_file 0\n`,
    };
    expect(hostFreeBytes([], 'linux', files({ ...meminfo, ...group }))).toBe(1.5 * GIB);
  });

  it('is not limited by a group without a limit, and never negative', () => {
    const unlimited = { '/sys/fs/cgroup/memory.max': 'max\n', '/sys/fs/cgroup/memory.current': '1\n' };
    expect(hostFreeBytes([], 'linux', files({ ...meminfo, ...unlimited }))).toBe(8 * GIB);
    const over = { '/sys/fs/cgroup/memory.max': '1\n', '/sys/fs/cgroup/memory.current': '5\n' };
    expect(hostFreeBytes([], 'linux', files({ ...meminfo, ...over }))).toBe(0);
  });

  it('is the rest of the address space, if that is limited', () => {
    const limited = {
      '/proc/self/limits': `Max data size   unlimited  unlimited  bytes\nMax address space         ${4 * GIB}           unlimited            bytes\n`,
      '/proc/self/status': 'VmPeak:\t 2000000 kB\nVmSize:\t 1048576 kB\n',
    };
    expect(hostFreeBytes([], 'linux', files({ ...meminfo, ...limited }))).toBe(3 * GIB);
    const over = { ...limited, '/proc/self/status': 'VmSize:\t 9000000 kB\n' };
    expect(hostFreeBytes([], 'linux', files({ ...meminfo, ...over }))).toBe(0);
    const unlimited = {
      '/proc/self/limits': 'Max address space         unlimited            unlimited            bytes\n',
    };
    expect(hostFreeBytes([], 'linux', files({ ...meminfo, ...unlimited }))).toBe(8 * GIB);
  });

  it('is unknown if no file can be read', () => {
    expect(hostFreeBytes([], 'linux', files({}))).toBeUndefined();
  });
});

it('is unknown on macOS, which counts as free only memory that was never used', () => {
  expect(hostFreeBytes([], 'darwin', files({}))).toBeUndefined();
});

it('is positive on this machine, if it is known', () => {
  if (process.platform === 'linux') expect(hostFreeBytes()).toBeGreaterThan(0);
  else expect([undefined, expect.any(Number)]).toContainEqual(hostFreeBytes());
});

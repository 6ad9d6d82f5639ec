/**
 * The control groups of a process, found in the files of played systems: both versions, nested groups,
 * containers with and without a namespace, broken files.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import { cpuQuota, usableThreads } from '../../../src/engine/host/cpu-threads.ts';
import { hostFreeBytes } from '../../../src/engine/host/host-memory.ts';
import { controlGroups, readText } from '../../../src/protocol/host/control-groups.ts';

const GIB = 2 ** 30;
const roots: string[] = [];
afterAll(() => {
  for (const root of roots) rmSync(root, { recursive: true });
});

/** Writes the files of a system below a new folder. Returns a reader whose root is the folder. */
function system(files: Readonly<Record<string, string>>): (path: string) => string {
  const root = mkdtempSync(join(tmpdir(), 'system-'));
  roots.push(root);
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }
  return (path) => readText(join(root, path));
}

const mountV2 = (root = '/', point = '/sys/fs/cgroup') =>
  `22 1 8:1 / / rw - ext4 /dev/sda1 rw\n41 31 0:38 ${root} ${point} rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n`;
const mountV1 = (root = '/', point = '/sys/fs/cgroup') =>
  `32 31 0:29 ${root} ${point}/cpu,cpuacct rw shared:9 master:1 - cgroup cgroup rw,cpu,cpuacct
35 31 0:32 ${root} ${point}/memory rw - cgroup cgroup rw,memory\n`;
const CPU_V1 = '/sys/fs/cgroup/cpu,cpuacct';

const SYSTEMS: [string, number | undefined, Record<string, string>][] = [
  [
    'version 2: the own group',
    0.5,
    {
      '/proc/self/mountinfo': mountV2(),
      '/proc/self/cgroup': '0::/system.slice/worker.service\n',
      '/sys/fs/cgroup/system.slice/worker.service/cpu.max': '50000 100000\n',
    },
  ],
  [
    'version 2: the lowest of all groups above',
    1.5,
    {
      '/proc/self/mountinfo': mountV2(),
      '/proc/self/cgroup': '0::/a/b/c\n',
      '/sys/fs/cgroup/a/b/c/cpu.max': 'max 100000\n',
      '/sys/fs/cgroup/a/b/cpu.max': '400000 100000\n',
      '/sys/fs/cgroup/a/cpu.max': '75000 50000\n',
    },
  ],
  [
    'version 2: a container with a namespace',
    2,
    {
      '/proc/self/mountinfo': mountV2(),
      '/proc/self/cgroup': '0::/\n',
      '/sys/fs/cgroup/cpu.max': '200000 100000\n',
    },
  ],
  [
    'version 2: a container that shows its own group, and the path of the host',
    2,
    {
      '/proc/self/mountinfo': mountV2('/docker/4f'),
      '/proc/self/cgroup': '0::/docker/4f\n',
      '/sys/fs/cgroup/cpu.max': '200000 100000\n',
    },
  ],
  [
    'version 2: a path outside of the namespace',
    3,
    {
      '/proc/self/mountinfo': mountV2(),
      '/proc/self/cgroup': '0::/../other\n',
      '/sys/fs/cgroup/cpu.max': '300000 100000\n',
      '/sys/fs/other/cpu.max': '100000 100000\n',
    },
  ],
  [
    'version 2: a group whose name begins like the root of the mount',
    4,
    {
      '/proc/self/mountinfo': mountV2('/docker'),
      '/proc/self/cgroup': '0::/docker-other/x\n',
      '/sys/fs/cgroup/cpu.max': '400000 100000\n',
      '/sys/fs/cgroup/-other/x/cpu.max': '100000 100000\n',
    },
  ],
  [
    'version 2: a mount point with a space',
    1,
    {
      '/proc/self/mountinfo': mountV2('/', '/control\\040groups'),
      '/proc/self/cgroup': '0::/a\n',
      '/control groups/a/cpu.max': '100000 100000\n',
    },
  ],
  [
    'version 1: the own group and the one above',
    1.25,
    {
      '/proc/self/mountinfo': mountV1(),
      '/proc/self/cgroup': '5:memory:/other\n4:cpu,cpuacct:/a/b\n1:name=systemd:/x\n0::/y\n',
      [`${CPU_V1}/a/b/cpu.cfs_quota_us`]: '-1\n',
      [`${CPU_V1}/a/b/cpu.cfs_period_us`]: '100000\n',
      [`${CPU_V1}/a/cpu.cfs_quota_us`]: '125000\n',
      [`${CPU_V1}/a/cpu.cfs_period_us`]: '100000\n',
      [`${CPU_V1}/other/cpu.cfs_quota_us`]: '1000\n',
      [`${CPU_V1}/other/cpu.cfs_period_us`]: '100000\n',
    },
  ],
  [
    'version 1: a container without a namespace',
    0.1,
    {
      '/proc/self/mountinfo': mountV1('/docker/4f'),
      '/proc/self/cgroup': '4:cpu,cpuacct:/docker/4f\n',
      [`${CPU_V1}/cpu.cfs_quota_us`]: '10000\n',
      [`${CPU_V1}/cpu.cfs_period_us`]: '100000\n',
    },
  ],
  [
    'both versions: the lower quota',
    1,
    {
      '/proc/self/mountinfo': mountV1() + mountV2('/', '/sys/fs/cgroup/unified'),
      '/proc/self/cgroup': '4:cpu,cpuacct:/a\n0::/b\n',
      [`${CPU_V1}/a/cpu.cfs_quota_us`]: '200000\n',
      [`${CPU_V1}/a/cpu.cfs_period_us`]: '100000\n',
      '/sys/fs/cgroup/unified/b/cpu.max': '100000 100000\n',
    },
  ],
  ['no mounts to read: the usual place', 1, { '/sys/fs/cgroup/cpu.max': '100000 100000\n' }],
  ['no file at all', undefined, {}],
  ['mounts without groups', undefined, { '/proc/self/mountinfo': mountV2() + mountV1() }],
  ...['', 'max', 'max max', '100000', '0 100000', '100000 0', '-5 100000', '1e5 100000', '9'.repeat(400), 'x y z'].map(
    (text): [string, undefined, Record<string, string>] => [
      `no limit in ${JSON.stringify(text.slice(0, 20))}`,
      undefined,
      { '/proc/self/mountinfo': mountV2(), '/proc/self/cgroup': '0::/\n', '/sys/fs/cgroup/cpu.max': text },
    ],
  ),
];

describe('the quota', () => {
  test.each(SYSTEMS)('%s: %s', (_, quota, files) => {
    expect(cpuQuota(system(files))).toBe(quota);
  });

  test('is read from any text without an error', () => {
    const text = fc.oneof(fc.string(), fc.constantFrom('0::/a', '4:cpu:/..', mountV1(), mountV2(), ' - cgroup2'));
    fc.assert(
      fc.property(fc.array(text, { maxLength: 4 }), fc.string(), (lines, other) => {
        const read = (path: string): string => (path.startsWith('/proc') ? lines.join('\n') : other);
        const quota = cpuQuota(read);
        expect(quota === undefined || (quota > 0 && Number.isFinite(quota))).toBe(true);
        expect(controlGroups('memory', read).length).toBeGreaterThanOrEqual(0);
      }),
      { numRuns: 500 },
    );
  });
});

describe('the threads of a model', () => {
  const quotaOf = (quota: string) => system({ '/sys/fs/cgroup/cpu.max': `${quota} 100000\n` });
  test.each([
    ['max', { all: 8, allowed: 8 }, { count: 8, reason: 'cores' }],
    ['max', { all: 8, allowed: 3 }, { count: 3, reason: 'affinity' }],
    ['150000', { all: 8, allowed: 8 }, { count: 2, reason: 'cpu_quota', cpuQuota: 1.5 }],
    ['1000', { all: 8, allowed: 8 }, { count: 1, reason: 'cpu_quota', cpuQuota: 0.01 }],
    ['150000', { all: 8, allowed: 1 }, { count: 1, reason: 'affinity' }],
    ['800000', { all: 8, allowed: 8 }, { count: 8, reason: 'cores' }],
  ])('quota %s, cores %o', (quota, cores, threads) => {
    expect(usableThreads(cores, quotaOf(quota))).toEqual(threads);
  });
});

test('free memory is limited by a group above', () => {
  const read = system({
    '/proc/meminfo': 'MemAvailable:    8388608 kB\n',
    '/proc/self/mountinfo': mountV2(),
    '/proc/self/cgroup': '0::/a/b\n',
    '/sys/fs/cgroup/a/b/memory.max': 'max\n',
    '/sys/fs/cgroup/a/b/memory.current': '1\n',
    '/sys/fs/cgroup/a/memory.max': `${2 * GIB}\n`,
    '/sys/fs/cgroup/a/memory.current': `${GIB}\n`,
    '/sys/fs/cgroup/a/memory.stat': 'inactive_file 0\nactive_file 0\n',
  });
  expect(hostFreeBytes([], 'linux', read)).toBe(GIB);
});

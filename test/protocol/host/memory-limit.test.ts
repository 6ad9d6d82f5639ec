/** The memory that a process may use: the lowest limit of its control groups, at most that of the machine. */
import { expect, test } from 'vitest';
import { memoryLimitBytes } from '../../../src/protocol/host/memory-limit.ts';

const GIB = 2 ** 30;
const MACHINE = 16 * GIB;
const limitOf = (files: Readonly<Record<string, string>>): number =>
  memoryLimitBytes((path) => files[path] ?? '', MACHINE);
const VERSION_2 = {
  '/proc/self/mountinfo': '31 23 0:28 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n',
  '/proc/self/cgroup': '0::/a/b\n',
};

test.each([
  ['no limit', MACHINE, {}],
  ['a group without a limit', MACHINE, { ...VERSION_2, '/sys/fs/cgroup/a/b/memory.max': 'max\n' }],
  ['the limit of the own group', 3 * GIB, { ...VERSION_2, '/sys/fs/cgroup/a/b/memory.max': `${3 * GIB}\n` }],
  [
    'the limit of a group above',
    2 * GIB,
    { ...VERSION_2, '/sys/fs/cgroup/a/b/memory.max': `${3 * GIB}\n`, '/sys/fs/cgroup/a/memory.max': `${2 * GIB}\n` },
  ],
  ['the limit at which the kernel slows down', GIB, { ...VERSION_2, '/sys/fs/cgroup/a/b/memory.high': `${GIB}\n` }],
  [
    'a limit above the memory of the machine',
    MACHINE,
    { ...VERSION_2, '/sys/fs/cgroup/a/memory.max': `${99 * GIB}\n` },
  ],
  ['the limit of version 1', GIB, { '/sys/fs/cgroup/memory/memory.limit_in_bytes': `${GIB}\n` }],
  [
    'the limit of version 1 above a container',
    GIB,
    { '/sys/fs/cgroup/memory/memory.stat': `cache 1\nhierarchical_memory_limit ${GIB}\n` },
  ],
])('%s', (_, expected, files: Readonly<Record<string, string>>) => {
  expect(limitOf(files)).toBe(expected);
});

test('this machine has a limit', () => {
  expect(memoryLimitBytes()).toBeGreaterThan(2 ** 20);
});

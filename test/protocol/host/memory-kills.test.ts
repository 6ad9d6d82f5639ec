/** Kills of the kernel, as the files of simulated systems count them. */
import { describe, expect, test } from 'vitest';
import { MemoryKills } from '../../../src/protocol/host/memory-kills.ts';

const MOUNT_V2 = '31 23 0:28 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n';
const MOUNT_V1 = '32 23 0:29 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n';
const HYBRID = `${MOUNT_V1}33 23 0:30 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n`;
const EVENTS = (kills: number): string => `low 0\nhigh 0\nmax 9\noom ${kills}\noom_kill ${kills}\noom_group_kill 0\n`;
const CONTROL = (kills: number): string => `oom_kill_disable 0\nunder_oom 0\noom_kill ${kills}\n`;

/** A system whose files can change. */
class System {
  readonly files: Record<string, string>;
  readonly read = (path: string): string => this.files[path] ?? '';

  constructor(mounts: string, groups: string, files: Record<string, string> = {}) {
    this.files = { '/proc/self/mountinfo': mounts, '/proc/self/cgroup': groups, ...files };
  }
}

const SYSTEMS: [string, string, (kills: number) => string, System][] = [
  ['version 2', '/sys/fs/cgroup/a/b/memory.events', EVENTS, new System(MOUNT_V2, '0::/a/b\n')],
  [
    'version 2, the count without the groups below',
    '/sys/fs/cgroup/a/memory.events.local',
    EVENTS,
    new System(MOUNT_V2, '0::/a\n', { '/sys/fs/cgroup/a/memory.events': EVENTS(0) }),
  ],
  [
    'version 2, a group without the controller',
    '/sys/fs/cgroup/a/memory.events',
    EVENTS,
    new System(MOUNT_V2, '0::/a/b\n'),
  ],
  ['version 1', '/sys/fs/cgroup/memory/a/memory.oom_control', CONTROL, new System(MOUNT_V1, '4:memory:/a\n')],
  ['both versions', '/sys/fs/cgroup/memory/a/memory.oom_control', CONTROL, new System(HYBRID, '4:memory:/a\n0::/b\n')],
  ['no groups to read', '/proc/vmstat', (kills) => `pgfault 7\noom_kill ${kills}\n`, new System('', '')],
];

describe('a kill by the kernel', () => {
  test.each(SYSTEMS)('%s: is found in %s', (_, file, text, system) => {
    system.files[file] = text(3);
    const kills = new MemoryKills(system.read);
    expect(kills.happened).toBe(false);
    system.files[file] = text(4);
    expect(kills.happened).toBe(true);
  });

  test('is recent for one look, because an answer of the victim may have been on its way', () => {
    const file = '/sys/fs/cgroup/a/memory.events';
    const system = new System(MOUNT_V2, '0::/a\n', { [file]: EVENTS(0) });
    const kills = new MemoryKills(system.read);
    system.files[file] = EVENTS(1);
    kills.look();
    expect(kills.happened).toBe(true);
    kills.look();
    expect(kills.happened).toBe(false);
  });

  test('in a group above is none of this group', () => {
    const system = new System(MOUNT_V2, '0::/a/b\n', { '/sys/fs/cgroup/a/b/memory.events.local': EVENTS(0) });
    const kills = new MemoryKills(system.read);
    system.files['/sys/fs/cgroup/a/memory.events'] = EVENTS(5);
    expect(kills.happened).toBe(false);
  });

  test.each(['', 'oom_kill\n', 'oom_kill x\n', `oom_kill ${'9'.repeat(40)}\n`, 'oom_kill -1\n'])(
    'is unknown where the count is %j',
    (text) => {
      const system = new System(MOUNT_V2, '0::/a\n', { '/sys/fs/cgroup/a/memory.events': text });
      const kills = new MemoryKills(system.read);
      expect(kills.happened).toBe(false);
      system.files['/sys/fs/cgroup/a/memory.events'] = EVENTS(1);
      expect(kills.happened).toBe(false);
    },
  );

  test('is unknown while the count cannot be read', () => {
    const file = '/sys/fs/cgroup/a/memory.events';
    const system = new System(MOUNT_V2, '0::/a\n', { [file]: EVENTS(0) });
    const kills = new MemoryKills(system.read);
    system.files[file] = '';
    expect(kills.happened).toBe(false);
    kills.look();
    kills.look();
    system.files[file] = EVENTS(1);
    expect(kills.happened).toBe(false);
  });
});

/**
 * The folders of the control groups of this process (cgroups(7), Linux). A limit may be set on the own group
 * and on each group above it, and the lowest one counts.
 */
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';

/** Reads a file of the system; an empty text if it cannot be read. Replaced by tests. */
export type ReadText = (path: string) => string;

/** One group that contains this process. */
export interface ControlGroup {
  readonly version: 1 | 2;
  readonly folder: string;
}

export type Controller = 'cpu' | 'memory';

/** Where most systems mount the control groups, for a system that does not show its mounts. */
const USUAL_MOUNTS: Readonly<Record<Controller, readonly ControlGroup[]>> = {
  cpu: [
    { version: 2, folder: '/sys/fs/cgroup' },
    { version: 1, folder: '/sys/fs/cgroup/cpu' },
  ],
  memory: [
    { version: 2, folder: '/sys/fs/cgroup' },
    { version: 1, folder: '/sys/fs/cgroup/memory' },
  ],
};

/** A mounted tree of control groups: the group that its mount point shows, and the mount point. */
interface Mount {
  readonly version: 1 | 2;
  readonly root: string;
  readonly point: string;
}

/** All groups that may limit this process, the own group first and the root of the tree last. */
export function controlGroups(controller: Controller, read: ReadText = readText): readonly ControlGroup[] {
  const mounts = mountsOf(controller, read('/proc/self/mountinfo'));
  if (mounts.length === 0) return USUAL_MOUNTS[controller];
  const paths = pathsOf(controller, read('/proc/self/cgroup'));
  return mounts.flatMap((mount) => groupsIn(mount, paths[mount.version]));
}

/**
 * Identifies a group among all processes of the machine. Its folder does not: each container sees its own
 * group at the same place. The inode of the folder belongs to the group, however it is mounted.
 */
export function groupId({ version, folder }: ControlGroup): string {
  try {
    return `${version}:${statSync(folder).ino}`;
  } catch {
    return folder; // it cannot be seen, so it has no limit to read either
  }
}

/** Lines of proc_pid_mountinfo(5): `31 23 0:28 <root> <point> <options> - <type> <source> <more options>`. */
function mountsOf(controller: Controller, mountinfo: string): Mount[] {
  return mountinfo.split('\n').flatMap((line): Mount[] => {
    const [left = '', right = ''] = line.split(' - ');
    const [, , , root = '', point = ''] = left.split(' ').map(unescaped);
    const [type, , options = ''] = right.split(' ');
    if (type === 'cgroup2') return [{ version: 2, root, point }];
    return type === 'cgroup' && options.split(',').includes(controller) ? [{ version: 1, root, point }] : [];
  });
}

/** Lines of /proc/self/cgroup: `4:memory:/a/b` for version 1, `0::/a/b` for version 2. */
function pathsOf(controller: Controller, text: string): Readonly<Record<1 | 2, string>> {
  const paths = { 1: '/', 2: '/' };
  for (const line of text.split('\n')) {
    const [, controllers, path] = /^\d+:([^:]*):(\/.*)$/.exec(line) ?? [];
    if (path === undefined) continue;
    if (controllers === '') paths[2] = path;
    else if (controllers?.split(',').includes(controller)) paths[1] = path;
  }
  return paths;
}

/**
 * The groups from `path` up to the mount point. In a container, the mount shows the container's group as its
 * root, and the path may be one of the host, or lie outside of the namespace (`/../other`): then only the
 * mount point is visible.
 */
function groupsIn({ version, root, point }: Mount, path: string): ControlGroup[] {
  const prefix = root === '/' ? '' : root;
  const inside = path === prefix || path.startsWith(`${prefix}/`) ? path.slice(prefix.length) : '';
  const names = inside.split('/').filter((name) => name !== '');
  if (names.includes('..')) return [{ version, folder: point }];
  return Array.from({ length: names.length + 1 }, (_, above) => ({
    version,
    folder: join(point, ...names.slice(0, names.length - above)),
  }));
}

/** The kernel writes a space in a path as `\040`. */
const unescaped = (text: string): string =>
  text.replace(/\\([0-7]{3})/g, (_, code: string) => String.fromCharCode(Number.parseInt(code, 8)));

/** The text of a file of the system; empty if it cannot be read. */
export function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return ''; // another system, or no limit
  }
}

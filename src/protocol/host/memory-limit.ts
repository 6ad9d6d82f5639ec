/** The memory that this process and its child processes may use: a limit of Linux, or all of the machine. */
import { totalmem } from 'node:os';
import { type ControlGroup, controlGroups, type ReadText, readText } from './control-groups.ts';

/**
 * The files with the limits of a control group, by version. `memory.max` kills a process of the group, and
 * `memory.high` slows the group down: the worker stays below both.
 */
const LIMIT_FILES = { 1: ['memory.limit_in_bytes'], 2: ['memory.max', 'memory.high'] } as const;

/**
 * The lowest limit of a control group in bytes; infinite without one.
 * @param stat the text of its `memory.stat`
 */
export function limitOfGroup({ version, folder }: ControlGroup, stat: string, read: ReadText): number {
  const files = LIMIT_FILES[version].map((name) => countIn(read(`${folder}/${name}`)));
  // Version 1: the lowest limit of the group and of all groups above it, also of those that a container does
  // not show.
  const limits = [...files, fieldIn(stat, 'hierarchical_memory_limit')];
  return Math.min(...limits.map((limit) => limit ?? Number.POSITIVE_INFINITY));
}

/**
 * The memory that this process and its child processes may use together, in bytes: the lowest limit of their
 * control groups, and at most the memory of the machine.
 * @param read reads a file of the system; replaced by tests
 * @param machineBytes replaced by tests
 */
export function memoryLimitBytes(read: ReadText = readText, machineBytes: number = totalmem()): number {
  const groups = controlGroups('memory', read);
  return Math.min(
    machineBytes,
    ...groups.map((group) => limitOfGroup(group, read(`${group.folder}/memory.stat`), read)),
  );
}

/** A field of `memory.stat`. */
export const fieldIn = (stat: string, name: string): number | undefined =>
  countIn(new RegExp(`^${name} (\\d+)$`, 'm').exec(stat)?.[1] ?? '');

/** The number in a file of a control group. `max` and an empty file are no number. */
export const countIn = (text: string): number | undefined => (/^\d{1,20}\s*$/.test(text) ? Number(text) : undefined);

/**
 * The life of a process of this machine. A process id alone does not identify a process: the system uses the
 * id again. The start of the machine and the start of the process identify one life of it. Linux only; other
 * systems have process ids only.
 */
import { readFile, readlink } from 'node:fs/promises';

/** Identifies one life of a process id. */
export interface ProcessLife {
  /** Id of the machine since its start. */
  readonly boot: string;
  /** The pid namespace, in which the process id is valid. */
  readonly namespace: string;
  /** When the process started, in ticks since the start of the machine. */
  readonly start: string;
}

/** `unknown`: the process id belongs to another container, whose processes are not visible here. */
export type Fate = 'alive' | 'ended' | 'unknown';

/** Numbers of fields in `/proc/<pid>/stat` (proc_pid_stat(5)), counted from 1. */
const STATE = 3;
const START = 22;
/** A zombie, and a process that is being removed. */
const ENDED_STATES: readonly (string | undefined)[] = ['Z', 'X', 'x', undefined];

/** The life of this process; undefined on other systems than Linux, and without /proc. */
export function ownLife(): Promise<ProcessLife | undefined> {
  return lifeOf('self').catch(() => undefined);
}

/** Compares a recorded life with the processes that are visible here. */
export async function fateOf(pid: number, life: ProcessLife | undefined): Promise<Fate> {
  const here = life && (await ownLife());
  if (!life || !here) return exists(pid) ? 'alive' : 'ended';
  if (life.boot !== here.boot) return 'ended';
  if (life.namespace !== here.namespace) return 'unknown';
  const fields = await fieldsOf(pid).catch(() => undefined);
  if (ENDED_STATES.includes(fields?.[STATE - STATE])) return 'ended';
  return fields?.[START - STATE] === life.start ? 'alive' : 'ended';
}

async function lifeOf(pid: number | 'self'): Promise<ProcessLife> {
  const [boot, namespace, fields] = await Promise.all([
    readFile('/proc/sys/kernel/random/boot_id', 'utf8'),
    readlink('/proc/self/ns/pid'),
    fieldsOf(pid),
  ]);
  return { boot: boot.trim(), namespace, start: fields[START - STATE] ?? '' };
}

/** The fields from the third one on. The second field, the name, may contain spaces and parentheses. */
async function fieldsOf(pid: number | 'self'): Promise<string[]> {
  const text = await readFile(`/proc/${pid}/stat`, 'latin1');
  return text.slice(text.lastIndexOf(')') + 2).split(' ');
}

/** A process of another user answers EPERM. */
function exists(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

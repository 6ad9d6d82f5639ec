/** Figures of a process from /proc (proc(5)): processor time, wake-ups and memory. Linux only. */
import { readdirSync, readFileSync } from 'node:fs';

/** Ticks per second of the times in `/proc/<pid>/stat`, on every Linux that Node.js supports. */
const TICKS = 100;

/** The only child process of a process: the engine of a worker. @throws Error if there is another number. */
export function childOf(pid) {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').filter(Boolean);
  if (children.length !== 1) throw new Error(`Process ${pid} has ${children.length} children, not 1`);
  return Number(children[0]);
}

/** Milliseconds of processor time since the start, with threads that have ended; exact to 10 ms. */
export function cpuMs(pid) {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return ((Number(fields[11]) + Number(fields[12])) * 1000) / TICKS;
}

/**
 * Milliseconds of processor time and number of wake-ups of the threads that run now. Exact to a microsecond: for
 * a process that does almost nothing.
 */
export function activity(pid) {
  const sum = { cpuMs: 0, wakeUps: 0 };
  for (const thread of readdirSync(`/proc/${pid}/task`)) {
    const file = (name) => readFileSync(`/proc/${pid}/task/${thread}/${name}`, 'utf8');
    sum.cpuMs += Number(file('schedstat').split(' ')[0]) / 1e6;
    sum.wakeUps += Number(/^voluntary_ctxt_switches:\s*(\d+)$/m.exec(file('status'))?.[1] ?? 0);
  }
  return sum;
}

/**
 * Resident memory in MB that no file can give back (`anonymous`), and pages of files (`files`), which all processes
 * of the machine share.
 */
export function memoryParts(pid) {
  const text = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
  const mb = (name) => (Number(new RegExp(`^${name}:\\s*(\\d+) kB$`, 'm').exec(text)?.[1] ?? 0) * 1024) / 1e6;
  return { anonymous: mb('Anonymous'), files: mb('Rss') - mb('Anonymous'), proportional: mb('Pss') };
}

/**
 * Memory in MB. `own`: pages that only this process has. `unshared`: without pages of files, which other workers
 * would share. `proportional`: each shared page divided by the number of its processes (PSS).
 */
export function memory(pid) {
  const text = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
  const mb = (name) => (Number(new RegExp(`^${name}:\\s*(\\d+) kB$`, 'm').exec(text)?.[1] ?? 0) * 1024) / 1e6;
  const unshared = mb('Private_Dirty');
  return { own: unshared + mb('Private_Clean'), unshared, proportional: mb('Pss') };
}

/** The most resident memory of a process since its start, in MB. */
export const peakMb = (pid) =>
  (Number(/^VmHWM:\s*(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) * 1024) / 1e6;

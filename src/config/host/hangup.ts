/**
 * Finds out if SIGHUP was ignored when this process started, as `nohup` and `trap '' HUP` request. Node.js
 * resets every ignored signal when it starts (PlatformInit in src/node.cc), so the mask of this process has
 * lost the fact. Traces remain: the variable `_`, the standard streams that nohup opens, and the parent.
 */
import { readFileSync, readlinkSync } from 'node:fs';
import { basename } from 'node:path';

const NOHUP = 'nohup';
/** The lowest bits of the flags of an open file: its access mode (open(2)). 1 is write-only. */
const ACCESS_MODE = 0o3;
const WRITE_ONLY = 0o1;

/** Reads the files of /proc, which only Linux has. Both throw if the file is missing. */
interface Proc {
  readonly text: (path: string) => string;
  readonly target: (path: string) => string;
}
const PROC: Proc = { text: (path) => readFileSync(path, 'utf8'), target: (path) => readlinkSync(path) };

/**
 * True if this process should survive a hang-up.
 * @param proc reads /proc; replaced by tests
 */
export function ignoresHangup(
  environment: NodeJS.ProcessEnv = process.env,
  parent: number = process.ppid,
  proc: Proc = PROC,
): boolean {
  return (
    startedByNohup(environment) || hasInputOfNohup(proc) || hasOutputOfNohup(proc) || isHangupIgnoredBy(parent, proc)
  );
}

/**
 * The environment of a child process that must survive a hang-up if this process does. Its standard input may
 * be a pipe, and its parent handles the signal, so only the variable tells.
 */
export function hangupEnvironment(ignored: boolean, environment: NodeJS.ProcessEnv = process.env): NodeJS.ProcessEnv {
  return ignored ? { ...environment, _: NOHUP } : environment;
}

/** bash, zsh and ksh set `_` to the path of the program that they start. dash does not. */
function startedByNohup(environment: NodeJS.ProcessEnv): boolean {
  return basename(environment['_'] ?? '') === NOHUP;
}

/** GNU nohup replaces a terminal as standard input by /dev/null, opened for writing: every read fails. */
function hasInputOfNohup({ text, target }: Proc): boolean {
  try {
    const flags = Number.parseInt(/^flags:\s*(\d+)$/m.exec(text('/proc/self/fdinfo/0'))?.[1] ?? '', 8);
    return (flags & ACCESS_MODE) === WRITE_ONLY && target('/proc/self/fd/0') === '/dev/null';
  } catch {
    return false; // no /proc, or no standard input
  }
}

/** nohup replaces a terminal as standard output by the file nohup.out. */
function hasOutputOfNohup({ target }: Proc): boolean {
  try {
    return basename(target('/proc/self/fd/1')) === 'nohup.out';
  } catch {
    return false;
  }
}

/** A shell after `trap '' HUP`, and any other parent that ignores SIGHUP: its children inherit this. */
function isHangupIgnoredBy(pid: number, { text }: Proc): boolean {
  try {
    const mask = /^SigIgn:\s*([0-9a-f]+)$/m.exec(text(`/proc/${pid}/status`))?.[1] ?? '0';
    return (BigInt(`0x${mask}`) & 1n) === 1n; // The bit of signal n is n - 1; SIGHUP is 1.
  } catch {
    return false;
  }
}

/**
 * Checks the descriptor of `--ready-fd` before anything is started. Node.js itself has descriptors above 2,
 * and a line in one of them would break its event loop: that the number is open proves nothing.
 */
import { fstatSync, readdirSync, type Stats, writeSync } from 'node:fs';
import { ConfigError } from '../config.ts';

const NOTHING = new Uint8Array(0);

/**
 * Accepts a pipe, a socket or a file that is open for writing. On Linux the check is complete: of a pipe of
 * Node.js, this process has both ends, and its other descriptors are neither pipe, socket nor file. Other
 * systems do not list the descriptors: there, a pipe of Node.js goes unnoticed if the parent process has not
 * opened the descriptor.
 * @throws ConfigError with the reason
 */
export function checkReadyDescriptor(fd: number): void {
  const reason = unusable(fd);
  if (reason !== undefined)
    throw new ConfigError(
      `--ready-fd: descriptor ${fd} ${reason}; the parent process must open it for the worker, as in ${fd}>ready.json`,
    );
}

function unusable(fd: number): string | undefined {
  const stat = statOf(fd);
  if (!stat) return 'is not open';
  if (fd === ipcDescriptor()) return 'is the IPC channel of Node.js';
  if (!stat.isFIFO() && !stat.isSocket() && !stat.isFile()) return 'is neither a pipe, a socket nor a file';
  // An empty write to a socket of datagrams would arrive.
  if (!stat.isSocket() && !isWritable(fd)) return 'is not open for writing';
  if (stat.isFIFO() && hasReadEnd(fd, stat)) return 'is a pipe whose other end is in the worker too';
  return undefined;
}

/** The channel to a parent process that runs Node.js and forked this one; undefined if there is none. */
function ipcDescriptor(): number | undefined {
  return (process.channel as { readonly fd?: number } | undefined)?.fd;
}

/** True if another descriptor of this process reads the same pipe. Both ends have the same inode. */
function hasReadEnd(fd: number, { dev, ino }: Stats): boolean {
  return openDescriptors().some((other) => {
    const stat = other === fd ? undefined : statOf(other);
    return stat?.dev === dev && stat.ino === ino && !isWritable(other);
  });
}

/** Empty on systems without /proc. */
function openDescriptors(): number[] {
  try {
    return readdirSync('/proc/self/fd').map(Number);
  } catch {
    return [];
  }
}

function statOf(fd: number): Stats | undefined {
  try {
    return fstatSync(fd);
  } catch {
    return undefined;
  }
}

/** Writes no bytes, which only the access mode can refuse. */
function isWritable(fd: number): boolean {
  try {
    writeSync(fd, NOTHING);
    return true;
  } catch {
    return false;
  }
}

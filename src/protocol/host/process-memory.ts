/**
 * Memory of processes. Reading it can fail at any time: it takes a file descriptor, and on Linux a mounted
 * /proc.
 */
import { type ReadText, readText } from './control-groups.ts';

/**
 * Resident memory of this process in bytes; undefined if it cannot be read.
 * @param read reads the figure, or throws; replaced by tests.
 */
export function residentBytes(read: () => number = process.memoryUsage.rss): number | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}

/** The file with the sums over all mappings of a process. In Linux since 4.14. */
export const memoryFile = (pid: number): string => `/proc/${pid}/smaps_rollup`;

/**
 * Proportional memory (PSS) in bytes, in the text of `memoryFile`: a page that several processes share counts
 * for each of them in part. Undefined if the text lacks it.
 */
export const proportionalIn = (text: string): number | undefined => kilobytesIn('Pss', text);

/** Parts of the resident memory of a process, in bytes. */
export interface MemoryParts {
  /** Heap, KV cache and copies of weights: memory that no file can give back. */
  readonly own: number;
  /** Pages of files, which all processes of the machine share. */
  readonly shared: number;
}

/** The parts in the text of `memoryFile`; undefined if the text lacks them. */
export function memoryPartsIn(text: string): MemoryParts | undefined {
  const [own, resident] = [kilobytesIn('Anonymous', text), kilobytesIn('Rss', text)];
  return own === undefined || resident === undefined ? undefined : { own, shared: Math.max(0, resident - own) };
}

/**
 * Resident memory of a process that no file can give back: heap, KV cache and shared memory, in bytes.
 * @returns undefined if the process has ended or belongs to another user.
 */
export function anonymousBytes(pid: number, read: ReadText = readText): number | undefined {
  const text = read(`/proc/${pid}/status`);
  const own = kilobytesIn('RssAnon', text);
  return own === undefined ? undefined : own + (kilobytesIn('RssShmem', text) ?? 0);
}

function kilobytesIn(field: string, text: string): number | undefined {
  const kilobytes = new RegExp(`^${field}:\\s+(\\d{1,12}) kB$`, 'm').exec(text)?.[1];
  return kilobytes === undefined ? undefined : Number(kilobytes) * 1024;
}

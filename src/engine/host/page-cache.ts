/** Asks the kernel if a file is in the page cache (`mincore(2)`). Linux only. */
import { cFunction } from '../ffi.ts';

const PROT_READ = 1;
const MAP_SHARED = 1;
const MAP_FAILED = 2n ** 64n - 1n;
const PAGE_BYTES = 4096;
const RESIDENT = 1;
/**
 * One page of as many bytes is looked up: the kernel reads ahead, and looks up all pages of 1 GB in 20 ms.
 */
const STEP_BYTES = 2 ** 20;

/** A range of a file. */
export interface FileRange {
  readonly offset: number;
  readonly bytes: number;
}

/**
 * True if all looked-up pages of a range are in the page cache: one of each MiB, and the last one. False if
 * the system does not tell.
 * @param descriptor an open file
 */
export function isCached(descriptor: number, { offset, bytes }: FileRange): boolean {
  if (process.platform !== 'linux' || process.arch !== 'x64' || bytes === 0) return false;
  const from = Math.floor(offset / PAGE_BYTES) * PAGE_BYTES;
  const length = offset + bytes - from;
  const mmap = cFunction('mmap', 'uintptr_t', ['uintptr_t', 'size_t', 'int', 'int', 'int', 'int64_t']);
  const address = BigInt(mmap(0, length, PROT_READ, MAP_SHARED, descriptor, from));
  if (address === MAP_FAILED) return false;
  try {
    const mincore = cFunction('mincore', 'int', ['uintptr_t', 'size_t', 'uint8_t *']);
    const page = new Uint8Array(1);
    const isResident = (at: number): boolean =>
      mincore(address + BigInt(at), PAGE_BYTES, page) === 0 && ((page[0] ?? 0) & RESIDENT) !== 0;
    for (let at = 0; at < length; at += STEP_BYTES) if (!isResident(at)) return false;
    return isResident(Math.floor((length - 1) / PAGE_BYTES) * PAGE_BYTES);
  } finally {
    cFunction('munmap', 'int', ['uintptr_t', 'size_t'])(address, length);
  }
}

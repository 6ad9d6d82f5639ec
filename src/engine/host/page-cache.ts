/** Asks the kernel if a file is in the page cache (`mincore(2)`). Linux only. */
import { cFunction } from '../ffi.ts';

const PROT_READ = 1;
const MAP_SHARED = 1;
const MAP_FAILED = 2n ** 64n - 1n;
const PAGE_BYTES = 4096;
const RESIDENT = 1;

/** A range of a file. */
export interface FileRange {
  readonly offset: number;
  readonly bytes: number;
}

/**
 * True if all pages of a range are in the page cache. False if the system does not tell.
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
    const pages = new Uint8Array(Math.ceil(length / PAGE_BYTES));
    const failed = cFunction('mincore', 'int', ['uintptr_t', 'size_t', 'uint8_t *'])(address, length, pages);
    return failed === 0 && pages.every((page) => (page & RESIDENT) !== 0);
  } finally {
    cFunction('munmap', 'int', ['uintptr_t', 'size_t'])(address, length);
  }
}

/** Holes in files: ranges that read as zeros and take no space on the disk (`fallocate(2)`). Linux only. */
import { closeSync, openSync } from 'node:fs';
import { cFunction } from '../ffi.ts';

/** FALLOC_FL_KEEP_SIZE and FALLOC_FL_PUNCH_HOLE. */
const PUNCH = 3;
/** A hole consists of whole blocks. */
const BLOCK_BYTES = 4096;

/**
 * Frees the whole blocks of a range.
 * @returns false if the file system has no holes: the bytes stay then.
 */
export function punchHole(path: string, offset: number, bytes: number): boolean {
  const from = Math.ceil(offset / BLOCK_BYTES) * BLOCK_BYTES;
  const to = Math.floor((offset + bytes) / BLOCK_BYTES) * BLOCK_BYTES;
  if (process.platform !== 'linux' || to <= from) return false;
  const file = openSync(path, 'r+');
  try {
    const fallocate = cFunction('fallocate', 'int', ['int', 'int', 'int64_t', 'int64_t']);
    return fallocate(file, PUNCH, from, to - from) === 0;
  } finally {
    closeSync(file);
  }
}

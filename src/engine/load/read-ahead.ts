/**
 * Reads the weight files from start to end before the runtime opens them, so that the operator sees the
 * progress of a load. The runtime maps the files and reads them page by page, in another order and without
 * progress reports; the bytes are then in the system's page cache. Bytes that are there already are not read.
 */
import { closeSync, fstatSync, openSync, readSync, statSync } from 'node:fs';
import { type FileRange, isCached } from '../host/page-cache.ts';

const MAX_READ_BYTES = 4 * 2 ** 20;
const STEPS = 4;

/** The ranges of a file that the runtime reads, in order. */
export interface FileParts {
  readonly path: string;
  readonly ranges: readonly FileRange[];
}

/** A whole file, or parts of a file. */
export type ReadFile = string | FileParts;

/**
 * Reads all files once and discards the bytes. Skips files that cannot be read: the runtime reports the
 * fault.
 * @param onProgress receives the bytes read, the total bytes and the percentage: 0, 25, 50, 75 and 100, once
 * each.
 */
export function readWeights(
  files: readonly ReadFile[],
  onProgress: (read: number, total: number, percent: number) => void,
): void {
  const sizes = files.map(sizeToRead);
  const total = sizes.reduce((sum, bytes) => sum + bytes, 0);
  // Small enough that no quarter is skipped.
  const buffer = Buffer.allocUnsafe(Math.min(MAX_READ_BYTES, Math.max(1, Math.floor(total / (2 * STEPS)))));
  let [read, reported] = [0, 0];
  onProgress(0, total, 0);
  for (const [index, file] of files.entries()) {
    if (sizes[index] === 0) continue;
    for (const bytes of chunksOf(file, buffer)) {
      // A file may grow while it is read: the progress must not exceed 100 %.
      read = Math.min(total, read + bytes);
      const step = Math.floor((read * STEPS) / total);
      if (step > reported) onProgress(read, total, (100 * step) / STEPS);
      reported = step;
    }
  }
}

/** Bytes of a file that are read; 0 for a file that is missing. */
function sizeToRead(file: ReadFile): number {
  if (typeof file === 'string') return sizeOf(file);
  return sizeOf(file.path) === 0 ? 0 : file.ranges.reduce((sum, { bytes }) => sum + bytes, 0);
}

/** Size of a file in bytes; 0 if the file is missing or not regular: opening a pipe would wait. */
export function sizeOf(file: string): number {
  const found = statSync(file, { throwIfNoEntry: false });
  return found?.isFile() === true ? found.size : 0;
}

function* chunksOf(file: ReadFile, buffer: Buffer): Generator<number> {
  let descriptor: number | undefined;
  try {
    descriptor = openSync(typeof file === 'string' ? file : file.path, 'r');
    const whole = { offset: 0, bytes: fstatSync(descriptor).size };
    for (const range of typeof file === 'string' ? [whole] : file.ranges) yield* chunksIn(descriptor, range, buffer);
  } catch {
    // The runtime opens the file next.
  } finally {
    if (descriptor !== undefined) closeSync(descriptor);
  }
}

function* chunksIn(descriptor: number, range: FileRange, buffer: Buffer): Generator<number> {
  const cached = isCached(descriptor, range);
  const end = range.offset + range.bytes;
  for (let position = range.offset; position < end; ) {
    const length = Math.min(buffer.length, end - position);
    const bytes = cached ? length : readSync(descriptor, buffer, 0, length, position);
    if (bytes === 0) return;
    position += bytes;
    yield bytes;
  }
}

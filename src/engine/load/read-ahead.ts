/**
 * Reads the files of the weights in order before the runtime opens them, so that the operator sees the progress of
 * a load: the runtime maps them, reads pages in its own order and reports nothing. Afterwards the files are in the
 * system's page cache.
 */
import { closeSync, openSync, readSync, statSync } from 'node:fs';

const MOST_CHUNK_BYTES = 4 * 2 ** 20;
const STEPS = 4;

/**
 * Reads all files. Ignores a file that cannot be read: the runtime reports what is wrong with it.
 * @param onProgress receives the bytes read, the total, and the percentage: 0, 25, 50, 75 and 100, once each.
 */
export function readWeights(
  files: readonly string[],
  onProgress: (read: number, total: number, percent: number) => void,
): void {
  const sizes = files.map(sizeOf);
  const total = sizes.reduce((sum, bytes) => sum + bytes, 0);
  // Small enough to report every quarter.
  const buffer = Buffer.allocUnsafe(Math.min(MOST_CHUNK_BYTES, Math.max(1, Math.floor(total / (2 * STEPS)))));
  let [read, reported] = [0, 0];
  onProgress(0, total, 0);
  for (const [index, file] of files.entries()) {
    if (sizes[index] === 0) continue;
    for (const bytes of chunksOf(file, buffer)) {
      // A file can grow while it is read.
      read = Math.min(total, read + bytes);
      const step = Math.floor((read * STEPS) / total);
      if (step > reported) onProgress(read, total, (100 * step) / STEPS);
      reported = step;
    }
  }
}

/** Bytes of a file; 0 for a missing file. */
export function sizeOf(file: string): number {
  return statSync(file, { throwIfNoEntry: false })?.size ?? 0;
}

function* chunksOf(file: string, buffer: Buffer): Generator<number> {
  let descriptor: number | undefined;
  try {
    descriptor = openSync(file, 'r');
    for (let bytes = -1; bytes !== 0; ) {
      bytes = readSync(descriptor, buffer);
      yield bytes;
    }
  } catch {
    // The runtime opens the file next.
  } finally {
    if (descriptor !== undefined) closeSync(descriptor);
  }
}

/**
 * Reads the files of the weights from front to back before the runtime opens them, so that the operator sees how far a load has come: the
 * runtime maps them and faults page by page, in an order of its own and without a word. What was read is in the system's page cache then.
 */
import { closeSync, openSync, readSync, statSync } from 'node:fs';

const MOST_CHUNK_BYTES = 4 * 2 ** 20;
const STEPS = 4;

/**
 * @param onProgress hears how many bytes of how many were read, and the quarter that has been reached in percent: none, each quarter and all, once each.
 * A file that cannot be read is left to the runtime, which says what is wrong with it.
 */
export function readWeights(
  files: readonly string[],
  onProgress: (read: number, total: number, percent: number) => void,
): void {
  const sizes = files.map(sizeOf);
  const total = sizes.reduce((sum, bytes) => sum + bytes, 0);
  // Small enough that every quarter is met.
  const buffer = Buffer.allocUnsafe(Math.min(MOST_CHUNK_BYTES, Math.max(1, Math.floor(total / (2 * STEPS)))));
  let [read, told] = [0, 0];
  onProgress(0, total, 0);
  for (const [index, file] of files.entries()) {
    if (sizes[index] === 0) continue;
    for (const bytes of chunksOf(file, buffer)) {
      // A file that grows while it is read does not make more of all than all.
      read = Math.min(total, read + bytes);
      const step = Math.floor((read * STEPS) / total);
      if (step > told) onProgress(read, total, (100 * step) / STEPS);
      told = step;
    }
  }
}

/** Bytes of a file; 0 for one that is not there. */
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

/**
 * Resident memory of this process. Reading it can fail at any time: it takes a file descriptor, and on Linux
 * a mounted /proc.
 */

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

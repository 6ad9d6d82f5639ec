/**
 * Closes the standard streams of a terminal that has gone. When Node.js exits, it restores the settings of
 * each terminal that it was started with, and aborts the process if that fails (ResetStdio in src/node.cc).
 * The exit code of a clean stop would be lost.
 */
import { closeSync, fstatSync } from 'node:fs';
import { isatty } from 'node:tty';

const STANDARD_STREAMS = [0, 1, 2];

/**
 * Closes each standard stream that is a character device and not a terminal: a lost terminal no longer
 * answers as one. The other such device is /dev/null. Call it right before the exit: nothing can be written
 * after it.
 */
export function closeLostTerminals(): void {
  for (const stream of STANDARD_STREAMS) {
    try {
      if (fstatSync(stream).isCharacterDevice() && !isatty(stream)) closeSync(stream);
    } catch {
      // The stream is closed already.
    }
  }
}

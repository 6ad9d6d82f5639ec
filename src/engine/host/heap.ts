/** The heap of native code in this process. */
import { cFunction } from '../ffi.ts';

/**
 * Gives free memory of the heap back to the system (`malloc_trim(3)`). The C library keeps it otherwise:
 * 330 MB after 0.5 billion weights were saved. Does nothing with another C library than that of GNU.
 */
export function trimHeap(): void {
  if (process.platform !== 'linux') return;
  try {
    cFunction('malloc_trim', 'int', ['size_t'])(0);
  } catch {
    // musl has no such function, and keeps less.
  }
}

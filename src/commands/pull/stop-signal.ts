/** Signals that end a pull in a container. */
import { constants } from 'node:os';

/**
 * Resolves with the exit code of the first signal, if this is process 1 of a container: the kernel ignores
 * signals there that have no handler. Everywhere else the default ends the process at once, and a shell sees
 * that a signal did it.
 */
export function stopSignal(): Promise<number> {
  return new Promise((resolve) => {
    if (process.pid !== 1) return;
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
      process.once(signal, () => resolve(128 + constants.signals[signal]));
  });
}

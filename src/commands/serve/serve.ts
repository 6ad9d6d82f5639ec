/**
 * `rbees-workerd serve`: runs a worker until a stop is requested, then flushes standard output.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { stopNarration } from '../../narration/narrate.ts';
import { Worker, type WorkerStart } from './worker.ts';

/** Maximum time that a forced stop waits until the last lines of standard output are read. */
export const FORCED_FLUSH_MS = 100;

/**
 * Runs a worker until a stop is requested. Resolves with the exit code when everything is closed and standard
 * output is flushed; after a forced stop, at most 100 ms later.
 */
export async function serve(start: WorkerStart): Promise<number> {
  const worker = new Worker(start);
  const exitCode = await worker.run();
  const forcedExit = worker.forced.then(() => sleep(FORCED_FLUSH_MS, 1));
  return Promise.race([stopNarration().then(() => exitCode), forcedExit]);
}

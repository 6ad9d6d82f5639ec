/**
 * `rbees-workerd serve`: runs a worker until a stop is requested, then flushes standard output.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { stopNarration } from '../../narration/narrate.ts';
import { Worker, type WorkerStart } from './worker.ts';

/**
 * Time for the reader of standard output to take the last lines, in milliseconds: after a forced stop at most, and
 * at the end of a drain at least.
 */
export const FORCED_FLUSH_MS = 100;

/**
 * Runs a worker until a stop is requested. Resolves with the exit code when everything is closed and standard
 * output is flushed, or when `--shutdown-timeout` is over; after a forced stop, at most 100 ms later.
 */
export async function serve(start: WorkerStart): Promise<number> {
  const worker = new Worker(start);
  const exitCode = await worker.run();
  const forcedExit = worker.forced.then(() => sleep(FORCED_FLUSH_MS, 1));
  const flushMs = Math.max(FORCED_FLUSH_MS, worker.flushMs);
  return Promise.race([stopNarration(flushMs).then(() => exitCode), forcedExit]);
}

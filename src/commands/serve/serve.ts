/**
 * `rbees-workerd serve`: runs a worker until a stop is requested, then flushes standard output.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { stopNarration } from '../../narration/narrate.ts';
import { DrainBudget } from './drain-budget.ts';
import { Worker, type WorkerStart } from './worker.ts';

/**
 * Time for the reader of standard output to take the last lines, in milliseconds: after a forced stop at
 * most, and at the end of a drain at least.
 */
export const FORCED_FLUSH_MS = 100;

/**
 * Runs a worker until a stop is requested. Resolves with the exit code when everything is closed and standard
 * output is flushed, or when `--shutdown-timeout` is over; after a forced stop, at most 100 ms later.
 */
export async function serve(start: WorkerStart): Promise<number> {
  const { stops, settings } = start;
  const worker = new Worker(start);
  /** Milliseconds until the last lines must be flushed. */
  const leftMs = (): number => {
    const { at = 0 } = stops.first ?? {};
    return new DrainBudget(settings.config.shutdownTimeout * 1000, at).leftMs('flush');
  };
  // No stage of a drain can delay the end of the process.
  const overdue = stops.requested.then(({ exitCode }) => sleep(leftMs(), exitCode));
  const exitCode = await Promise.race([worker.run(), overdue]);
  const forcedExit = worker.forced.then(() => sleep(FORCED_FLUSH_MS, 1));
  const flushed = stopNarration(Math.max(FORCED_FLUSH_MS, leftMs())).then(() => exitCode);
  return Promise.race([flushed, forcedExit]);
}

/**
 * `rbees-workerd serve`: runs a worker until a stop is requested, then flushes standard output.
 */
import type { ChildProcess } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Config } from '../../config/config.ts';
import { stopNarration } from '../../narration/narrate.ts';
import { Worker } from './worker.ts';

/** Maximum time that a forced stop waits until the last lines of standard output are read. */
export const FORCED_FLUSH_MS = 100;

/**
 * Runs a worker until a stop is requested. Resolves with the exit code when everything is closed and standard
 * output is flushed; after a forced stop, at most 100 ms later.
 * @param engine the engine process, already forked
 */
export async function serve(config: Config, version: string, engine: ChildProcess): Promise<number> {
  const worker = new Worker(config, version, engine);
  const exitCode = await worker.run();
  const forcedExit = worker.forced.then(() => sleep(FORCED_FLUSH_MS, 1));
  return Promise.race([stopNarration().then(() => exitCode), forcedExit]);
}

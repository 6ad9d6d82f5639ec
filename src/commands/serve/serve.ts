/**
 * `rbees-workerd serve`: runs a worker until it is asked to stop, then flushes standard output.
 */
import type { ChildProcess } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Config } from '../../config/config.ts';
import { stopNarration } from '../../narration/narrate.ts';
import { Worker } from './worker.ts';

/** Maximum time that a forced stop waits for a reader of the last lines of standard output. */
const FORCED_FLUSH_MS = 100;

/**
 * Runs a worker until it is asked to stop. `engine` is the engine process, already forked. Resolves with the
 * exit code when everything is closed and standard output is flushed.
 */
export async function serve(config: Config, version: string, engine: ChildProcess): Promise<number> {
  const worker = new Worker(config, version, engine);
  const exitCode = await worker.run();
  const cut = worker.forced.then(() => sleep(FORCED_FLUSH_MS, 1));
  return Promise.race([stopNarration().then(() => exitCode), cut]);
}

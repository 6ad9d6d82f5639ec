/**
 * `rbees-workerd serve`: runs a worker until it is asked to stop, then flushes standard output.
 */
import type { ChildProcess } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Config } from '../../config/config.ts';
import { stopNarration } from '../../narration/narrate.ts';
import { Worker } from './worker.ts';

/** A stop that is forced waits no longer than this for somebody to read the last lines. */
const FORCED_FLUSH_MS = 100;

/**
 * Runs a worker, on an engine process that was forked already, until it is asked to stop. Resolves with the exit code when everything is
 * closed and stdout is flushed.
 */
export async function serve(config: Config, version: string, engine: ChildProcess): Promise<number> {
  const worker = new Worker(config, version, engine);
  const exitCode = await worker.run();
  const cut = worker.forced.then(() => sleep(FORCED_FLUSH_MS, 1));
  return Promise.race([stopNarration().then(() => exitCode), cut]);
}

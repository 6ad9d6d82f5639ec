/**
 * One worker with the default settings for all test files of a vitest process: a start takes 0.7 CPU seconds.
 * Only for tests that leave it as they found it: no signal, no lost engine, no running job.
 */
import { keep } from './processes.ts';
import { startWorker, type TestWorker } from './worker.ts';

let shared: Promise<TestWorker> | undefined;

/** The shared worker. The first call starts it; it ends with the vitest process. */
export function sharedWorker(): Promise<TestWorker> {
  shared ??= startWorker().then((worker) => {
    keep(worker.process);
    return worker;
  });
  return shared;
}

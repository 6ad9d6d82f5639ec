/**
 * The engine has a lower priority: the worker, which answers probes and writes streams, does not wait for a
 * core behind its steps.
 */
import { getPriority } from 'node:os';
import { afterEach, expect, test } from 'vitest';
import { enginePid } from '../../support/cli.ts';
import { startWorker, type TestWorker } from '../../support/worker.ts';

let worker: TestWorker;
afterEach(() => worker.kill());

test.skipIf(process.platform === 'win32')('an engine is nicer than its worker, and so is the next engine', async () => {
  worker = await startWorker();
  const own = getPriority(worker.process.pid);
  expect(own).toBe(getPriority());
  const first = enginePid(worker);
  expect(getPriority(first)).toBe(Math.min(19, own + 5));
  process.kill(first, 'SIGKILL');
  await worker.line('engine.restarted');
  expect(getPriority(enginePid(worker))).toBe(Math.min(19, own + 5));
});

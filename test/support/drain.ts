/** A worker that drains: the answers to its clients and its last lines. */
import { expect } from 'vitest';
import { Listener, longJob } from './listener.ts';
import { startWorker, type TestWorker, type WorkerOptions } from './worker.ts';

/** A drain that waits for something takes as long as `PATIENT` says. */
export const AT_ONCE_MS = 60_000;
export const PATIENT = ['--shutdown-timeout', '600'];

/** A worker with one slot and a stream that runs in it. */
export async function busyWorker(options: WorkerOptions = {}): Promise<{ worker: TestWorker; stream: Listener }> {
  const worker = await startWorker({ ...options, args: ['--slots', '1', ...PATIENT, ...(options.args ?? [])] });
  const stream = await Listener.open(worker, longJob('running'));
  await stream.untilToken();
  return { worker, stream };
}

export async function expectDraining(worker: TestWorker): Promise<void> {
  const response = await worker.post('/execute', longJob('late'));
  expect(response.status).toBe(503);
  expect(response.headers.get('retry-after')).toBeNull();
  expect(await response.json()).toMatchObject({ error: { code: 'DRAINING', retriable: true, retry: 'elsewhere' } });
  // An unread body keeps its connection open, and the end of the worker waits for that.
  const statuses = ['/ready', '/live'].map(async (path) => {
    const probe = await worker.get(path);
    await probe.text();
    return probe.status;
  });
  expect(await Promise.all(statuses)).toEqual([503, 200]);
  const health = await worker.get('/health');
  expect([health.status, await health.json()]).toEqual([503, expect.objectContaining({ status: 'draining' })]);
}

export async function expectCleanEnd(worker: TestWorker, reason: string): Promise<void> {
  expect(await worker.exited).toEqual({ code: 0, signal: null });
  const told = worker.lines.map((line) => line.event);
  expect(told.filter((event) => event === 'worker.draining')).toHaveLength(1);
  expect(worker.lines.at(-1)).toMatchObject({ event: 'server.shutdown', target: reason, reason });
  expect(worker.stderr).toBe('');
}

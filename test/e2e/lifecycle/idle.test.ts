/** An idle worker sleeps: no timer of a package or of a server wakes it. */
import { readFileSync } from 'node:fs';
import { request } from 'node:http';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, expect, test } from 'vitest';
import { killAll } from '../../support/processes.ts';
import { startWorker, type TestWorker } from '../../support/worker.ts';

afterEach(killAll);

const SECONDS = 5;
/**
 * Two per second. The signs of life of the engine make two or three in this time, a timer of 10 ms makes 500,
 * and one of 500 ms makes 10.
 */
const MOST_WAKE_UPS = 2 * SECONDS;

/** Times that the main thread of a process has waited for an event. */
function wakeUps(pid: number): number {
  const status = readFileSync(`/proc/${pid}/task/${pid}/status`, 'utf8');
  return Number(/^voluntary_ctxt_switches:\s+(\d+)$/m.exec(status)?.[1]);
}

/** The body of the answer to a request on a connection of its own, which is then closed. */
function answer(worker: TestWorker, path: string, body?: object): Promise<string> {
  const method = body ? 'POST' : 'GET';
  const headers = { 'Content-Type': 'application/json' };
  return new Promise((resolve, reject) => {
    const sent = request(worker.url + path, { agent: false, method, headers }, (response) => {
      text(response).then(resolve, reject);
    });
    sent.on('error', reject).end(body && JSON.stringify(body));
  });
}

test.runIf(process.platform === 'linux')('a worker wakes at most twice a second after its last request', async () => {
  const worker = await startWorker({ early: true });
  await worker.line('warmup.done');
  const pid = worker.process.pid ?? 0;
  expect(await answer(worker, '/execute', { job_id: 'job', prompt: 'Hello', max_tokens: 4 })).toContain(
    '"tokens_out":4',
  );
  expect(await answer(worker, '/metrics')).toContain('nodejs_eventloop_lag_mean_seconds ');
  // The fewest of three: garbage is collected once after the last work.
  const counts: number[] = [];
  for (let round = 0; round < 3; round += 1) {
    const before = wakeUps(pid);
    await sleep(SECONDS * 1000);
    counts.push(wakeUps(pid) - before);
  }
  expect(Math.min(...counts)).toBeLessThanOrEqual(MOST_WAKE_UPS);
  expect(await worker.stop()).toBe(0);
});

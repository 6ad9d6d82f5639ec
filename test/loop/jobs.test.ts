/** GET /jobs does not hold the event loop, however many jobs are kept. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { JobRegistry } from '../../src/jobs/registry.ts';
import { fakeJob } from '../support/fakes.ts';
import { CEILING_MS, callMs, turnMs } from './longest-turn.ts';
import { answerIn, getOf, type LoopServer, startLoopServer } from './loop-server.ts';

const KEPT = 10_000;

let server: LoopServer;
beforeAll(async () => {
  server = await startLoopServer();
  for (let index = 0; index < KEPT; index += 1) finish(server.jobs, index);
});
afterAll(() => server.app.close());

/** Adds a job that has ended, with the longest job id. */
function finish(jobs: JobRegistry, index: number): void {
  const jobId = `${'🐝'.repeat(250)}${index}`;
  const job = fakeJob(`req-${index}`, { jobId });
  job.progress.end = { at: performance.now(), errorCode: 'CANCELLED' };
  job.log.emit({ type: 'error', code: 'CANCELLED', message: 'Cancelled.', retriable: false, retry: 'never' });
  jobs.add(jobId, job);
  jobs.remove(jobId);
}

test.each(['', '?limit=1000', '?limit=1000&state=finished', '?state=running'])(
  'with 10 000 finished jobs, for %j',
  async (query) => {
    const request = getOf(`/jobs${query}`);
    const { status, body } = answerIn(await server.send(request));
    expect([status, (JSON.parse(body) as { totals: object }).totals]).toEqual([
      200,
      { waiting: 0, running: 0, stopping: 0, finished: KEPT },
    ]);
    expect(await turnMs(() => server.send(request))).toBeLessThan(CEILING_MS);
  },
);

test.each([`limit=${'9'.repeat(15_800)}`, 'limit=1&'.repeat(1975), 'state=%31'.repeat(1580)])(
  'with a query of 16 KiB',
  async (query) => {
    const request = getOf(`/jobs?${query}`);
    const { status, body } = answerIn(await server.send(request));
    expect([status, body.length < 1000]).toEqual([400, true]);
    expect(await turnMs(() => server.send(request))).toBeLessThan(CEILING_MS);
  },
);

test('the list of as many finished jobs as the registry keeps is copied in time', () => {
  const job = fakeJob('req-1');
  const kept = new Map(Array.from({ length: 100_000 }, (_, index) => [String(index), { job, until: 0 }]));
  expect(callMs(() => Array.from(kept.values(), (one) => one.job).reverse())).toBeLessThan(CEILING_MS);
});

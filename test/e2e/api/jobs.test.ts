/** GET /jobs lists what runs and what is kept, without any text of a prompt or an output. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { enginePid } from '../../support/cli.ts';
import { Listener, longJob } from '../../support/listener.ts';
import { startWorker, type TestWorker } from '../../support/worker.ts';

let worker: TestWorker;
beforeAll(async () => {
  worker = await startWorker({ args: ['--slots', '1', '--queue', '8', '--replay-ttl', '600'] });
});
afterAll(() => worker.kill());

type Row = Readonly<Record<string, unknown>> & { readonly job_id: string; readonly state: string };
interface Listed {
  readonly totals: Readonly<Record<string, number>>;
  readonly jobs: readonly Row[];
}

const list = async (query = '', from = worker): Promise<Listed> =>
  (await from.get(`/jobs${query}`)).json() as Promise<Listed>;
const rowOf = async (id: string, from = worker): Promise<Row | undefined> =>
  (await list('?limit=1000', from)).jobs.find((row) => row.job_id === id);

/** Keys that a row can have; a text of a prompt or an output has no place among them. */
const KEYS = [
  'job_id',
  'run_id',
  'correlation_id',
  'state',
  'stop_reason',
  'error_code',
  'tokens_in',
  'tokens_out',
  'readers',
  'accepted_at',
  'finished_at',
  'age_ms',
  'first_event_id',
  'next_event_id',
  'log_bytes',
];

describe('a job', () => {
  test('that runs has its slot, its tokens and its readers; the next one waits', async () => {
    const running = await Listener.open(worker, longJob('running'), { 'X-Correlation-Id': 'req-running' });
    await running.untilToken(5);
    const second = await Listener.attach(worker, 'running');
    const waiting = await Listener.open(worker, longJob('waiting'));
    await waiting.untilNarrated('request.queued');
    const { totals, jobs } = await list();
    expect(totals).toMatchObject({ waiting: 1, running: 1, stopping: 0 });
    expect(jobs.slice(0, 2)).toMatchObject([
      {
        job_id: 'running',
        run_id: running.response.headers.get('x-run-id'),
        correlation_id: 'req-running',
        state: 'running',
        readers: 2,
        first_event_id: 0,
      },
      { job_id: 'waiting', state: 'waiting', readers: 1, tokens_out: 0 },
    ]);
    expect(Number(jobs[0]?.['tokens_in'])).toBeGreaterThan(0);
    expect(Number(jobs[0]?.['tokens_out'])).toBeGreaterThan(5);
    expect(Number(jobs[0]?.['next_event_id'])).toBeGreaterThan(5);
    expect(jobs[0]).not.toHaveProperty('finished_at');
    for (const stream of [waiting, second, running]) stream.leave();
    await worker.line('reader.left', (line) => line['job_id'] === 'running');
    await worker.line('inference.failed', (line) => line['job_id'] === 'waiting');
  });

  test('that ended is finished, with the reason of its end', async () => {
    const events = await worker.execute({ job_id: 'short', prompt: 'The sea', max_tokens: 7, min_tokens: 7 });
    expect(await rowOf('short')).toMatchObject({
      state: 'finished',
      stop_reason: 'max_tokens',
      tokens_out: 7,
      readers: 0,
      next_event_id: events.length,
    });
    const row = await rowOf('short');
    const [accepted, finished] = [row?.['accepted_at'], row?.['finished_at']].map((time) => Date.parse(String(time)));
    expect(finished).toBeGreaterThanOrEqual(accepted ?? Number.NaN);
    expect(accepted).toBeLessThanOrEqual(Date.now());
    expect(row).not.toHaveProperty('error_code');
  });

  test('has the same times in every answer', async () => {
    await worker.execute({ job_id: 'stable', prompt: 'The sea', max_tokens: 1 });
    const rows = [];
    for (let call = 0; call < 100; call += 1) rows.push(await rowOf('stable'));
    expect(new Set(rows.map((row) => `${row?.['accepted_at']} ${row?.['finished_at']}`)).size).toBe(1);
  });

  test('that failed is finished, with the code of its error', async () => {
    const stream = await Listener.open(worker, longJob('cancelled'));
    await stream.untilToken();
    await worker.post('/cancel', { job_id: 'cancelled' });
    await stream.ended;
    expect(await rowOf('cancelled')).toMatchObject({ state: 'finished', error_code: 'CANCELLED' });
    expect(await rowOf('cancelled')).not.toHaveProperty('stop_reason');
  });

  test('that is being stopped while the engine is silent is stopping', async () => {
    const silent = await startWorker({ args: ['--slots', '1'] });
    try {
      const stream = await Listener.open(silent, longJob('silent'));
      await stream.untilToken();
      process.kill(enginePid(silent), 'SIGSTOP');
      await silent.post('/cancel', { job_id: 'silent' });
      expect(await rowOf('silent', silent)).toMatchObject({ state: 'stopping' });
    } finally {
      await silent.kill();
    }
  });

  test('that was refused is absent; an id that was used again is listed once, with its new run', async () => {
    await worker.post('/execute', { job_id: 'refused', prompt: 'sea '.repeat(600) });
    expect(await rowOf('refused')).toBeUndefined();
    const job = { job_id: 'again', prompt: 'The sea', max_tokens: 2 };
    const first = await worker.execute(job);
    const second = await worker.execute(job);
    const rows = (await list()).jobs.filter((row) => row.job_id === 'again');
    expect(rows.map((row) => row['run_id'])).toEqual([second[0]?.data['run_id']]);
    expect(rows[0]?.['run_id']).not.toBe(first[0]?.data['run_id']);
  });
});

describe('the answer', () => {
  test('shows no text of a prompt, an output or a stop string', async () => {
    const prompt = 'A secret lighthouse keeper';
    const stop = ['zanzibar'];
    await worker.execute({ job_id: 'private', prompt, stop, max_tokens: 30, seed: 7 });
    const text = await (await worker.get('/jobs?limit=1000')).text();
    expect(text).not.toMatch(/secret|lighthouse|zanzibar/);
    const { jobs } = JSON.parse(text) as Listed;
    expect(jobs.flatMap((row) => Object.keys(row)).filter((key) => !KEYS.includes(key))).toEqual([]);
  });

  test('has the last finished job first, at most `limit` jobs, of one `state`; the totals count all', async () => {
    for (const id of ['z-1', 'z-2', 'z-3']) await worker.execute({ job_id: id, prompt: 'The sea', max_tokens: 1 });
    const { totals, jobs } = await list('?limit=2');
    expect(jobs.map((row) => row.job_id)).toEqual(['z-3', 'z-2']);
    expect(totals['finished']).toBeGreaterThan(3);
    const running = await list('?state=running');
    expect(running).toMatchObject({ totals: { finished: totals['finished'] }, jobs: [] });
    expect((await list('?state=finished&limit=1')).jobs.map((row) => row.job_id)).toEqual(['z-3']);
  });

  test.each([
    ['limit=0', 'limit', 'limit must be a whole number from 1 to 1000, but is "0"'],
    ['limit=1001', 'limit', 'limit must be a whole number from 1 to 1000, but is "1001"'],
    ['limit=', 'limit', 'limit must be a whole number from 1 to 1000, but is ""'],
    ['limit=ten', 'limit', 'limit must be a whole number from 1 to 1000, but is "ten"'],
    ['limit=1&limit=2', 'limit', 'limit must be a whole number from 1 to 1000, but is "1,2"'],
    ['state=late', 'state', 'state must be waiting, running, stopping or finished, but is "late"'],
    ['state=running&state=waiting', 'state', expect.stringContaining('running,waiting')],
  ])('to ?%s is a clear 400', async (query, field, message) => {
    const response = await worker.get(`/jobs?${query}`);
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({ error: { code: 'INVALID_REQUEST', errors: [{ field, message }] } });
  });

  test('to two wrong parameters names both', async () => {
    const { error } = (await (await worker.get('/jobs?limit=x&state=y')).json()) as { error: { errors: unknown[] } };
    expect(error.errors).toHaveLength(2);
  });

  test('requires the token, and is refused to a page of another origin', async () => {
    const guarded = await startWorker({ args: ['--api-token', 'a-token-of-the-test'], early: true });
    try {
      expect((await guarded.get('/jobs')).status).toBe(401);
      const answer = await guarded.get('/jobs', { Authorization: 'Bearer a-token-of-the-test' });
      expect([answer.status, await answer.json()]).toMatchObject([200, { jobs: [] }]);
    } finally {
      await guarded.kill();
    }
    expect((await worker.get('/jobs', { 'Sec-Fetch-Site': 'cross-site' })).status).toBe(403);
  });
});

/** Requests that share the memory of the cache, and the beginnings of their prompts. */
import { setTimeout } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { lastOf, longJob, narrated } from '../../support/listener.ts';
import { openAll, undisturbed } from '../../support/survivors.ts';
import { all, type StreamEvent, startWorker, type TestWorker } from '../../support/worker.ts';

/** A scrape takes time of the worker, which the streams need. */
const BETWEEN_SCRAPES_MS = 25;

const metric = async (worker: TestWorker, name: string): Promise<number> => {
  const text = await (await worker.get('/metrics')).text();
  return Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(text)?.[1]);
};

describe('eight streams with memory for two', () => {
  const SEEDS = [1, 2, 3, 4, 5, 6, 7, 8];
  let worker: TestWorker;
  let alone: TestWorker;
  beforeAll(async () => {
    // A token takes 4 KiB: two streams of 250 tokens fit.
    const args = ['--slots', '8', '--cache-memory', '2'];
    [worker, alone] = await Promise.all([startWorker({ args }), startWorker({ args: ['--slots', '1'] })]);
  });
  afterAll(() => Promise.all([worker.kill(), alone.kill()]));

  test('end with their own text; their users and the operator read that they gave way', async () => {
    const streams = await openAll(worker, SEEDS);
    let most = 0;
    const watched = Promise.all(streams.map(({ ended }) => ended));
    for (let done = false; !done; ) {
      most = Math.max(most, await metric(worker, 'worker_kv_cache_bytes'));
      done = await Promise.race([watched.then(() => true), setTimeout(BETWEEN_SCRAPES_MS, false)]);
    }
    const budget = await metric(worker, 'worker_kv_cache_budget_bytes');
    expect(most).toBeGreaterThan(budget / 2);
    expect(most).toBeLessThanOrEqual(budget);
    const expected = await undisturbed(alone, SEEDS);
    let preempted = 0;
    for (const [index, stream] of streams.entries()) {
      expect(stream.text).toBe(expected[index]);
      const events = await stream.ended;
      expect(lastOf(events)).toMatchObject({ type: 'end' });
      const told = narrated(events).filter((event) => ['request.preempted', 'request.resumed'].includes(event));
      preempted += told.length / 2;
      expect(told).toEqual(told.map((_, place) => (place % 2 === 0 ? 'request.preempted' : 'request.resumed')));
      const indexes = all(events, 'token').map((token) => token['i']);
      expect(indexes).toEqual([...indexes.keys()]);
    }
    expect(preempted).toBeGreaterThan(0);
    expect(await metric(worker, 'worker_requests_preempted_total')).toBe(preempted);
    expect(await metric(worker, 'worker_kv_cache_evictions_total')).toBeGreaterThan(0);
    expect(await worker.line('cache.evicted')).toMatchObject({ level: 'INFO', prefixes_evicted: expect.any(Number) });
  });
});

describe('requests with one beginning', () => {
  const BEGINNING = 'The sea is wide and the moon is far away and the frog sits by the pond. '.repeat(4);
  let worker: TestWorker;
  beforeAll(async () => {
    worker = await startWorker({ args: ['--slots', '4'] });
  });
  afterAll(() => worker.kill());

  const run = (job_id: string, more: object): Promise<StreamEvent[]> =>
    worker.execute(longJob(job_id, { prompt: `${BEGINNING}${job_id}`, max_tokens: 4, min_tokens: 4, ...more }));
  const cached = async (job_id: string, more: object): Promise<number> =>
    Number(lastOf(await run(job_id, more))['cached_tokens']);

  test('reuse it only with the same cache_salt', async () => {
    expect(await cached('a', { cache_salt: 'one tenant' })).toBe(0);
    expect(await cached('b', { cache_salt: 'other tenant' })).toBe(0);
    expect(await cached('c', { cache_salt: 'one tenant' })).toBeGreaterThan(32);
    expect(await cached('d', {})).toBe(0);
    expect(await cached('e', { cache_salt: null })).toBeGreaterThan(32);
  });

  test('on a route of OpenAI too', async () => {
    const ask = async (cache_salt: string): Promise<number> => {
      const answer = await worker.post('/v1/completions', { prompt: `${BEGINNING}!`, max_tokens: 2, cache_salt });
      const { usage } = (await answer.json()) as {
        usage: { prompt_tokens_details?: { cached_tokens?: number } };
      };
      return usage.prompt_tokens_details?.cached_tokens ?? 0;
    };
    expect(await ask('x')).toBe(0);
    expect(await ask('y')).toBe(0);
    expect(await ask('x')).toBeGreaterThan(32);
  });

  test.each([[''], ['secret'.repeat(43)], [7], [Array.from({ length: 1025 }, () => 'secret')]])(
    'a salt that is no text of 1 to 256 characters is refused, and not repeated: %j',
    async (salt) => {
      const answer = await worker.post('/execute', longJob('bad', { cache_salt: salt }));
      expect(answer.status).toBe(400);
      const text = await answer.text();
      expect(text).toContain('cache_salt must be a text of 1 to 256 characters');
      expect(text).not.toContain('secret');
    },
  );
});

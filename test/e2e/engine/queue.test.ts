/** One slot and a short queue: a queued request gets its position, a refused one gets Retry-After. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Listener, lastOf, longJob } from '../../support/listener.ts';
import { startWorker, type TestWorker } from '../../support/worker.ts';

describe('one slot and a queue of one', () => {
  let worker: TestWorker;
  beforeAll(async () => {
    worker = await startWorker({ args: ['--slots', '1', '--queue', '1'] });
  });
  afterAll(() => worker.kill());

  test('the third request gets ALL_SLOTS_BUSY, with the number of slots and a Retry-After time', async () => {
    const first = await Listener.open(worker, longJob('first'));
    await first.untilToken();
    const second = await Listener.open(worker, longJob('second', { max_tokens: 4, min_tokens: 4 }));
    await second.untilNarrated('request.queued');
    const response = await worker.post('/execute', longJob('third'), { 'X-Correlation-Id': 'req-third' });
    expect(response.status).toBe(503);
    expect(Number(response.headers.get('retry-after'))).toBeGreaterThanOrEqual(1);
    expect(Number.isInteger(Number(response.headers.get('retry-after')))).toBe(true);
    expect(await response.json()).toMatchObject({
      error: {
        code: 'ALL_SLOTS_BUSY',
        retriable: true,
        correlation_id: 'req-third',
        details: { slots_total: 1, slots_busy: 1 },
      },
    });
    expect(await (await worker.get('/health')).json()).toMatchObject({
      status: 'healthy',
      slots: { total: 1, busy: 1 },
      queue: { length: 1, limit: 1 },
    });
    await first.ended;
    expect(lastOf(await second.ended)).toMatchObject({ type: 'end', tokens_out: 4 });
  });

  test('a free place is used again', async () => {
    expect(lastOf(await worker.execute(longJob('third', { max_tokens: 2, min_tokens: 2 }))).type).toBe('end');
  });

  test('the id of a running or queued job is refused; the stream of that job continues', async () => {
    const running = await Listener.open(worker, longJob('same'));
    await running.untilToken();
    const waiting = await Listener.open(worker, longJob('same-too', { max_tokens: 2, min_tokens: 2 }));
    await waiting.untilNarrated('request.queued');
    for (const id of ['same', 'same-too']) {
      const response = await worker.post('/execute', longJob(id), { Accept: 'text/event-stream' });
      expect(response.status).toBe(409);
      expect(await response.json()).toMatchObject({ error: { code: 'DUPLICATE_JOB', retriable: true } });
    }
    expect(lastOf(await running.ended)).toMatchObject({ type: 'end', tokens_out: 480 });
    expect(lastOf(await waiting.ended)).toMatchObject({ type: 'end', tokens_out: 2 });
  });

  test('of several requests with one id at the same time one is accepted', async () => {
    const answers = await Promise.all([1, 2, 3].map(() => worker.post('/execute', longJob('at-once'))));
    const statuses = answers.map((response) => response.status).toSorted((a, b) => a - b);
    expect(statuses).toEqual([200, 409, 409]);
    await worker.post('/cancel', { job_id: 'at-once' });
    await Promise.all(answers.map((response) => response.text()));
  });

  test('an id is free again as soon as its last event is read', async () => {
    for (let round = 0; round < 20; round += 1) {
      const stream = await Listener.open(worker, longJob('again', { max_tokens: 1, min_tokens: 1 }));
      expect(stream.response.status).toBe(200);
      await stream.until(({ data }) => data.type === 'end');
    }
  });
});

/** A longer queue: the positions, the moves and the wait of each request; and no queue at all. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Listener, lastOf, longJob, narrated } from '../../support/listener.ts';
import { all, startWorker, type TestWorker } from '../../support/worker.ts';

describe('a longer queue', () => {
  let worker: TestWorker;
  beforeAll(async () => {
    worker = await startWorker({ args: ['--slots', '1', '--queue', '3'] });
  });
  afterAll(() => worker.kill());

  test('every request gets its position, and every move forward', async () => {
    const running = await Listener.open(worker, longJob('running'));
    await running.untilToken();
    const waiting: Listener[] = [];
    for (const id of ['one', 'two', 'three']) {
      const stream = await Listener.open(worker, longJob(id, { max_tokens: 20, min_tokens: 20 }));
      await stream.untilNarrated('request.queued');
      waiting.push(stream);
    }
    const ends = await Promise.all([running, ...waiting].map((stream) => stream.ended));
    const places = waiting.map(({ events }) =>
      all(events, 'narration')
        .filter((narration) => ['request.queued', 'queue.moved'].includes(String(narration['event'])))
        .map((narration) => [narration['event'], narration['queue_position']]),
    );
    expect(places).toEqual([
      [['request.queued', 1]],
      [
        ['request.queued', 2],
        ['queue.moved', 1],
      ],
      [
        ['request.queued', 3],
        ['queue.moved', 2],
        ['queue.moved', 1],
      ],
    ]);
    for (const events of ends) expect(lastOf(events).type).toBe('end');
    const finished = ends.map((events) => events.at(-1)?.at ?? 0);
    expect(finished).toEqual(finished.toSorted((a, b) => a - b));
  });

  test('the wait is reported in the end event and explained', async () => {
    const running = await Listener.open(worker, longJob('before'));
    await running.untilToken();
    const events = await worker.execute(longJob('after', { max_tokens: 2, min_tokens: 2 }));
    await running.ended;
    expect(Number(lastOf(events)['queue_ms'])).toBeGreaterThan(20);
    const told = all(events, 'narration').find((narration) => narration['event'] === 'time.explained');
    expect(Number(told?.['queue_ms'])).toBeCloseTo(Number(lastOf(events)['queue_ms']), 1);
    expect(narrated(events).indexOf('request.queued')).toBeLessThan(narrated(events).indexOf('cache.reset'));
  });
});

test('without a queue only the slots take jobs', async () => {
  const worker = await startWorker({ args: ['--slots', '2', '--queue', '0'] });
  try {
    const streams = await Promise.all(['a', 'b'].map((id) => Listener.open(worker, longJob(id))));
    const [response] = await Promise.all([worker.post('/execute', longJob('c'))]);
    expect(response.status).toBe(503);
    await response.text();
    for (const stream of streams) expect(lastOf(await stream.ended)).toMatchObject({ type: 'end' });
  } finally {
    await worker.kill();
  }
});

/** Queued and refused requests get an estimated wait, which the engine derives from its measurements. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { enginePid } from '../../support/cli.ts';
import { Listener, lastOf, longJob } from '../../support/listener.ts';
import { all, startWorker, type TestWorker } from '../../support/worker.ts';

interface Refusal {
  readonly header: number;
  readonly waitMs: number;
}

/** The answer to a request beyond the queue; undefined if there was room. */
async function refused(worker: TestWorker): Promise<Refusal | undefined> {
  const response = await worker.post('/execute', longJob('too-many', { max_tokens: 1, min_tokens: 1 }));
  if (response.status === 200) await response.text();
  if (response.status !== 503) return undefined;
  const { error } = (await response.json()) as { error: { details: { retry_after_ms: number } } };
  return { header: Number(response.headers.get('retry-after')), waitMs: error.details.retry_after_ms };
}

describe('a refused request', () => {
  let worker: TestWorker;
  beforeAll(async () => {
    worker = await startWorker({ args: ['--slots', '1', '--queue', '0'] });
  });
  afterAll(() => worker.kill());

  /**
   * The answer beside a job that has its first token. A short job may be over too soon: then it runs again.
   */
  async function waitBeside(tokens: number): Promise<Refusal> {
    for (let tries = 0; tries < 50; tries += 1) {
      const running = await Listener.open(worker, longJob('running', { max_tokens: tokens, min_tokens: tokens }));
      await running.untilToken();
      const told = await refused(worker);
      await running.ended;
      if (told) return told;
    }
    throw new Error('The slot was always free again.');
  }

  test('gets whole seconds, at least one, and milliseconds in the details', async () => {
    const { header, waitMs } = await waitBeside(300);
    expect(Number.isInteger(header)).toBe(true);
    expect(header).toBe(Math.max(1, Math.ceil(waitMs / 1000)));
    expect(Number.isInteger(waitMs)).toBe(true);
    expect(waitMs).toBeGreaterThanOrEqual(0);
  });

  test('gets a longer wait if the job before it may run for long', async () => {
    const long = [await waitBeside(300), await waitBeside(300)];
    const short = [await waitBeside(24), await waitBeside(24), await waitBeside(24)];
    // A busy machine can make one of them too long.
    expect(Math.max(...long.map(({ waitMs }) => waitMs))).toBeGreaterThan(
      Math.min(...short.map(({ waitMs }) => waitMs)),
    );
  });
});

describe('a queued request', () => {
  let worker: TestWorker;
  beforeAll(async () => {
    worker = await startWorker({ args: ['--slots', '1', '--queue', '3', '--stall-after', '600'] });
  });
  afterAll(() => worker.kill());

  test('gets an estimated wait with every position, a longer one further behind', async () => {
    const running = await Listener.open(worker, longJob('running', { max_tokens: 150, min_tokens: 150 }));
    await running.untilToken();
    // The engine is suspended until all have arrived, so that it estimates all of them at once.
    process.kill(enginePid(worker), 'SIGSTOP');
    const waiting: Listener[] = [];
    for (const id of ['one', 'two', 'three'])
      waiting.push(await Listener.open(worker, longJob(id, { max_tokens: 30, min_tokens: 30 })));
    process.kill(enginePid(worker), 'SIGCONT');
    const told = await Promise.all(waiting.map(({ ended }) => ended));
    const places = told.map((events) =>
      all(events, 'narration').filter(({ event }) => ['request.queued', 'queue.moved'].includes(String(event))),
    );
    expect(places.map((narrations) => narrations.map((one) => one['queue_position']))).toEqual([
      [1],
      [2, 1],
      [3, 2, 1],
    ]);
    for (const narration of places.flat()) {
      expect(narration['eta_ms']).toBeGreaterThanOrEqual(0);
      expect(narration['human']).toMatch(/; it starts in (a moment|about \d+\.\d s)$/);
    }
    const [one, two, three] = places.map(([first]) => Number(first?.['eta_ms']));
    expect(two).toBeGreaterThan(Number(one));
    expect(three).toBeGreaterThan(Number(two));
    for (const events of [await running.ended, ...told]) expect(lastOf(events).type).toBe('end');
  });
});

/** Many requests at once: no stream has content of another, and each has the text that it has alone. */
import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { endings, Listener, lastOf } from '../../support/listener.ts';
import { sampleSize } from '../../support/sample.ts';
import { all, numberOf, type StreamEvent, startWorker, type TestWorker, textOf } from '../../support/worker.ts';

const JOBS = sampleSize(32, 12);
const THEMES = ['the sea', 'the moon', 'a frog', 'rain', 'the old pier', 'snow', 'a bee', 'wind'];

interface Job {
  readonly body: { readonly job_id: string } & Record<string, unknown>;
  readonly correlationId: string;
}

/** Different in prompt, length and parameters; each with its own ids and seed. */
function jobs(round: string): Job[] {
  return Array.from({ length: JOBS }, (_, index) => ({
    correlationId: `req-${round}-${index}-x`,
    body: {
      job_id: `job-${round}-${index}-x`,
      prompt: `${'Please. '.repeat(index % 5)}Write a haiku about ${THEMES[index % THEMES.length]}`,
      seed: 1000 + index,
      max_tokens: 20 + ((index * 7) % 60),
      min_tokens: 10 + (index % 10),
      temperature: [0, 0.7, 1, 1.4][index % 4],
      ...(index % 3 === 0 && { top_k: 40 }),
      ...(index % 5 === 0 && { repetition_penalty: 1.2 }),
      ...(index % 7 === 0 && { logprobs: 2 }),
      ...(index % 6 === 0 && { stop: ['\n'] }),
    },
  }));
}

/** All ids in an event are those of this job. */
function expectOwn(events: readonly StreamEvent[], { body, correlationId }: Job): void {
  expect(events.map(numberOf)).toEqual(events.map((_, index) => index));
  for (const { data } of events) {
    if ('correlation_id' in data) expect(data['correlation_id']).toBe(correlationId);
    if ('job_id' in data) expect(data['job_id']).toBe(body.job_id);
  }
  const ids = JSON.stringify(events).match(/(?:req|job)-[a-z]+-\d+-x/g) ?? [];
  expect(new Set(ids)).toEqual(new Set([correlationId, body.job_id]));
  expect(all(events, 'token').map((token) => token['i'])).toEqual(all(events, 'token').map((_, index) => index));
}

describe('many at once', () => {
  let worker: TestWorker;
  let alone: string[];

  beforeAll(async () => {
    worker = await startWorker({ args: ['--slots', '4'] });
    alone = [];
    for (const { body } of jobs('alone')) alone.push(textOf(await worker.execute(body)));
  }, 60_000);
  afterAll(() => worker.kill());

  test('each stream is complete, has its own events, and has the text of the job alone', async () => {
    const together = jobs('together');
    const streams = await Promise.all(
      together.map(({ body, correlationId }) => worker.execute(body, { 'X-Correlation-Id': correlationId })),
    );
    for (const [index, events] of streams.entries()) {
      const job = together[index] as Job;
      expectOwn(events, job);
      expect(endings(events)).toEqual([events.at(-1)]);
      expect(lastOf(events)).toMatchObject({ type: 'end', seed: job.body['seed'] });
    }
    expect(streams.map(textOf)).toEqual(alone);
  });

  test('each line of stdout has one job and its one correlation id', async () => {
    for (const { body, correlationId } of jobs('together')) {
      const lines = await worker.told(correlationId);
      expect(lines.at(-1)?.event).toBe('time.explained');
      for (const line of lines) expect(line['job_id']).toBe(body.job_id);
      const own = worker.lines.filter((line) => line['job_id'] === body.job_id);
      expect(own).toEqual(lines);
    }
  });

  const behaviours = fc.array(
    fc.record({
      delay: fc.integer({ min: 0, max: 120 }),
      what: fc.constantFrom('stay' as const, 'stay' as const, 'cancel' as const, 'leave' as const),
      after: fc.integer({ min: 0, max: 250 }),
    }),
    { minLength: JOBS, maxLength: JOBS },
  );

  test('clients that come, cancel and leave at random times disturb no other', async () => {
    let round = 0;
    await fc.assert(
      fc.asyncProperty(behaviours, async (plan) => {
        round += 1;
        const these = jobs(`mix${'abcdefgh'[round]}`);
        await Promise.all(these.map((job, index) => live(job, plan[index] as (typeof plan)[number], index)));
        await expectIdle(worker);
      }),
      { numRuns: sampleSize(4, 1), endOnFailure: true, seed: 20251009 },
    );
  }, 90_000);

  async function live(job: Job, plan: { delay: number; what: string; after: number }, index: number): Promise<void> {
    await sleep(plan.delay);
    const stream = await Listener.open(worker, job.body, { 'X-Correlation-Id': job.correlationId });
    expect(stream.response.status).toBe(200);
    if (plan.what !== 'stay') {
      await Promise.race([sleep(plan.after), stream.ended]);
      if (plan.what === 'leave') stream.leave();
      else await worker.post('/cancel', { job_id: job.body.job_id });
    }
    const events = await stream.ended;
    if (events.length > 0) expectOwn(events, job);
    const text = textOf(events);
    const whole = alone[index] as string;
    expect(whole.startsWith(text)).toBe(true);
    if (plan.what === 'leave') return;
    expect(endings(events)).toEqual([events.at(-1)]);
    const last = lastOf(events);
    if (last.type === 'end') expect(text).toBe(whole);
    else expect(last).toMatchObject({ type: 'error', code: 'CANCELLED' });
    if (plan.what === 'stay') expect(last.type).toBe('end');
  }
});

/** No slot is busy and the queue is empty after the last stream has closed. */
async function expectIdle(worker: TestWorker): Promise<void> {
  await expect
    .poll(async () => (await worker.get('/health')).json())
    .toMatchObject({ status: 'healthy', slots: { busy: 0 }, queue: { length: 0 } });
}

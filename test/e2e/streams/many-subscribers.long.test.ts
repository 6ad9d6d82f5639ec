/** A job has at most 16 subscribers, however they came: the next one is refused and can retry when one has left. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Listener, lastOf, longJob } from '../../support/listener.ts';
import { startWorker, type TestWorker } from '../../support/worker.ts';

const MAX = 16;

let worker: TestWorker;
beforeAll(async () => {
  worker = await startWorker({ args: ['--slots', '1'] });
});
afterAll(() => worker.kill());

const REFUSED = {
  error: {
    code: 'TOO_MANY_READERS',
    message: 'This job has 16 readers, the maximum. Disconnect one of them, or retry when one has left.',
    retriable: true,
  },
};

test('the 17th subscriber is answered 429, the others read on, and a free place can be taken', async () => {
  const first = await Listener.open(worker, longJob('crowded'));
  await first.untilToken();
  const others = await Promise.all(Array.from({ length: MAX - 1 }, () => Listener.attach(worker, 'crowded')));
  expect(others.map(({ response }) => response.status)).toEqual(Array(MAX - 1).fill(200));

  const refused = await worker.get('/jobs/crowded/events');
  expect(refused.status).toBe(429);
  expect(await refused.json()).toMatchObject(REFUSED);
  expect(refused.headers.get('x-correlation-id')).toBeTruthy();

  others[0]?.leave();
  let late = await Listener.attach(worker, 'crowded');
  while (late.response.status === 429) late = await Listener.attach(worker, 'crowded');
  expect(late.response.status).toBe(200);

  const events = await first.ended;
  expect(lastOf(events)).toMatchObject({ type: 'end', tokens_out: 480 });
  for (const other of [...others.slice(1), late])
    expect((await other.ended).map(({ data }) => data)).toEqual(events.map(({ data }) => data));
});

test('the limit is per job: another job has its own 16', async () => {
  const jobs = ['one', 'two'];
  for (const id of jobs) await worker.execute(longJob(id, { min_tokens: 5, max_tokens: 5 }));
  const open = jobs.flatMap((id) => Array.from({ length: MAX }, () => worker.get(`/jobs/${id}/events`)));
  const answers = await Promise.all(open);
  expect(answers.map(({ status }) => status)).toEqual(Array(2 * MAX).fill(200));
  await Promise.all(answers.map((answer) => answer.text()));
});

/**
 * The event logs are bounded: in time, in total memory, and for each running job. A dropped event is answered
 * 410.
 */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Listener, lastOf, longJob } from '../../support/listener.ts';
import { numberOf, startWorker, type TestWorker } from '../../support/worker.ts';

/** One MiB: half of it for finished jobs, and 256 KiB for each running job. */
const MEMORY = ['--replay-memory', '1', '--slots', '2'];

let worker: TestWorker;
beforeAll(async () => {
  worker = await startWorker({ args: MEMORY });
});
afterAll(() => worker.kill());

const events = (id: string, after?: number): Promise<Response> =>
  worker.get(`/jobs/${id}/events${after === undefined ? '' : `?after=${after}`}`);
const of = (job: string) => (line: Readonly<Record<string, unknown>>) => line['job_id'] === job;
/** 480 tokens of about 900 bytes each. */
const bulky = (id: string, more: object = {}): object => longJob(id, { logprobs: 20, ...more });

test('the time is bounded: 410 after --replay-ttl', async () => {
  const brief = await startWorker({ args: ['--replay-ttl', '1'] });
  try {
    await brief.execute({ job_id: 'brief', prompt: 'The sea', max_tokens: 1 });
    const ask = async (): Promise<[number, unknown]> => {
      const response = await brief.get('/jobs/brief/events');
      return [response.status, response.status === 200 ? await response.text() : await response.json()];
    };
    expect(await ask()).toEqual([200, expect.stringContaining('event: end')]);
    await expect.poll(ask).toMatchObject([410, { error: { code: 'GONE', retriable: false } }]);
    const cancel = await brief.post('/cancel', { job_id: 'brief' });
    expect(await cancel.json()).toEqual({ job_id: 'brief', status: 'finished' });
  } finally {
    await brief.kill();
  }
});

test('the total memory is bounded: the oldest logs are dropped', async () => {
  const ids = Array.from({ length: 20 }, (_, index) => `of-many-${index}`);
  for (const id of ids) await worker.execute(bulky(id, { max_tokens: 60, min_tokens: 60 }));
  const statuses = [];
  for (const id of ids) {
    const response = await events(id);
    statuses.push(response.status);
    await response.text();
  }
  expect(statuses.slice(0, 5)).toEqual(Array(5).fill(410));
  expect(statuses.slice(-5)).toEqual(Array(5).fill(200));
  expect(statuses).toEqual(statuses.toSorted((a, b) => b - a));
  const metrics = await (await worker.get('/metrics')).text();
  const bytes = Number(/^worker_event_log_bytes (\d+)/m.exec(metrics)?.[1]);
  expect(bytes).toBeGreaterThan(100_000);
  expect(bytes).toBeLessThanOrEqual(2 ** 19);
});

test('the log of a long output drops events that its clients have read: 410 for those, and the rest can be read', async () => {
  const stream = await Listener.open(worker, bulky('long'));
  const live = await stream.ended;
  expect(live.map(numberOf)).toEqual(live.map((_, index) => index));
  const gone = await events('long');
  expect(gone.status).toBe(410);
  const { error } = (await gone.json()) as {
    error: { code: string; details: { first_event_id: number; resume_after: string } };
  };
  expect(error.code).toBe('GONE');
  const first = error.details.first_event_id;
  expect(first).toBeGreaterThan(0);
  for (const after of [first - 1, error.details.resume_after]) {
    const rest = await Listener.attach(worker, 'long', after);
    expect((await rest.ended).map(({ data }) => data)).toEqual(live.slice(first).map(({ data }) => data));
  }
});

test('a job without a client pauses when its log is full, and continues when a client comes', async () => {
  const stream = await Listener.open(worker, bulky('unread', { on_disconnect: 'continue' }));
  await stream.untilToken();
  stream.leave();
  const paused = await worker.line('generation.paused', of('unread'));
  expect(Number(paused['unread_bytes'])).toBeLessThan(2 ** 19);
  const back = await Listener.attach(worker, 'unread');
  const told = await back.ended;
  expect(lastOf(told)).toMatchObject({ type: 'end', tokens_out: 480 });
  expect(told.map(numberOf)).toEqual(told.map((_, index) => index));
});

test('a queued job that no client claims in time is cancelled, with the reason', async () => {
  const narrow = await startWorker({ args: ['--slots', '1', '--detach-timeout', '1', '--slow-timeout', '60'] });
  try {
    const blockers = await Promise.all(
      Array.from({ length: 20 }, (_, n) => Listener.open(narrow, longJob(`blocks-${n}`))),
    );
    const waiting = await Listener.open(narrow, longJob('forgotten', { on_disconnect: 'continue' }));
    await waiting.untilNarrated('request.queued');
    waiting.leave();
    await narrow.line('reader.detached', of('forgotten'));
    const told = await narrow.line('request.cancelled', of('forgotten'));
    expect(told['reason']).toBe('no reader came back in time');
    for (const blocker of blockers) blocker.leave();
  } finally {
    await narrow.kill();
  }
});

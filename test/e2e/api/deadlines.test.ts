/** The time limit of a request: of its body, of its X-Deadline header, of the operator. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { enginePid } from '../../support/cli.ts';
import { endings, Listener, lastOf, longJob, narrated } from '../../support/listener.ts';
import { all, startWorker, type TestWorker } from '../../support/worker.ts';

let worker: TestWorker;
beforeAll(async () => {
  worker = await startWorker({ args: ['--slots', '1'] });
});
afterAll(() => worker.kill());

const inMs = (ms: number): number => Date.now() + ms;
const short = { prompt: 'The sea', max_tokens: 1 };

test.each([
  ['epoch milliseconds', () => String(inMs(-1000))],
  ['ISO 8601', () => new Date(inMs(-1000)).toISOString()],
  ['ISO 8601 with an offset', () => '2020-01-31T12:00:00+02:00'],
  ['the beginning of time', () => '0'],
])('a deadline in the past is answered at once: %s', async (_, deadline) => {
  const response = await worker.post('/execute', { ...short, job_id: 'late' }, { 'X-Deadline': deadline() });
  expect(response.status).toBe(504);
  expect(await response.json()).toMatchObject({ error: { code: 'TIMEOUT', retriable: false, retry: 'never' } });
  expect((await worker.post('/cancel', { job_id: 'late' })).status).toBe(404);
});

test.each([
  ['epoch milliseconds', () => String(inMs(60_000))],
  ['ISO 8601', () => new Date(inMs(60_000)).toISOString()],
  ['far away', () => '4102444800000'],
])('a deadline in the future is accepted: %s', async (_, deadline) => {
  expect(lastOf(await worker.execute({ ...short, job_id: 'early' }, { 'X-Deadline': deadline() })).type).toBe('end');
});

test.each(['tomorrow', '12:00', '-5', '1.5', '2026-13-45T99:99:99Z', 'NaN', '99999999999999999', 'Infinity', '1e3'])(
  'a value that is not a time is invalid: %s',
  async (deadline) => {
    const response = await worker.post('/execute', { ...short, job_id: 'no-time' }, { 'X-Deadline': deadline });
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({
      error: { code: 'INVALID_REQUEST', errors: [{ field: 'X-Deadline', constraint: 'format' }] },
    });
  },
);

test('a bad deadline is reported together with other errors', async () => {
  const response = await worker.post(
    '/execute',
    { job_id: 'both', prompt: '', max_tokens: 0 },
    { 'X-Deadline': 'soon' },
  );
  const { error } = (await response.json()) as { error: { errors: { field: string }[] } };
  expect(error.errors.map((one) => one.field).toSorted()).toEqual(['X-Deadline', 'max_tokens', 'prompt']);
});

/** @param retry `never` if the deadline of the request ends it: the same request is then always too late */
async function timesOut(body: object, retry: 'here' | 'never', headers: Record<string, string> = {}): Promise<void> {
  const stream = await Listener.open(worker, body, headers);
  const events = await stream.ended;
  expect(endings(events)).toEqual([events.at(-1)]);
  expect(lastOf(events)).toMatchObject({ type: 'error', code: 'TIMEOUT', retriable: retry === 'here', retry });
  expect(narrated(events).slice(-2)).toEqual(['request.cancelled', 'inference.failed']);
  const failed = events.filter(({ data }) => data['event'] === 'inference.failed');
  expect(failed[0]?.data).toMatchObject({ error_kind: 'timeout' });
  await expect.poll(async () => (await worker.get('/health')).json()).toMatchObject({ slots: { busy: 0 } });
}

test('timeout_ms ends a running generation with TIMEOUT', async () => {
  await timesOut(longJob('slow', { timeout_ms: 60 }), 'here');
});

test('a deadline ends a running generation, in milliseconds and in ISO form', async () => {
  await timesOut(longJob('slow-ms'), 'never', { 'X-Deadline': String(inMs(80)) });
  await timesOut(longJob('slow-iso'), 'never', { 'X-Deadline': new Date(inMs(80)).toISOString() });
});

test('the earlier of both limits applies', async () => {
  await timesOut(longJob('earlier', { timeout_ms: 60_000 }), 'never', { 'X-Deadline': String(inMs(80)) });
  await timesOut(longJob('earlier', { timeout_ms: 60 }), 'here', { 'X-Deadline': String(inMs(60_000)) });
});

test('a queued request times out in the queue; the one before it does not', async () => {
  const running = await Listener.open(worker, longJob('running'));
  await running.untilToken();
  const waiting = await Listener.open(worker, longJob('waiting', { timeout_ms: 50 }));
  expect(lastOf(await waiting.ended)).toMatchObject({ type: 'error', code: 'TIMEOUT' });
  expect(waiting.told).not.toContain('cache.reset');
  expect(lastOf(await running.ended)).toMatchObject({ type: 'end', tokens_out: 480 });
});

test('a deadline that passes during the tokenization is a TIMEOUT, not a fault', async () => {
  const response = await worker.post('/execute', {
    job_id: 'reading',
    prompt: 'sea wind '.repeat(450),
    timeout_ms: 1,
  });
  expect(response.status).toBe(504);
  expect(await response.json()).toMatchObject({ error: { code: 'TIMEOUT', retriable: true } });
  expect(worker.lines.filter((line) => line.event === 'worker.fault')).toEqual([]);
});

test('a deadline that passes during the prefill ends it between two chunks', async () => {
  const slow = await startWorker({ args: ['--slots', '1', '--prefill-chunk', '2'] });
  try {
    const engine = enginePid(slow);
    const prompt = 'sea and wind and rain '.repeat(70);
    // The embedded model prefills this quickly, so the engine is suspended at the first progress until the
    // deadline has passed.
    for (let tries = 0; ; tries += 1) {
      const deadline = String(inMs(700));
      const stream = await Listener.open(slow, { job_id: `read-${tries}`, prompt }, { 'X-Deadline': deadline });
      await stream.untilNarrated('prefill.progress');
      process.kill(engine, 'SIGSTOP');
      await sleep(Math.max(0, Number(deadline) + 100 - Date.now()));
      process.kill(engine, 'SIGCONT');
      const events = await stream.ended;
      expect(endings(events)).toEqual([events.at(-1)]);
      expect(lastOf(events)).toMatchObject({ type: 'error', code: 'TIMEOUT' });
      if (stream.text !== '' && tries < 20) continue; // suspended too late: the stream has a token
      expect(all(events, 'token')).toEqual([]);
      expect(narrated(events).at(-1)).toBe('inference.failed');
      break;
    }
    expect(lastOf(await slow.execute({ ...short, job_id: 'next' }))).toMatchObject({ type: 'end' });
  } finally {
    await slow.kill();
  }
});

test('the metrics count timeouts', async () => {
  const text = await (await worker.get('/metrics')).text();
  expect(Number(/worker_requests_total\{outcome="timeout"\} (\d+)/.exec(text)?.[1])).toBeGreaterThanOrEqual(6);
});

test('the operator sets the maximum', async () => {
  const strict = await startWorker({ args: ['--request-timeout', '1', '--slots', '1'] });
  try {
    const jobs = Array.from({ length: 12 }, (_, index) => Listener.open(strict, longJob(`job-${index}`)));
    const ends = await Promise.all((await Promise.all(jobs)).map((stream) => stream.ended));
    expect(lastOf(ends.at(-1) ?? [])).toMatchObject({ type: 'error', code: 'TIMEOUT' });
  } finally {
    await strict.kill();
  }
});

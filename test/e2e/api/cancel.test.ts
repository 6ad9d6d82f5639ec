/**
 * POST /cancel: running, waiting, finished and unknown jobs; the events and lines of a cancel; the slot that
 * is free again.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { endings, Listener, lastOf, longJob, narrated } from '../../support/listener.ts';
import { all, startWorker, type TestWorker } from '../../support/worker.ts';

let worker: TestWorker;
beforeAll(async () => {
  worker = await startWorker({ args: ['--slots', '1'] });
});
afterAll(() => worker.kill());

async function cancel(id: string): Promise<[status: number, answer: unknown]> {
  const response = await worker.post('/cancel', { job_id: id });
  return [response.status, await response.json()];
}

const freeSlot = (): Promise<void> =>
  expect
    .poll(async () => (await worker.get('/health')).json())
    .toMatchObject({ slots: { busy: 0 }, queue: { length: 0 } });

test('a running job ends with CANCELLED, and its slot is free', async () => {
  const stream = await Listener.open(worker, longJob('running'), { 'X-Correlation-Id': 'req-running' });
  await stream.untilToken(5);
  expect(await cancel('running')).toEqual([202, { job_id: 'running', status: 'cancelling' }]);
  const events = await stream.ended;
  expect(endings(events)).toEqual([events.at(-1)]);
  expect(lastOf(events)).toMatchObject({
    type: 'error',
    code: 'CANCELLED',
    retriable: false,
    correlation_id: 'req-running',
  });
  await freeSlot();
  expect(all(events, 'token').length).toBeLessThan(480);
});

test('the cancel is narrated before the failure, with its duration and the discarded tokens', async () => {
  const lines = (await worker.told('req-running')).slice(-2);
  expect(lines.map((line) => line.event)).toEqual(['request.cancelled', 'inference.failed']);
  const [cancelled, failed] = lines;
  expect(cancelled).toMatchObject({ duration_ms: expect.any(Number), tokens_discarded: expect.any(Number) });
  expect(Number(cancelled?.['duration_ms'])).toBeLessThan(20_000);
  expect(Number(cancelled?.['tokens_discarded'])).toBeGreaterThanOrEqual(6);
  expect(failed).toMatchObject({ error_kind: 'cancelled', tokens_out: cancelled?.['tokens_discarded'], level: 'INFO' });
});

test('a repeated cancel changes nothing: cancelling, then finished', async () => {
  const stream = await Listener.open(worker, longJob('twice'));
  await stream.untilToken();
  const answers = await Promise.all([cancel('twice'), cancel('twice'), cancel('twice')]);
  for (const [status, answer] of answers) {
    expect(status).toBe(202);
    expect(['cancelling', 'finished']).toContain((answer as { status: string }).status);
  }
  await stream.ended;
  expect(endings(stream.events)).toHaveLength(1);
  expect(await cancel('twice')).toEqual([202, { job_id: 'twice', status: 'finished' }]);
  expect(narrated(stream.events).filter((event) => event === 'request.cancelled')).toHaveLength(1);
});

test('a job that has ended by itself is finished', async () => {
  expect(lastOf(await worker.execute({ job_id: 'own-end', prompt: 'The sea', max_tokens: 2 })).type).toBe('end');
  expect(await cancel('own-end')).toEqual([202, { job_id: 'own-end', status: 'finished' }]);
});

test('an unknown job is not found', async () => {
  const [status, answer] = await cancel('never-here');
  expect(status).toBe(404);
  expect(answer).toMatchObject({ error: { code: 'NOT_FOUND', retriable: false } });
});

test('a refused job is unknown', async () => {
  await worker.post('/execute', { job_id: 'refused' });
  expect((await cancel('refused'))[0]).toBe(404);
});

test('a waiting job ends without a slot, and the running one continues', async () => {
  const running = await Listener.open(worker, longJob('holds-the-slot'));
  await running.untilToken();
  const waiting = await Listener.open(worker, longJob('waits'));
  await waiting.untilNarrated('request.queued');
  expect(await cancel('waits')).toEqual([202, { job_id: 'waits', status: 'cancelling' }]);
  const events = await waiting.ended;
  expect(lastOf(events)).toMatchObject({ type: 'error', code: 'CANCELLED' });
  expect(all(events, 'token')).toEqual([]);
  expect(narrated(events)).not.toContain('cache.reset');
  expect(lastOf(await running.ended)).toMatchObject({ type: 'end', tokens_out: 480 });
});

test('the next job in the queue gets the slot of a cancelled job', async () => {
  const first = await Listener.open(worker, longJob('first'));
  await first.untilToken();
  const second = await Listener.open(worker, longJob('second', { max_tokens: 5, min_tokens: 5 }));
  await second.untilNarrated('request.queued');
  await cancel('first');
  expect(lastOf(await second.ended)).toMatchObject({ type: 'end', tokens_out: 5 });
});

test('the id of a cancelled job can be used again', async () => {
  const stream = await Listener.open(worker, longJob('reused'));
  await stream.untilToken();
  await cancel('reused');
  await stream.ended;
  expect(lastOf(await worker.execute(longJob('reused', { max_tokens: 3, min_tokens: 3 })))).toMatchObject({
    type: 'end',
  });
});

test.each([{}, { job_id: '' }, { job_id: 5 }, [], 'text'])('a body without a job id is refused: %j', async (body) => {
  const response = await worker.post('/cancel', JSON.stringify(body));
  expect(response.status).toBe(400);
  expect(await response.json()).toMatchObject({ error: { code: 'INVALID_REQUEST', errors: [expect.anything()] } });
});

/** A long prompt: its tokenization takes tens of milliseconds on a thread, before the stream begins. */
const slowToTokenize = (id: string): object => ({ job_id: id, prompt: 'sea wind '.repeat(3600) });

test('a job whose prompt is being tokenized can be cancelled without a worker.fault', async () => {
  const answer = worker.post('/execute', slowToTokenize('reading'));
  let found = await cancel('reading');
  while (found[0] === 404) found = await cancel('reading');
  expect(found[0]).toBe(202);
  const response = await answer;
  const body = (await response.json()) as { error: { code: string } };
  // If the cancel comes too late, the prompt is too long.
  expect(['CANCELLED', 'PROMPT_TOO_LONG']).toContain(body.error.code);
  expect(worker.lines.filter((line) => line.event === 'worker.fault')).toEqual([]);
  await freeSlot();
});

test('a cancel at any moment of a job leaves one terminal event and a prefix of the text', async () => {
  const body = { prompt: 'The sea', seed: 5, min_tokens: 40, max_tokens: 40, temperature: 1 };
  const whole = await Listener.open(worker, { ...body, job_id: 'whole' });
  await whole.ended;
  for (let round = 0; round < 20; round += 1) {
    const id = `moment-${round}`;
    const stream = await Listener.open(worker, { ...body, job_id: id });
    await sleep(round * 8);
    await cancel(id);
    const events = await stream.ended;
    expect(endings(events)).toEqual([events.at(-1)]);
    expect(whole.text.startsWith(stream.text)).toBe(true);
    // A stream with `end` has the whole text.
    if (lastOf(events).type === 'end') expect([lastOf(events)['tokens_out'], stream.text]).toEqual([40, whole.text]);
  }
});

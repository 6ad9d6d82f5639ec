/**
 * Prompt and output share the context: a prompt that is too long is refused with both numbers, an output that
 * is too long is cut.
 */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { lastOf, narrated } from '../../support/listener.ts';
import { all, startWorker, type TestWorker } from '../../support/worker.ts';

const CONTEXT = 64;
let worker: TestWorker;
beforeAll(async () => {
  worker = await startWorker({ args: ['--context', String(CONTEXT), '--max-prompt-chars', '5000'] });
});
afterAll(() => worker.kill());

test('a prompt that does not fit is refused with both numbers', async () => {
  const response = await worker.post(
    '/execute',
    { job_id: 'too-long', prompt: 'the sea and the wind '.repeat(30) },
    { 'X-Correlation-Id': 'req-too-long' },
  );
  expect(response.status).toBe(413);
  const { error } = (await response.json()) as { error: Record<string, unknown> };
  expect(error).toMatchObject({
    code: 'PROMPT_TOO_LONG',
    retriable: false,
    correlation_id: 'req-too-long',
    details: { tokens_in: expect.any(Number), context_length: CONTEXT },
  });
  const { tokens_in } = error['details'] as { tokens_in: number };
  expect(tokens_in).toBeGreaterThan(CONTEXT);
  expect(error['message']).toContain(String(tokens_in));
  expect(error['message']).toContain(String(CONTEXT));
  expect((await worker.told('req-too-long')).map((line) => [line.event, line['error_kind']])).toEqual([
    ['request.invalid', 'prompt_too_long'],
  ]);
});

test('a prompt that leaves a few tokens gets exactly these', async () => {
  const events = await worker.execute({
    job_id: 'few',
    prompt: 'the sea and the wind '.repeat(9),
    min_tokens: 60,
    max_tokens: 60,
  });
  const end = lastOf(events);
  expect(end).toMatchObject({ type: 'end', stop_reason: 'max_tokens' });
  expect(Number(end['tokens_in']) + Number(end['tokens_out'])).toBe(CONTEXT);
  expect(Number(end['tokens_out'])).toBeLessThan(60);
  const start = all(events, 'narration').find((narration) => narration['event'] === 'inference.start');
  expect(start).toMatchObject({ max_tokens: end['tokens_out'] });
});

test('a prompt that leaves exactly one token gets one; one that leaves none is refused', async () => {
  const measured = lastOf(await worker.execute({ job_id: 'm', prompt: 'sea', raw: true, max_tokens: 1 }));
  const frame = Number(measured['tokens_in']) - 1;
  const statuses: number[] = [];
  for (let words = CONTEXT - frame - 2; words <= CONTEXT - frame + 1; words += 1) {
    const response = await worker.post('/execute', {
      job_id: `w${words}`,
      prompt: 'sea'.padEnd(3 + 4 * (words - 1), ' sea'),
      raw: true,
    });
    statuses.push(response.status);
    const body = await response.text();
    if (response.status === 200) expect(body).toContain('"stop_reason"');
  }
  expect(statuses).toContain(200);
  expect(statuses).toContain(413);
  expect(statuses).toEqual(statuses.toSorted((a, b) => a - b));
});

test('more characters than --max-prompt-chars are refused before the tokenization', async () => {
  const response = await worker.post('/execute', { job_id: 'chars', prompt: 'x'.repeat(5001) });
  expect(response.status).toBe(400);
  expect(await response.json()).toMatchObject({ error: { errors: [{ field: 'prompt', constraint: 'max_length' }] } });
});

test('characters are counted as Unicode counts them', async () => {
  const bees = '\u{1F41D}'.repeat(5000);
  expect((await worker.post('/execute', { job_id: 'bees', prompt: bees })).status).toBe(413);
  expect((await worker.post('/execute', { job_id: 'bees', prompt: `${bees}x` })).status).toBe(400);
});

test('a request without a length gets the rest of the context', async () => {
  const events = await worker.execute({ job_id: 'free', prompt: 'The sea', temperature: 0 });
  const start = all(events, 'narration').find((narration) => narration['event'] === 'inference.start');
  expect(Number(start?.['max_tokens']) + Number(lastOf(events)['tokens_in'])).toBe(CONTEXT);
  expect(narrated(events).at(-1)).toBe('time.explained');
});

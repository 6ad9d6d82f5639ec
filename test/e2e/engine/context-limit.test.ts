/**
 * Prompt and output share the context: a prompt that is too long is refused with both numbers, an output that
 * is too long is cut.
 */
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Listener, lastOf, narrated } from '../../support/listener.ts';
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

describe('a model with a long context', () => {
  const LONG = 40_000;
  let folder: string;
  let long: TestWorker;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'long-context-'));
    await cp(fileURLToPath(new URL('../../models/hub', import.meta.url)), folder, { recursive: true });
    await change('config.json', { max_position_embeddings: LONG });
    await change('tokenizer_config.json', { model_max_length: LONG });
    long = await startWorker({ args: ['--model', folder, '--slots', '1'] });
  });
  afterAll(async () => {
    await long.kill();
    await rm(folder, { recursive: true });
  });

  async function change(file: string, fields: object): Promise<void> {
    const path = join(folder, file);
    const json = JSON.parse(await readFile(path, 'utf8')) as object;
    await writeFile(path, JSON.stringify({ ...json, ...fields }));
  }

  /** The facts of the job in the engine. The weights of the model are too short to compute this output. */
  async function started(body: object): Promise<Record<string, unknown>> {
    const stream = await Listener.open(long, { job_id: 'long', raw: true, ...body });
    const { data } = await stream.untilNarrated('inference.start');
    await stream.ended;
    return data;
  }

  test('takes a prompt of more than 32 768 characters, and an output of the rest of the context', async () => {
    const prompt = 'the sea and wind '.repeat(2200);
    const events = await long.execute({ job_id: 'prompt', prompt, raw: true });
    const [start] = all(events, 'narration').filter(({ event }) => event === 'inference.start');
    const [tokenized] = all(events, 'narration').filter(({ event }) => event === 'prompt.tokenized');
    expect(Number(tokenized?.['tokens_in'])).toBeGreaterThan(8192);
    expect(Number(tokenized?.['tokens_in']) + Number(start?.['max_tokens'])).toBe(LONG);
  });

  test('takes max_tokens up to the context', async () => {
    expect(await started({ prompt: 'sea', max_tokens: 30_000 })).toMatchObject({ max_tokens: 30_000 });
    expect((await started({ prompt: 'sea', max_tokens: LONG }))['max_tokens']).toBeLessThan(LONG);
  });

  test.each([
    ['max_tokens', { prompt: 'sea', max_tokens: LONG + 1 }, '1 to 40000, but is 40001; --max-tokens-cap'],
    ['prompt', { prompt: 'x'.repeat(16 * LONG + 1) }, '1 to 640000 Unicode characters; --max-prompt-chars'],
  ])('refuses more, with the limit and its flag: %s', async (field, body, message) => {
    const response = await long.post('/execute', { job_id: 'more', ...body });
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({
      error: { message: expect.stringContaining(message), errors: [{ field }] },
    });
  });

  test('refuses a prompt within the characters that cannot fit by its tokens', async () => {
    const response = await long.post('/execute', { job_id: 'tokens', prompt: 'x'.repeat(16 * LONG) });
    expect([response.status, await response.text()]).toEqual([413, expect.stringContaining('PROMPT_TOO_LONG')]);
  });
});

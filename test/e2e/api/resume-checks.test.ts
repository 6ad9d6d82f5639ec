/** Requests with `resume` that the worker refuses: each violation names its field, what is allowed, and the way out. */
import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { resumeAfter, type ToldOutput, toldBy } from '../../support/continuation.ts';
import { scriptedModel } from '../../support/scripted-model/model.ts';
import { all, startWorker, type TestWorker } from '../../support/worker.ts';

const BODY = { prompt: 'The sea', max_tokens: 20, min_tokens: 20, temperature: 1, seed: 7 };
const VOCABULARY = 1_000_000;

interface Violation {
  readonly field: string;
  readonly constraint: string;
  readonly message: string;
  readonly value?: unknown;
}

const root = mkdtempSync(join(tmpdir(), 'resume-checks-'));
let worker: TestWorker;
let whole: ToldOutput;
beforeAll(async () => {
  worker = await startWorker({ args: ['--context', '128'] });
  whole = await toldBy(worker, BODY);
});
afterAll(async () => {
  await worker.stop();
  rmSync(root, { recursive: true });
});

/** The violations of a request. */
async function refused(body: object, on = worker): Promise<readonly Violation[]> {
  const response = await on.post('/execute', { job_id: randomUUID(), ...body });
  expect(response.status).toBe(400);
  const { error } = (await response.json()) as { error: { code: string; errors: readonly Violation[] } };
  expect(error.code).toBe('INVALID_REQUEST');
  return error.errors;
}

const half = () => resumeAfter(whole, 10);

describe('a request that continues an output', () => {
  test.each([
    ['resume', 5, 'type'],
    ['resume', [1], 'type'],
    ['resume.token_ids', { index: 0, fingerprint: 'a' }, 'required'],
    ['resume.token_ids', { token_ids: 'a', index: 0, fingerprint: 'a' }, 'type'],
    ['resume.index', { token_ids: [], fingerprint: 'a' }, 'required'],
    ['resume.index', { token_ids: [], index: -1, fingerprint: 'a' }, 'minimum'],
    ['resume.index', { token_ids: [], index: 0.5, fingerprint: 'a' }, 'type'],
    ['resume.fingerprint', { token_ids: [], index: 0 }, 'required'],
    ['resume.fingerprint', { token_ids: [], index: 0, fingerprint: 7 }, 'type'],
  ])('is refused for the form of %s: %j', async (field, resume, constraint) => {
    const found = await refused({ ...BODY, resume });
    expect(found).toMatchObject([{ field, constraint }]);
    expect(found[0]?.message).toContain('{token_ids: list of token ids, index: whole number, fingerprint: text}');
  });

  test.each([
    [-1, 'minimum'],
    [1.5, 'minimum'],
    ['a', 'type'],
    [null, 'type'],
  ])('is refused for an id that is no whole number: %j', async (id, constraint) => {
    const found = await refused({ ...BODY, resume: { ...half(), token_ids: [1, 2, id, id] } });
    expect(found).toMatchObject([{ field: 'resume.token_ids[2]', constraint }]);
    expect(found[0]?.message).toMatch(/^resume\.token_ids\[2\] must be a token id: a whole number, at least 0/);
  });

  test('is refused for an id that the model lacks', async () => {
    const found = await refused({ ...BODY, resume: { ...half(), token_ids: [1, VOCABULARY] } });
    expect(found).toMatchObject([{ field: 'resume.token_ids[1]', constraint: 'vocabulary', value: VOCABULARY }]);
    expect(found[0]?.message).toMatch(/from 0 to \d+, but is 1000000; send the job to a worker with the model/);
  });

  test('is refused for more ids than the output may have', async () => {
    const found = await refused({ ...BODY, max_tokens: 5, min_tokens: 0, resume: half() });
    expect(found).toMatchObject([{ field: 'resume.token_ids', constraint: 'maximum', value: 10 }]);
    expect(found[0]?.message).toMatch(/at most 5 ids, .* but has 10; raise max_tokens/);
    const { max_tokens: _, ...free } = BODY;
    const tooMany = { ...half(), token_ids: Array.from({ length: 200 }, () => 1) };
    expect(await refused({ ...free, resume: tooMany })).toMatchObject([{ field: 'resume.token_ids', value: 200 }]);
  });

  test('is refused without the seed, unless it is greedy', async () => {
    const { seed: _, ...seedless } = BODY;
    const found = await refused({ ...seedless, resume: half() });
    expect(found).toMatchObject([{ field: 'seed', constraint: 'required' }]);
    expect(found[0]?.message).toMatch(/while temperature is above 0, but is 1; send the seed that the event started/);
    const greedy = { ...seedless, temperature: 0 };
    const told = await toldBy(worker, greedy);
    const rest = await toldBy(worker, { ...greedy, resume: resumeAfter(told, 10) });
    expect([...told.ids.slice(0, 10), ...rest.ids]).toEqual(told.ids);
  });

  test('is refused for an end-of-sequence id, unless the output ignores it', async () => {
    const body = { prompt: 'The sea', max_tokens: 100, temperature: 1, seed: 7, ignore_eos: true };
    const endless = await toldBy(worker, body);
    const shorter = await toldBy(worker, { ...body, ignore_eos: false });
    const end = endless.ids[shorter.ids.length] ?? -1;
    const resume = { ...resumeAfter(endless, endless.tokens.length), token_ids: endless.ids };
    expect((await toldBy(worker, { ...body, resume })).end['tokens_out']).toBe(100);
    const ended = { token_ids: [...shorter.ids, end], index: 3, fingerprint: String(shorter.started['fingerprint']) };
    const found = await refused({ ...body, ignore_eos: false, resume: ended });
    expect(found).toMatchObject([{ field: `resume.token_ids[${shorter.ids.length}]`, constraint: 'end', value: end }]);
    expect(found[0]?.message).toContain('must not be an end-of-sequence id');
  });

  test.each([
    ['another prompt', { prompt: 'The hill' }],
    ['another seed', { seed: 8 }],
    ['another temperature', { temperature: 0.5 }],
    ['a penalty', { presence_penalty: 1 }],
    ['a logit bias', { logit_bias: { '5': 1 } }],
    ['another least length', { min_tokens: 0 }],
    ['a form', { regex: '[a-z]+' }],
    ['a stop string', { stop: ['\u2603'] }],
    ['parts', { parts: true }],
  ])('is refused for %s than the first request had', async (_, change) => {
    const found = await refused({ ...BODY, ...change, resume: half() });
    expect(found).toMatchObject([{ field: 'resume.fingerprint', constraint: 'fingerprint' }]);
    expect(found[0]?.value).toBe(half().fingerprint);
    expect(found[0]?.message).toMatch(/send the request of the first stream to a worker with the same weights/);
  });

  test('is refused by a worker with another model', async () => {
    const other = await startWorker({ args: ['--model', await scriptedModel(join(root, 'other'), { plain: 'A' })] });
    const found = await refused({ ...BODY, resume: { ...half(), token_ids: [1], index: 1 } }, other);
    expect(found).toMatchObject([{ field: 'resume.fingerprint' }]);
    await other.stop();
  });

  test('is refused for ids behind a stop string', async () => {
    const text = whole.tokens.map(({ t }) => t).join('');
    const body = { ...BODY, stop: [text.slice(2, 6)] };
    const { started } = await toldBy(worker, body);
    const resume = { ...half(), fingerprint: started['fingerprint'] };
    const found = await refused({ ...body, resume });
    expect(found).toMatchObject([{ field: 'resume.token_ids', constraint: 'end', value: 10 }]);
    expect(found[0]?.message).toMatch(/it ends at a stop string after \d+ ids, but the list has 10/);
  });

  test('is refused for an index that the ids do not have', async () => {
    const found = await refused({ ...BODY, resume: { ...half(), index: 400 } });
    expect(found).toMatchObject([{ field: 'resume.index', constraint: 'maximum', value: 400 }]);
    expect(found[0]?.message).toMatch(/at most \d+, the number of token events of these ids, but is 400/);
  });

  test('ends with INVALID_REQUEST in its stream if the demanded form does not allow the ids', async () => {
    const body = { ...BODY, min_tokens: 0, regex: '[a-z]+' };
    const { started } = await toldBy(worker, body);
    const resume = { token_ids: [0, 0, 0], index: 0, fingerprint: String(started['fingerprint']) };
    const events = await worker.execute({ job_id: randomUUID(), ...body, resume });
    expect(events.at(-1)?.data).toMatchObject({ type: 'error', code: 'INVALID_REQUEST', retry: 'never' });
    expect(events.at(-1)?.data['message']).toMatch(/^resume\.token_ids must be the beginning of an output/);
    expect(events.at(-1)?.data).not.toHaveProperty('resume');
  });

  test('reports all violations together', async () => {
    const { seed: _, ...seedless } = BODY;
    const token_ids = [VOCABULARY, ...Array.from({ length: 30 }, () => 1)];
    const found = await refused({ ...seedless, resume: { ...half(), token_ids } });
    expect(found.map(({ field }) => field)).toEqual(['seed', 'resume.token_ids[0]', 'resume.token_ids']);
  });

  test('is told which fields of resume have no effect', async () => {
    const events = await worker.execute({
      job_id: randomUUID(),
      ...BODY,
      resume: { ...half(), text: 'a', none: null },
    });
    const [told] = all(events, 'narration').filter(({ event }) => event === 'fields.ignored');
    expect(told).toMatchObject({ fields: 'resume.text' });
  });

  test('may have resume: null, which counts as absent', async () => {
    const { started, ids } = await toldBy(worker, { ...BODY, resume: null });
    expect(started).not.toHaveProperty('resumed_ids');
    expect(ids).toEqual(whole.ids);
  });
});

describe('a dialect', () => {
  test('ignores resume and ids, and says so', async () => {
    const body = { prompt: 'The sea', max_tokens: 5, seed: 7, ids: true, resume: half(), stream: true };
    const response = await worker.post('/v1/completions', body);
    expect(response.status).toBe(200);
    const text = await response.text();
    expect(text).not.toContain('"ids"');
    const id = String(response.headers.get('x-correlation-id'));
    const [told] = (await worker.told(id)).filter(({ event }) => event === 'fields.ignored');
    expect(told).toMatchObject({ fields: expect.stringMatching(/ids.*resume|resume.*ids/) });
  });
});

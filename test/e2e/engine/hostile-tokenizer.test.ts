/**
 * A tokenizer.json that never comes back, or that makes gigabytes: the worker answers probes, refuses the
 * prompt, serves the next one, and stops when it is told to.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { cp, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, expect, test } from 'vitest';
import { embeddedModel } from '../../../src/model/folder.ts';
import { lastOf } from '../../support/listener.ts';
import { startWorker, TestWorker } from '../../support/worker.ts';

const folder = mkdtempSync(join(tmpdir(), 'hostile-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const workers: TestWorker[] = [];
afterEach(async () => {
  await Promise.all(workers.splice(0).map((worker) => worker.kill()));
});

/** The embedded model with other parts of its tokenizer.json. */
async function modelWith(name: string, parts: object): Promise<string> {
  const copy = join(folder, name);
  await cp(embeddedModel(), copy, { recursive: true });
  const file = join(copy, 'tokenizer.json');
  const tokenizer = JSON.parse(await readFile(file, 'utf8')) as object;
  await writeFile(file, JSON.stringify({ ...tokenizer, ...parts }));
  return copy;
}

async function workerWith(name: string, parts: object, args: readonly string[] = []): Promise<TestWorker> {
  const worker = await startWorker({ args: ['--model', await modelWith(name, parts), ...args] });
  workers.push(worker);
  return worker;
}

const replacing = (content: string): object => ({ type: 'Replace', pattern: { String: 'q' }, content });
const BACKTRACKING = {
  pre_tokenizer: {
    type: 'Sequence',
    pretokenizers: [
      { type: 'Split', pattern: { Regex: '(?:q+)+b|[\\s\\S]' }, behavior: 'Isolated', invert: false },
      { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: false },
    ],
  },
};

async function violationOf(response: Response): Promise<Record<string, unknown> | undefined> {
  const { error } = (await response.json()) as { error: { errors?: Record<string, unknown>[] } };
  return error.errors?.[0];
}

test('a pattern that backtracks: its prompt is refused, and nobody else waits for it', async () => {
  const worker = await workerWith('pattern', BACKTRACKING);
  let isOver = false;
  const hostile = worker.post('/execute', { job_id: 'hostile', prompt: 'q'.repeat(40) }).finally(() => {
    isOver = true;
  });
  let probes = 0;
  while (!isOver) {
    expect((await worker.get('/live')).status).toBe(200);
    if (!isOver) probes += 1;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  expect(probes).toBeGreaterThan(3);
  const response = await hostile;
  expect(response.status).toBe(400);
  expect(await violationOf(response)).toMatchObject({
    field: 'prompt',
    constraint: 'too_slow',
    message: expect.stringMatching(/^tokenizer and template need more than 2\d\d\d ms for the text: /),
  });
  expect(await worker.line('tokenizer.replaced')).toMatchObject({ level: 'WARN', reason: expect.any(String) });
  expect(lastOf(await worker.execute({ job_id: 'next', prompt: 'The sea', max_tokens: 2 }))).toMatchObject({
    type: 'end',
  });
});

test('a pattern that backtracks does not keep the worker from stopping', async () => {
  const worker = await workerWith('stopping', BACKTRACKING);
  const hostile = worker.post('/execute', { job_id: 'hostile', prompt: 'q'.repeat(40) });
  expect((await worker.get('/live')).status).toBe(200);
  const code = worker.stop();
  expect([400, 503]).toContain((await hostile).status);
  expect(await code).toBe(0);
});

test('a normalizer that multiplies text: the prompt is refused, the next one is served', async () => {
  const normalizers = [replacing('q'.repeat(1_000)), replacing('q'.repeat(1_000))];
  const worker = await workerWith('normalizer', { normalizer: { type: 'Sequence', normalizers } });
  const response = await worker.post('/execute', { job_id: 'hostile', prompt: 'q'.repeat(200) });
  expect(response.status).toBe(400);
  expect(await violationOf(response)).toMatchObject({ field: 'prompt', constraint: 'too_much_text' });
  expect(lastOf(await worker.execute({ job_id: 'next', prompt: 'The sea', max_tokens: 2 }))).toMatchObject({
    type: 'end',
  });
  expect(await worker.stop()).toBe(0);
});

test('a decoder that multiplies text: the model is refused, with the name of the file', async () => {
  const worker = new TestWorker({
    args: ['--model', await modelWith('decoder', { decoder: replacing('x'.repeat(3_000_000)) })],
  });
  workers.push(worker);
  expect(await worker.line('model.load_failed')).toMatchObject({
    reason: expect.stringMatching(
      /tokenizer\.json cannot be used: decoder .*at most 1024 are allowed: use another model/,
    ),
  });
  expect(await worker.exited).toEqual({ code: 1, signal: null });
});

test('prompts of combining marks do not delay a long prompt', async () => {
  const worker = await workerWith('marks', { normalizer: { type: 'NFC' } }, ['--queue', '32']);
  const marks = `a${'\u0315'.repeat(16_000)}${'\u0316'.repeat(16_000)}`;
  const hostile = Array.from({ length: 20 }, (_, n) => worker.post('/execute', { job_id: `m${n}`, prompt: marks }));
  const events = await worker.execute({ job_id: 'long', prompt: ' something'.repeat(220), max_tokens: 2 });
  expect(lastOf(events)).toMatchObject({ type: 'end' });
  const statuses = (await Promise.all(hostile)).map(({ status }) => status);
  expect(statuses).toEqual(new Array(20).fill(413));
  const { duration_ms } = await worker.line('prompt.tokenized', (line) => line['job_id'] === 'long');
  // The thread took 1.2 s for each of them before.
  expect(Number(duration_ms)).toBeLessThan(5_000);
});

/** Floods of broken requests: short answers, short lines in the log, and a worker that serves meanwhile. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { bodyLimit } from '../../../src/http/server.ts';
import { lastOf, longJob } from '../../support/listener.ts';
import { rawOnce } from '../../support/raw.ts';
import { startWorker, type TestWorker } from '../../support/worker.ts';

/** Bytes of the longest body with the default settings. */
const BODY_BYTES = bodyLimit('auto');
const AT_ONCE = 8;
const ROUNDS = 3;
/** Ceilings for the answer to a broken request and for its line in the log. */
const MAX_ANSWER_BYTES = 750;
const MAX_LINE_BYTES = 480;

let worker: TestWorker;
beforeAll(async () => {
  worker = await startWorker({ args: ['--worker-id', 'w'] });
});
afterAll(() => worker.kill());

const jobWith = (value: object): string => JSON.stringify({ job_id: 'job', prompt: 'x', max_tokens: 1, ...value });
const MORE = '{"job_id":"job","prompt":"x","more":';

const BROKEN: readonly (readonly [name: string, body: string])[] = [
  ['1 024 wrong messages', JSON.stringify({ job_id: 'job', messages: Array(1024).fill({}) })],
  ['wrong stop strings', jobWith({ stop: Array(1024).fill('') })],
  ['a long wrong stop string', jobWith({ stop: ['s'.repeat(BODY_BYTES - 100)] })],
  ['a long wrong value', jobWith({ seed: 'x'.repeat(BODY_BYTES - 100) })],
  ['a prototype', '{"__proto__":1}'],
  ['an escaped prototype', `{"\\u005f_proto_\\u005f":{"a":"${'a'.repeat(BODY_BYTES - 100)}"}}`],
  ['a nested prototype', `{"a":[{"b":{"__proto__" : null}}],"c":"${' '.repeat(BODY_BYTES - 100)}"}`],
  ['a constructor', '{"constructor":{"prototype":{"a":1}}}'],
  ['white space', ' '.repeat(BODY_BYTES)],
  ['brackets', '['.repeat(BODY_BYTES)],
  ['closing brackets', ']'.repeat(BODY_BYTES)],
  ['backslashes', `"${'\\'.repeat(BODY_BYTES - 1)}`],
  ['quotes', '"'.repeat(BODY_BYTES - 1)],
  ['50 000 keys', `{"a":0${Array.from({ length: 50_000 }, (_, index) => `,"${index}":0`).join('')}}`],
  ['200 000 numbers', `${MORE}[${'0,'.repeat(200_000)}0]}`],
  ['a text', JSON.stringify('a'.repeat(BODY_BYTES - 2))],
  ['a body that is too long', ' '.repeat(BODY_BYTES + 1)],
];

test.each(BROKEN)('%s', async (_, body) => {
  await flood(body, { answer: MAX_ANSWER_BYTES, line: MAX_LINE_BYTES });
});

test('256 wrong messages, all of which the answer names', async () => {
  const body = JSON.stringify({ job_id: 'job', messages: Array(256).fill({ role: 1, content: 2 }) });
  await flood(body, { answer: 100_000, line: 3 * MAX_LINE_BYTES });
  const answer = await worker.post('/execute', body);
  expect(await answer.json()).toHaveProperty('error.errors.length', 512);
});

/** Sends a body again and again, and checks the sizes of the answers and of the lines in the log. */
async function flood(body: string, most: { readonly answer: number; readonly line: number }): Promise<void> {
  const before = worker.lines.length;
  const answers: string[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    const sent = Array.from({ length: AT_ONCE }, () => worker.post('/execute', body));
    for (const answer of await Promise.all(sent)) {
      expect([400, 413]).toContain(answer.status);
      answers.push(await answer.text());
    }
    expect((await worker.get('/ready')).status).toBe(200);
  }
  expect(Math.max(...answers.map((text) => Buffer.byteLength(text)))).toBeLessThan(most.answer);
  const lines = worker.lines.slice(before).map((line) => Buffer.byteLength(JSON.stringify(line)));
  expect(lines.length).toBeLessThanOrEqual(AT_ONCE * ROUNDS);
  expect(Math.max(0, ...lines)).toBeLessThan(most.line);
}

test('a refused request writes at most one line', async () => {
  const before = worker.lines.length;
  for (const path of ['/no-route', '/jobs/x/events', '/jobs/%zz/events', '/health?x=%', '/openapi.json'])
    for (const method of ['GET', 'POST', 'OPTIONS'])
      await rawOnce(worker, `${method} ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n`);
  expect(worker.lines.length - before).toBeLessThanOrEqual(15);
});

test('a job of 480 tokens writes few and short lines', async () => {
  const id = 'req-480';
  const events = await worker.execute(longJob('of-480'), { 'X-Correlation-Id': id });
  expect(lastOf(events)).toMatchObject({ type: 'end', tokens_out: 480 });
  const lines = await worker.told(id);
  expect(lines.length).toBeLessThanOrEqual(60);
  expect(Buffer.byteLength(lines.map((line) => JSON.stringify(line)).join('\n'))).toBeLessThanOrEqual(30_000);
});

test('after all floods the worker is healthy, and none of them was a fault of its own', async () => {
  expect(await (await worker.get('/health')).json()).toMatchObject({ status: 'healthy', slots: { busy: 0 } });
  const blamed = worker.lines.filter(({ event }) => ['worker.fault', 'engine.lost', 'engine.warning'].includes(event));
  expect(blamed).toEqual([]);
  expect([worker.foreign, worker.stderr]).toEqual([[], '']);
});

/** The lines of stdout and the narration in the stream of one request have the same content. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { endings, narrated } from '../../support/listener.ts';
import { all, type LogLine, type StreamEvent, startWorker, type TestWorker } from '../../support/worker.ts';

let worker: TestWorker;
let events: StreamEvent[];
let lines: LogLine[];

beforeAll(async () => {
  worker = await startWorker({ args: ['--worker-id', 'worker-cpu0-r1'] });
  events = await worker.execute(
    { job_id: 'job-story', prompt: 'Write a haiku about the sea', seed: 7, temperature: 0.8 },
    { 'X-Correlation-Id': 'req-abc123' },
  );
  lines = await worker.told('req-abc123');
});
afterAll(() => worker.kill());

const lineOf = (event: string): LogLine => {
  const found = lines.find((line) => line.event === event);
  if (!found) throw new Error(`Nobody told ${event}`);
  return found;
};

test('all lines of a request have its correlation id, in the order of its events', () => {
  const order = lines.map((line) => line.event).filter((event) => event !== 'tokens.progress');
  expect(order).toEqual([
    'request.validated',
    'inference.start',
    'prompt.tokenized',
    'cache.reset',
    'inference.complete',
    'time.explained',
  ]);
  const names = lines.map((line) => line.event);
  expect(names.lastIndexOf('tokens.progress')).toBeLessThan(names.indexOf('inference.complete'));
  expect(names.indexOf('tokens.progress')).toBeGreaterThan(names.indexOf('cache.reset'));
  expect(names).toContain('tokens.progress');
});

test('every line names the worker, the job and the version', () => {
  for (const line of lines) {
    expect(line).toMatchObject({ worker_id: 'worker-cpu0-r1', job_id: 'job-story' });
    expect(line['emitted_by']).toMatch(/^rbees-workerd@\d+\.\d+\.\d+/);
  }
});

test('actors, actions and targets are those of the contract', () => {
  const told = (event: string): unknown[] => ['actor', 'action', 'target', 'level'].map((key) => lineOf(event)[key]);
  expect(told('request.validated')).toEqual(['http-server', 'execute_request', 'job-story', 'INFO']);
  expect(told('inference.start')).toEqual(['inference-engine', 'inference_start', 'job-story', 'INFO']);
  expect(told('prompt.tokenized')).toEqual(['tokenizer', 'tokenize', 'job-story', 'INFO']);
  expect(told('cache.reset')).toEqual(['inference-engine', 'cache_reset', expect.stringMatching(/^slot-\d+$/), 'INFO']);
  expect(told('tokens.progress')).toEqual(['inference-engine', 'token_generate', 'job-story', 'INFO']);
  expect(told('inference.complete')).toEqual(['inference-engine', 'inference_complete', 'job-story', 'INFO']);
});

test('facts are numbers in typed fields, and equal everywhere', () => {
  const end = all(events, 'end')[0];
  expect(lineOf('prompt.tokenized')).toMatchObject({ tokens_in: end?.['tokens_in'], duration_ms: expect.any(Number) });
  expect(lineOf('cache.reset')).toMatchObject({
    slot: expect.any(Number),
    cached_tokens: 0,
    queue_ms: expect.any(Number),
  });
  expect(lineOf('inference.start')).toMatchObject({ max_tokens: expect.any(Number), temperature: 0.8, seed: 7 });
  const complete = lineOf('inference.complete');
  expect(complete).toMatchObject({
    tokens_in: end?.['tokens_in'],
    tokens_out: end?.['tokens_out'],
    cached_tokens: end?.['cached_tokens'],
    stop_reason: end?.['stop_reason'],
  });
  expect(complete['decode_time_ms']).toBeCloseTo(Number(end?.['decode_time_ms']), 2);
  const { duration_ms, queue_ms, prefill_ms, decode_time_ms } = lineOf('time.explained');
  const parts = Number(queue_ms) + Number(prefill_ms) + Number(decode_time_ms);
  expect(parts).toBeGreaterThan(0);
  expect(parts).toBeLessThan(Number(duration_ms) + 5);
});

test('progress is narrated every ten tokens', () => {
  const progress = lines.filter((line) => line.event === 'tokens.progress').map((line) => line['tokens_out']);
  const tokensOut = Number(lineOf('inference.complete')['tokens_out']);
  expect(progress).toEqual(Array.from({ length: Math.floor(tokensOut / 10) }, (_, index) => (index + 1) * 10));
});

test('the stream has the same sentences and facts as stdout', () => {
  const heard = all(events, 'narration');
  expect(narrated(events)).toEqual(lines.map((line) => line.event));
  for (const [index, line] of lines.entries()) {
    const { timestamp, ...spoken } = line;
    const { type, ...narration } = heard[index] ?? {};
    expect(timestamp).toBeTypeOf('string');
    expect(type).toBe('narration');
    expect(narration).toEqual(spoken);
  }
  expect(heard.some((narration) => typeof narration['story'] === 'string')).toBe(true);
  expect(heard.every((narration) => typeof narration['cute'] === 'string')).toBe(true);
});

test('sentences keep their length limits, and cute ones have an emoji', () => {
  for (const line of lines) {
    expect(line.human.length).toBeLessThanOrEqual(100);
    expect(String(line['cute'])).toMatch(/\p{Extended_Pictographic}/u);
    expect(String(line['cute']).length).toBeLessThanOrEqual(150);
    expect(String(line['story'] ?? '').length).toBeLessThanOrEqual(200);
  }
});

test('the correlation id is on started, narration and the terminal event, and on the response', () => {
  const correlated = events.filter(({ data }) => ['started', 'narration', 'end'].includes(data.type));
  for (const { data } of correlated) expect(data['correlation_id']).toBe('req-abc123');
  expect(endings(events)).toHaveLength(1);
});

test('unknown fields are named, and a second request in the same slot reports its cached tokens', async () => {
  const again = await worker.execute(
    { job_id: 'job-again', prompt: 'Write a haiku about the sea', seed: 7, max_token: 5, toString: 1 },
    { 'X-Correlation-Id': 'req-again' },
  );
  const ignored = all(again, 'narration').find((narration) => narration['event'] === 'fields.ignored');
  expect(ignored).toMatchObject({ level: 'WARN', fields: 'max_token, toString' });
  expect(narrated(again)).toContain('cache.hit');
  expect(Number(all(again, 'end')[0]?.['cached_tokens'])).toBeGreaterThan(0);
  expect((await worker.told('req-again')).map((line) => line.event)).toEqual(narrated(again));
});

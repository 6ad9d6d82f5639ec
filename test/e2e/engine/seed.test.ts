import { afterAll, beforeAll, expect, test } from 'vitest';
import { all, startWorker, type TestWorker, textOf } from '../../support/worker.ts';

let worker: TestWorker;
beforeAll(async () => {
  worker = await startWorker();
});
afterAll(() => worker.kill());

test('a request is narrated on stdout and in its stream under its correlation id, in order, with typed facts', async () => {
  const events = await worker.execute(
    { job_id: 'job-1', prompt: 'Write a haiku about the sea', seed: 7 },
    { 'X-Correlation-Id': 'req-abc123' },
  );
  const lines = await worker.told('req-abc123');
  expect(lines.map((line) => line.event)).toEqual([
    'request.validated',
    'inference.start',
    'prompt.tokenized',
    'cache.reset',
    'tokens.progress',
    'tokens.progress',
    'inference.complete',
    'time.explained',
  ]);
  expect(textOf(events).split('\n')).toHaveLength(3);
  expect(all(events, 'narration').map((event) => event['human'])).toEqual(lines.map((line) => line.human));
});

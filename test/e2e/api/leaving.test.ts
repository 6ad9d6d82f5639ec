/** A client of a dialect that leaves in the middle of its answer frees every slot that its request had. */
import { beforeAll, expect, test } from 'vitest';
import { eventually } from '../../support/eventually.ts';
import { sharedWorker } from '../../support/shared-worker.ts';
import type { TestWorker } from '../../support/worker.ts';

let worker: TestWorker;
beforeAll(async () => {
  worker = await sharedWorker();
});

const LONG = { max_tokens: 450, min_tokens: 450 };
const MESSAGES = [{ role: 'user', content: 'The sea' }];
const REQUESTS: readonly (readonly [name: string, path: string, body: object])[] = [
  ['a chat with 8 outputs', '/v1/chat/completions', { messages: MESSAGES, n: 8, ...LONG }],
  ['16 completions', '/v1/completions', { prompt: Array(8).fill('The sea'), n: 2, ...LONG }],
  ['a response', '/v1/responses', { input: 'The sea', max_output_tokens: 450, min_tokens: 450 }],
  ['a message', '/v1/messages', { messages: MESSAGES, ...LONG }],
];

const cases = REQUESTS.flatMap((request) => [false, true].map((stream) => [...request, stream] as const));

test.each(cases)('%s on %s', async (name, path, body, stream) => {
  const id = `leaving-${name.replaceAll(' ', '-')}-${stream}`;
  const controller = new AbortController();
  const left = fetch(worker.url + path, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', 'X-Correlation-Id': id },
    body: JSON.stringify({ ...body, stream }),
    signal: controller.signal,
  }).then((response) => response.text());
  const gone = expect(left).rejects.toThrow();
  await worker.line('inference.start', (line) => line['correlation_id'] === id);
  controller.abort();
  await gone;
  const end = await worker.line('inference.failed', (line) => line['correlation_id'] === id);
  expect(end['error_kind']).toBe('cancelled');
  // No later request waits for a slot of this one.
  await eventually(async () =>
    expect(await (await worker.get('/health')).json()).toMatchObject({ slots: { busy: 0 }, queue: { length: 0 } }),
  );
});

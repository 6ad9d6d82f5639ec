/** Documents of the dialects whose job fails after its admission: status, error, and the retry header. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { SCRAPE_MS } from '../../../src/http/operator/metrics.ts';
import { enginePid } from '../../support/cli.ts';
import { Scrape } from '../../support/scrape.ts';
import { startWorker, type TestWorker } from '../../support/worker.ts';

let worker: TestWorker;
beforeAll(async () => {
  worker = await startWorker({ args: ['--on-engine-loss', 'fail'] });
});
afterAll(() => worker.kill());

const messages = [{ role: 'user', content: 'The sea' }];
const long = { ignore_eos: true, min_tokens: 480 };
const ROUTES = [
  ['/v1/chat/completions', { ...long, messages, max_tokens: 480 }],
  ['/v1/completions', { ...long, prompt: 'The sea', max_tokens: 480 }],
  ['/v1/responses', { ...long, input: 'The sea', max_output_tokens: 480 }],
  ['/v1/messages', { ...long, messages, max_tokens: 480 }],
] as const;

/** Status, retry header and error of an answer. */
async function failureOf(response: Response) {
  const { error } = (await response.json()) as { error: { code?: string; type: string; message: string } };
  return { status: response.status, retry: response.headers.get('x-should-retry'), error };
}

/** Sends a request to a stopped engine, so that its job cannot end yet. */
async function submitted(path: string, body: object, name: string) {
  const engine = enginePid(worker);
  process.kill(engine, 'SIGSTOP');
  const id = name + path.replaceAll('/', '-');
  const answer = worker.post(path, body, { 'X-Correlation-Id': id });
  const { job_id } = await worker.line('inference.start', (line) => line['correlation_id'] === id);
  return { answer, engine, job_id };
}

test('every code of an error is in the metrics before its first request', async () => {
  const errors = (await Scrape.of(worker)).all('worker_http_errors_total');
  expect(errors.filter(({ value }) => value !== 0)).toEqual([]);
  const codes = errors.map(({ labels }) => labels['code']);
  expect(codes).toEqual([...new Set(codes)]);
  expect(codes).toEqual(expect.arrayContaining(['ALL_SLOTS_BUSY', 'TIMEOUT', 'CANCELLED', 'ENGINE_LOST', 'INTERNAL']));
});

describe.each(ROUTES)('a document of %s', (path, body) => {
  test('with an error is counted once, with its code', async () => {
    const timeouts = async (): Promise<number> => {
      await sleep(SCRAPE_MS);
      return (await Scrape.of(worker)).value('worker_http_errors_total', { code: 'TIMEOUT' });
    };
    const before = await timeouts();
    expect((await worker.post(path, { ...body, timeout_ms: 40 })).status).toBe(504);
    expect((await timeouts()) - before).toBe(1);
    // A stream that ends with an error is no answer with an error.
    await (await worker.post(path, { ...body, stream: true, timeout_ms: 40 })).text();
    expect((await timeouts()) - before).toBe(1);
  });

  test('says nothing about a retry if its time is over: another try may be faster', async () => {
    const { status, retry, error } = await failureOf(await worker.post(path, { ...body, timeout_ms: 40 }));
    expect([status, retry]).toEqual([504, null]);
    expect(error.message).toBe('The deadline has passed.');
  });

  test('forbids a retry if the deadline of the client has passed', async () => {
    // The deadline passes in the job, or before it on a busy machine: the answer is the same.
    const headers = { 'X-Deadline': String(Date.now() + 40) };
    expect(await failureOf(await worker.post(path, body, headers))).toMatchObject({ status: 504, retry: 'false' });
  });

  test('forbids a retry if it was cancelled', async () => {
    const { answer, engine, job_id } = await submitted(path, body, 'cancelled');
    expect((await worker.post('/cancel', { job_id })).status).toBe(202);
    process.kill(engine, 'SIGCONT');
    expect(await failureOf(await answer)).toMatchObject({ status: 499, retry: 'false' });
  });
});

// Two of the routes: a worker ends after the third loss of its engine.
test.each([ROUTES[0], ROUTES[3]])(
  'a document of %s forbids a retry if the engine was lost during its output: the request may be the cause',
  async (path, body) => {
    const engine = enginePid(worker);
    const id = `lost${path.replaceAll('/', '-')}`;
    const answer = worker.post(path, body, { 'X-Correlation-Id': id });
    // A job without a token would only return to the queue.
    await worker.line('tokens.progress', (line) => line['correlation_id'] === id);
    process.kill(engine, 'SIGKILL');
    const { status, retry, error } = await failureOf(await answer);
    expect([status, retry]).toEqual([503, 'false']);
    expect(error.code ?? error.type).toMatch(/^(engine_lost|overloaded_error)$/);
    await expect.poll(async () => (await worker.get('/ready')).status, { timeout: 30_000 }).toBe(200);
  },
);

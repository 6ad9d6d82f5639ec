/** Chat completions and models over real HTTP, with the embedded model. */

import { beforeAll, describe, expect, test } from 'vitest';
import { readMessages } from '../../../src/client/client.ts';
import { sharedWorker } from '../../support/shared-worker.ts';
import { exactMessages } from '../../support/sse-form.ts';
import { startWorker, type TestWorker, textOf } from '../../support/worker.ts';

let worker: TestWorker;
beforeAll(async () => {
  worker = await sharedWorker();
});

const PATH = '/v1/chat/completions';
const messages = [{ role: 'user', content: 'Write a haiku about the sea' }];
/** An output that runs until its context is full. */
const LONG = { messages, min_tokens: 480, max_tokens: 480 };

interface Chunk {
  readonly id: string;
  readonly choices: readonly { index: number; delta: Record<string, string>; finish_reason: string | null }[];
  readonly usage?: Record<string, unknown>;
  readonly narration?: { readonly event: string; readonly fields?: string };
}

/** The chunks of a stream, which must have lines of data only and end with `[DONE]`. */
async function chunksOf(response: Response): Promise<Chunk[]> {
  expect(response.headers.get('content-type')).toBe('text/event-stream; charset=utf-8');
  const messages = exactMessages(await response.text());
  expect(messages.pop()?.data).toBe('[DONE]');
  expect(messages.filter(({ id, event }) => id !== undefined || event !== undefined)).toEqual([]);
  return messages.map(({ data }) => JSON.parse(data) as Chunk);
}
const contentOf = (chunks: readonly Chunk[], index = 0): string =>
  chunks
    .flatMap(({ choices }) => choices.filter((one) => one.index === index))
    .map(({ delta }) => delta['content'] ?? '')
    .join('');

test('a document has the text of /execute, its usage, and the ids of the request', async () => {
  const native = await worker.execute({ job_id: 'chat-native', messages, seed: 42 });
  const response = await worker.post(PATH, { model: 'haiku', messages, seed: 42 }, { 'X-Request-Id': 'chat-1' });
  expect(response.headers.get('x-request-id')).toBe('chat-1');
  expect(response.headers.get('x-correlation-id')).toBe('chat-1');
  expect(response.status).toBe(200);
  const end = native.at(-1)?.data;
  expect(await response.json()).toEqual({
    id: expect.stringMatching(/^chatcmpl-[0-9a-f]{32}$/),
    object: 'chat.completion',
    created: expect.any(Number),
    model: 'haiku',
    system_fingerprint: expect.stringMatching(/^fp_/),
    choices: [
      {
        index: 0,
        message: { role: 'assistant', content: textOf(native), refusal: null },
        logprobs: null,
        finish_reason: 'stop',
      },
    ],
    usage: {
      prompt_tokens: end?.['tokens_in'],
      completion_tokens: end?.['tokens_out'],
      total_tokens: Number(end?.['tokens_in']) + Number(end?.['tokens_out']),
      prompt_tokens_details: { cached_tokens: expect.any(Number) },
      completion_tokens_details: { reasoning_tokens: 0 },
    },
  });
  expect((await worker.told('chat-1')).map(({ event }) => event)).toContain('inference.complete');
});

test('a stream has the same text, the role once, its finish, and the usage if asked for', async () => {
  const body = { messages: [{ role: 'user', content: [{ type: 'text', text: messages[0]?.content }] }], seed: 42 };
  const whole = (await (await worker.post(PATH, body)).json()) as { choices: { message: { content: string } }[] };
  const chunks = await chunksOf(
    await worker.post(PATH, { ...body, stream: true, stream_options: { include_usage: true } }),
  );
  expect(contentOf(chunks)).toBe(whole.choices[0]?.message.content);
  expect(chunks[0]?.choices[0]?.delta).toEqual({ role: 'assistant', content: expect.stringMatching(/./) });
  expect(chunks.filter(({ choices }) => choices[0]?.delta['role'] !== undefined)).toHaveLength(1);
  expect(chunks.at(-2)?.choices).toMatchObject([{ delta: {}, finish_reason: 'stop' }]);
  expect(chunks.at(-1)).toMatchObject({ choices: [], usage: { prompt_tokens: expect.any(Number) } });
  expect(chunks.slice(0, -1).some((chunk) => 'usage' in chunk || 'narration' in chunk)).toBe(false);
  expect(new Set(chunks.map(({ id }) => id)).size).toBe(1);
});

test('n outputs have consecutive seeds, and one prompt', async () => {
  const three = { messages, seed: 7, n: 3, max_tokens: 12 };
  const chunks = await chunksOf(await worker.post(PATH, { ...three, stream: true }));
  const whole = (await (await worker.post(PATH, three)).json()) as {
    choices: { index: number; message: { content: string }; finish_reason: string }[];
    usage: { prompt_tokens: number; completion_tokens: number };
  };
  expect(whole.choices.map(({ index }) => index)).toEqual([0, 1, 2]);
  for (const [index, choice] of whole.choices.entries()) {
    const alone = await worker.post(PATH, { messages, seed: 7 + index, max_tokens: 12 });
    const { choices, usage } = (await alone.json()) as typeof whole;
    expect(choice.message.content).toBe(choices[0]?.message.content);
    expect(contentOf(chunks, index)).toBe(choice.message.content);
    expect(usage.prompt_tokens).toBe(whole.usage.prompt_tokens);
  }
  expect(whole.usage.completion_tokens).toBe(36);
});

test('log-probabilities are those of /execute', async () => {
  const body = { messages, temperature: 0, max_tokens: 4 };
  const native = await worker.execute({ job_id: 'chat-scores', ...body, logprobs: 2 });
  const response = await worker.post(PATH, { ...body, logprobs: true, top_logprobs: 2 });
  const { choices } = (await response.json()) as {
    choices: { logprobs: { content: { token: string; logprob: number; top_logprobs: { logprob: number }[] }[] } }[];
  };
  const tokens = native.filter(({ data }) => data.type === 'token').map(({ data }) => data);
  const content = choices[0]?.logprobs.content ?? [];
  expect(content.map(({ logprob }) => logprob)).toEqual(tokens.map(({ logprob }) => logprob));
  expect(content.map(({ token }) => token).join('')).toBe(textOf(native));
  expect(content.map(({ top_logprobs: top }) => top.map(({ logprob }) => logprob))).toEqual(
    tokens.map(({ top }) => (top as { logprob: number }[]).map(({ logprob }) => logprob)),
  );
});

test('the narration rides in chunks only for a client that asks for it', async () => {
  const body = { messages, max_tokens: 3, stream: true, unheard_of: 1, tools: [{ type: 'web_search' }] };
  const narrated = await chunksOf(await worker.post(PATH, body, { 'X-Narration': 'on' }));
  const events = narrated.flatMap(({ narration }) => narration ?? []);
  expect(events.map(({ event }) => event)).toContain('inference.complete');
  const native = await worker.execute({ job_id: 'chat-narrated', messages, max_tokens: 3 });
  const told = native.find(({ data }) => data['event'] === 'request.validated')?.data ?? {};
  expect(Object.keys(events[0] ?? {}).toSorted()).toEqual(Object.keys(told).toSorted());
  expect(events[0]).toMatchObject({
    type: 'narration',
    event: 'request.validated',
    correlation_id: expect.any(String),
  });
  expect(events.find(({ event }) => event === 'fields.ignored')).toMatchObject({
    fields: 'unheard_of, tools[0] (web_search)',
  });
  const quiet = await chunksOf(await worker.post(PATH, { ...body, narration: false }, { 'X-Narration': 'on' }));
  expect(quiet.some((chunk) => 'narration' in chunk)).toBe(false);
  const whole = await worker.post(PATH, { ...body, stream: false, narration: true });
  expect(((await whole.json()) as { narration: { event: string }[] }).narration.map(({ event }) => event)).toContain(
    'inference.complete',
  );
});

describe('an error', () => {
  test('of a body has the form of OpenAI and is narrated', async () => {
    const response = await worker.post(PATH, { messages, temperature: 3 }, { 'X-Correlation-Id': 'chat-wrong' });
    expect(response.status).toBe(400);
    expect(response.headers.get('x-request-id')).toBe('chat-wrong');
    const error = { type: 'invalid_request_error', param: 'temperature', code: 'invalid_request' };
    expect(await response.json()).toEqual({ error: { ...error, message: 'temperature must be at most 2, but is 3' } });
    expect((await worker.told('chat-wrong')).map(({ event }) => event)).toEqual(['request.invalid']);
  });

  test('of a long prompt has the code that clients look for', async () => {
    const response = await worker.post(PATH, { messages: [{ role: 'user', content: 'sea '.repeat(600) }] });
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({ error: { code: 'context_length_exceeded' } });
  });

  test('ends a stream, before its end mark', async () => {
    const chunks = (await chunksOf(await worker.post(PATH, { ...LONG, stream: true, timeout_ms: 40 }))) as object[];
    expect(chunks.at(-1)).toEqual({
      error: { message: expect.any(String), type: 'server_error', param: null, code: 'timeout' },
    });
  });

  test('is the status of a document', async () => {
    const response = await worker.post(PATH, { ...LONG, timeout_ms: 40 });
    expect(response.status).toBe(504);
    expect(await response.json()).toMatchObject({ error: { type: 'server_error', code: 'timeout' } });
  });
});

test('a job is cancelled by its id, and when its client leaves', async () => {
  const stream = await worker.post(PATH, { ...LONG, stream: true });
  const datas: string[] = [];
  for await (const { data } of readMessages(stream)) {
    if (datas.length === 0) {
      const { id } = JSON.parse(data) as Chunk;
      expect((await worker.post('/cancel', { job_id: id })).status).toBe(202);
    }
    datas.push(data);
  }
  expect(datas.join('')).toContain('"code":"cancelled"');
  const leaving = new AbortController();
  const headers = { 'X-Correlation-Id': 'chat-leaves' };
  const left = worker.post(PATH, LONG, headers, leaving.signal).catch(() => undefined);
  await worker.line('tokens.progress', (line) => line['correlation_id'] === 'chat-leaves');
  leaving.abort();
  await left;
  await worker.line('request.cancelled', (line) => line['correlation_id'] === 'chat-leaves');
});

describe('models', () => {
  test('are listed, and found by their name', async () => {
    const list = (await (await worker.get('/v1/models')).json()) as { data: object[] };
    const model = {
      id: 'haiku',
      object: 'model',
      created: expect.any(Number),
      owned_by: 'rbees-workerd',
      root: 'haiku',
      parent: null,
      max_model_len: 512,
    };
    expect(list).toEqual({ object: 'list', data: [model] });
    const found = await worker.get('/v1/models/haiku');
    expect(await found.json()).toEqual(model);
    expect(found.headers.get('x-request-id')).toBe(found.headers.get('x-correlation-id'));
  });

  test.each(['/v1/models/org/other', '/v1/models/org%2Fother'])(
    '%s is not found, and the answer names the model',
    async (path) => {
      const response = await worker.get(path);
      expect(response.status).toBe(404);
      expect(await response.json()).toEqual({
        error: {
          message: 'The model "org/other" does not exist; this worker has "haiku".',
          type: 'not_found_error',
          param: null,
          code: 'model_not_found',
        },
      });
    },
  );

  test('are 503 until the model is loaded, as every route of the dialect', async () => {
    const starting = await startWorker({ early: true });
    const answers = await Promise.all([starting.get('/v1/models'), starting.post(PATH, { messages })]);
    for (const answer of answers) {
      expect(answer.status).toBe(503);
      expect(answer.headers.get('retry-after')).toMatch(/^\d+$/);
      expect(await answer.json()).toMatchObject({ error: { type: 'server_error', code: 'loading' } });
    }
    await starting.kill();
  });
});

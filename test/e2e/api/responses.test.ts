/** POST /v1/responses against the real worker: documents, streams, errors before and inside a stream, cancel. */
import { beforeAll, describe, expect, test } from 'vitest';
import { ResponsesAnswer } from '../../../src/contract/openai/responses/answer.ts';
import { eventsIn, type SentEvent, typesOf } from '../../http/openai/responses/support.ts';
import { sharedWorker } from '../../support/shared-worker.ts';
import type { TestWorker } from '../../support/worker.ts';

let worker: TestWorker;
beforeAll(async () => {
  worker = await sharedWorker();
});

const HAIKU = { input: 'Write a haiku about the sea', seed: 42 };
type Answer = ReturnType<typeof ResponsesAnswer.parse>;

const post = (body: unknown, headers: Record<string, string> = {}, signal?: AbortSignal) =>
  worker.post('/v1/responses', body, headers, signal);

async function answerTo(body: object, headers?: Record<string, string>): Promise<Answer> {
  const response = await post(body, headers);
  expect(response.status).toBe(200);
  expect(response.headers.get('content-type')).toMatch(/^application\/json/);
  const answer = (await response.json()) as Answer;
  expect(ResponsesAnswer.parse(answer)).toEqual(answer);
  return answer;
}

async function streamTo(body: object, headers?: Record<string, string>): Promise<SentEvent[]> {
  const response = await post({ ...body, stream: true }, headers);
  expect(response.status).toBe(200);
  expect(response.headers.get('content-type')).toMatch(/^text\/event-stream/);
  return eventsIn(await response.text());
}

const textOf = (answer: Pick<Answer, 'output'>): string =>
  answer.output.map((item) => (item.type === 'message' ? item.content.map(({ text }) => text).join('') : '')).join('');
const lastResponse = (events: readonly SentEvent[]) => events.at(-1)?.['response'] as Answer;
const deltasOf = (events: readonly SentEvent[]): string =>
  events.map((event) => (event.type === 'response.output_text.delta' ? event['delta'] : '')).join('');

/** A stream that is read as far as the test needs. */
async function openStream(body: object, headers: Record<string, string> = {}, signal?: AbortSignal) {
  const response = await post({ ...body, stream: true }, headers, signal);
  const reader = (response.body as ReadableStream<Uint8Array>).pipeThrough(new TextDecoderStream()).getReader();
  let text = '';
  return {
    /** The stream up to the first text that matches. */
    until: async (wanted: RegExp): Promise<string> => {
      while (!wanted.test(text)) {
        const { value, done } = await reader.read();
        if (done) throw new Error(`the stream ended: ${text}`);
        text += value;
      }
      return text;
    },
    rest: async (): Promise<string> => {
      for (;;) {
        const { value, done } = await reader.read();
        if (done) return text;
        text += value;
      }
    },
  };
}
const LONG = { input: 'Write about the sea', max_output_tokens: 480, ignore_eos: true };

describe('a document', () => {
  test('has the text, the usage, the settings and the id of the request', async () => {
    const response = await post(
      { ...HAIKU, instructions: 'Be brief.', metadata: { a: 'b' }, temperature: 0.5, user: 'u' },
      { 'X-Request-Id': 'req-responses' },
    );
    expect(response.headers.get('x-request-id')).toBe('req-responses');
    expect(response.headers.get('x-correlation-id')).toBe('req-responses');
    const answer = (await response.json()) as Answer;
    expect(answer).toMatchObject({
      id: expect.stringMatching(/^resp_[0-9a-f]{32}$/),
      status: 'completed',
      model: 'haiku',
      instructions: 'Be brief.',
      metadata: { a: 'b' },
      temperature: 0.5,
      user: 'u',
      store: false,
    });
    expect(textOf(answer).length).toBeGreaterThan(10);
    expect(answer.usage?.total_tokens).toBe((answer.usage?.input_tokens ?? 0) + (answer.usage?.output_tokens ?? 0));
  });

  test('has the text of /execute for the same messages and seed', async () => {
    const messages = [{ role: 'user', content: HAIKU.input }];
    const events = await worker.execute({ job_id: 'responses-twin', messages, seed: 42 });
    const text = events.map(({ data }) => (data.type === 'token' ? data['t'] : '')).join('');
    expect(textOf(await answerTo(HAIKU))).toBe(text);
  });

  test('ends as incomplete at max_output_tokens', async () => {
    expect(await answerTo({ ...HAIKU, max_output_tokens: 3 })).toMatchObject({
      status: 'incomplete',
      incomplete_details: { reason: 'max_output_tokens' },
      usage: { output_tokens: 3 },
    });
  });

  test('max_output_tokens above the context is reduced', async () => {
    expect(await answerTo({ ...HAIKU, max_output_tokens: 32_000 })).toMatchObject({
      status: 'completed',
      max_output_tokens: 32_000,
    });
  });

  test.each([[[]], ['']])('an empty input is answered: %j', async (input) => {
    const answer = await answerTo({ input, max_output_tokens: 1 });
    expect(answer.usage?.output_tokens).toBe(1);
    expect(answer.output).toMatchObject([{ type: 'message' }]);
  });

  test('log-probabilities: each token of the text and its alternatives', async () => {
    const answer = await answerTo({ ...HAIKU, temperature: 0, max_output_tokens: 6, top_logprobs: 2 });
    const [message] = answer.output;
    const logprobs = message?.type === 'message' ? (message.content[0]?.logprobs ?? []) : [];
    expect(logprobs.map(({ token }) => token).join('')).toBe(textOf(answer));
    for (const { token, logprob, top_logprobs: top } of logprobs) {
      expect(top).toHaveLength(2);
      expect(top[0]).toMatchObject({ token, logprob });
    }
  });

  test('a stop string', async () => {
    const whole = textOf(await answerTo(HAIKU));
    const answer = await answerTo({ ...HAIKU, stop: '\n' });
    expect(answer.status).toBe('completed');
    expect(textOf(answer)).toBe(whole.split('\n')[0]);
  });

  test('narration, if the header asks for it', async () => {
    const { narration = [] } = await answerTo(HAIKU, { 'X-Narration': 'on', 'X-Request-Id': 'req-doc-told' });
    expect(narration.map(({ event }) => event)).toContain('request.validated');
    expect(new Set(narration.map((each) => each.correlation_id))).toEqual(new Set(['req-doc-told']));
  });
});

describe('a stream', () => {
  test('joined, the deltas are the text of the document', async () => {
    const events = await streamTo(HAIKU);
    expect(typesOf(events).slice(0, 4)).toEqual([
      'response.created',
      'response.in_progress',
      'response.output_item.added',
      'response.content_part.added',
    ]);
    expect(typesOf(events).at(-1)).toBe('response.completed');
    expect(events.map((event) => event.sequence_number)).toEqual(events.map((_, index) => index));
    const text = textOf(await answerTo(HAIKU));
    expect(deltasOf(events)).toBe(text);
    expect(textOf(lastResponse(events))).toBe(text);
    expect(events.filter(({ narration }) => narration)).toEqual([]);
  });

  test('narration, if the body asks for it: the same text, and the lines of the log', async () => {
    const events = await streamTo({ ...HAIKU, narration: true }, { 'X-Request-Id': 'req-told' });
    expect(deltasOf(events)).toBe(deltasOf(await streamTo(HAIKU)));
    const told = events.flatMap(({ narration }) => (narration ? [(narration as { event: string }).event] : []));
    const lines = (await worker.told('req-told')).map(({ event }) => event);
    expect(told.length).toBeGreaterThan(2);
    expect(lines).toEqual(expect.arrayContaining(told));
  });

  test('ignored fields and tools are narrated', async () => {
    await streamTo(
      { ...HAIKU, store: true, tools: [{ type: 'web_search' }], max_tokens: 3, model: 'gpt' },
      { 'X-Request-Id': 'req-ignored' },
    );
    const line = (await worker.told('req-ignored')).find(({ event }) => event === 'fields.ignored');
    expect(line?.['fields']).toBe('max_tokens, model, store, tools[0] (web_search)');
  });

  test('POST /cancel ends it with response.failed and error', async () => {
    const stream = await openStream(LONG);
    const begun = await stream.until(/event: response\.output_text\.delta/);
    const id = /"id":"(resp_[0-9a-f]+)"/.exec(begun)?.[1];
    expect((await worker.post('/cancel', { job_id: id })).status).toBe(202);
    const events = eventsIn(await stream.rest());
    expect(typesOf(events).slice(-2)).toEqual(['response.failed', 'error']);
    expect(events.at(-1)).toMatchObject({ code: 'cancelled', error: { code: 'cancelled' } });
    expect(events.at(-2)?.['response']).toMatchObject({ id, status: 'failed', output: [{ status: 'incomplete' }] });
  });

  test('the job is cancelled when the client leaves', async () => {
    const leave = new AbortController();
    const stream = await openStream(LONG, { 'X-Request-Id': 'req-left' }, leave.signal);
    await stream.until(/event: response\.output_text\.delta/);
    leave.abort();
    const lines = await worker.told('req-left');
    expect(lines.map(({ event }) => event)).toContain('reader.left');
  });
});

describe('an error before the answer has the form of OpenAI', () => {
  test.each([
    ['previous_response_id', { ...HAIKU, previous_response_id: 'resp_1' }, 'previous_response_id'],
    ['an image', { input: [{ role: 'user', content: [{ type: 'input_image' }] }] }, 'input[0].content[0]'],
    ['a range', { ...HAIKU, temperature: 3 }, 'temperature'],
    ['no input', {}, 'input'],
    ['no object', [], 'body'],
  ])('%s', async (_, body, param) => {
    for (const stream of [false, true]) {
      const response = await post(Array.isArray(body) ? body : { ...body, stream }, { 'X-Request-Id': 'req-refused' });
      expect(response.status).toBe(400);
      expect(response.headers.get('x-request-id')).toBe('req-refused');
      expect(await response.json()).toEqual({
        error: {
          message: expect.stringContaining(param),
          type: 'invalid_request_error',
          param,
          code: 'invalid_request',
        },
      });
    }
  });

  test('a prompt that does not fit', async () => {
    const response = await post({ input: 'sea '.repeat(600) });
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({ error: { code: 'context_length_exceeded' } });
  });

  test('a deadline in the past', async () => {
    const response = await post(HAIKU, { 'X-Deadline': '0' });
    expect(response.status).toBe(504);
    expect(await response.json()).toMatchObject({ error: { type: 'server_error', code: 'timeout' } });
  });

  test('a time-out while the document is computed', async () => {
    const response = await post({ ...LONG, timeout_ms: 1 });
    expect(response.status).toBe(504);
    expect(await response.json()).toMatchObject({ error: { code: 'timeout' } });
  });
});

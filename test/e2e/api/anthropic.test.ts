/** Anthropic's Messages API, on a real worker. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readEvents } from '../../../src/client/sse.ts';
import { sharedWorker } from '../../support/shared-worker.ts';
import { startWorker, type TestWorker } from '../../support/worker.ts';

const TOKEN = 'correct-horse-battery';
const PROMPT = [{ role: 'user', content: 'Write a haiku about the sea' }];
/** The same text on every run: greedy, so that it does not depend on the cache. */
const BODY = { model: 'haiku', max_tokens: 8, temperature: 0, messages: PROMPT };

let worker: TestWorker;
let guarded: TestWorker;
beforeAll(async () => {
  worker = await sharedWorker();
  guarded = await startWorker({ args: ['--api-token', TOKEN] });
});
afterAll(() => guarded.kill());

interface Usage {
  readonly input_tokens: number;
  readonly cache_read_input_tokens: number;
  readonly cache_creation_input_tokens: number;
  readonly output_tokens: number;
}
interface Message {
  readonly id: string;
  readonly content: readonly { readonly type: string; readonly text?: string }[];
  readonly stop_reason: string;
  readonly stop_sequence: string | null;
  readonly usage: Usage;
  readonly narration?: readonly { readonly event: string; readonly correlation_id: string }[];
}
interface ErrorBody {
  readonly type: 'error';
  readonly error: { readonly type: string; readonly message: string };
  readonly request_id: string;
}
type Event = Record<string, unknown> & { readonly type: string; readonly delta?: Record<string, unknown> };

const send = (body: object, headers = {}, signal?: AbortSignal): Promise<Response> =>
  worker.post('/v1/messages', { ...BODY, ...body }, headers, signal);

async function message(body: object, headers = {}): Promise<Message> {
  const response = await send(body, headers);
  const value = (await response.json()) as Message;
  expect({ status: response.status, value }).toMatchObject({ status: 200 });
  return value;
}

async function streamed(body: object, headers = {}): Promise<Event[]> {
  const response = await send({ ...body, stream: true }, headers);
  expect(response.status).toBe(200);
  expect(response.headers.get('content-type')).toMatch(/^text\/event-stream/);
  const events: Event[] = [];
  for await (const { event, data } of readEvents<Event>(response)) {
    expect(data.type).toBe(event);
    events.push(data);
  }
  return events;
}

const textOf = ({ content }: Message): string => content.map(({ text = '' }) => text).join('');
const deltasOf = (events: readonly Event[]): string =>
  events.map(({ delta }) => (delta?.['type'] === 'text_delta' ? delta['text'] : '')).join('');
const sumOf = ({ input_tokens, cache_read_input_tokens, cache_creation_input_tokens }: Usage): number =>
  input_tokens + cache_read_input_tokens + cache_creation_input_tokens;

async function refused(response: Response, status: number, type: string): Promise<string> {
  const body = (await response.json()) as ErrorBody;
  const request_id = response.headers.get('x-correlation-id');
  expect({ status: response.status, body }).toMatchObject({
    status,
    body: { type: 'error', error: { type }, request_id },
  });
  expect(Object.keys(body).sort()).toEqual(['error', 'request_id', 'type']);
  return body.error.message;
}

describe('a message', () => {
  test('has the text of the model, and the same as a stream', async () => {
    const whole = await message({});
    expect(whole).toEqual({
      id: expect.stringMatching(/^msg_[\da-f]{32}$/),
      type: 'message',
      role: 'assistant',
      model: 'haiku',
      content: [{ type: 'text', text: expect.stringMatching(/\w/) }],
      stop_reason: 'max_tokens',
      stop_sequence: null,
      usage: expect.objectContaining({ output_tokens: 8, cache_creation_input_tokens: 0 }),
    });
    const events = await streamed({});
    expect(deltasOf(events)).toBe(textOf(whole));
    const types = events.map(({ type }) => type).filter((type) => type !== 'content_block_delta');
    expect(types).toEqual([
      'message_start',
      'content_block_start',
      'content_block_stop',
      'message_delta',
      'message_stop',
    ]);
    const { usage } = events.at(-2) as unknown as { usage: Usage };
    expect(sumOf(usage)).toBe(sumOf(whole.usage));
  });

  test('ends at a stop sequence, which it names', async () => {
    const { stop_reason, stop_sequence, content } = await message({ max_tokens: 100, stop_sequences: ['\n'] });
    expect({ stop_reason, stop_sequence }).toEqual({ stop_reason: 'stop_sequence', stop_sequence: '\n' });
    expect(JSON.stringify(content)).not.toContain('\\n');
  });

  test('ends by itself, without a limit of tokens', async () => {
    const { stop_reason, usage } = await message({ max_tokens: undefined });
    expect(stop_reason).toBe('end_turn');
    expect(usage.output_tokens).toBeLessThan(400);
  });

  test('continues the beginning of an answer, and does not repeat it', async () => {
    const before = textOf(await message({ max_tokens: 4 }));
    const all = textOf(await message({ max_tokens: 8 }));
    const rest = await message({ max_tokens: 4, messages: [...PROMPT, { role: 'assistant', content: before }] });
    expect(textOf(rest)).toBe(all.slice(before.length));
  });

  test('reads blocks, results of tools and system prompts', async () => {
    const { usage } = await message({
      system: [{ type: 'text', text: 'Be brief' }],
      messages: [
        { role: 'user', content: [{ type: 'text', text: 'Look' }] },
        { role: 'assistant', content: [{ type: 'tool_use', id: 'toolu_1', name: 'sea', input: {} }] },
        { role: 'user', content: [{ type: 'tool_result', tool_use_id: 'toolu_1', content: 'Waves' }] },
      ],
    });
    expect(sumOf(usage)).toBeGreaterThan(8);
  });

  test('has ids for the client and the operator, whatever the query and the headers of the version are', async () => {
    const headers = { 'x-request-id': 'req-7', 'anthropic-version': '2023-06-01', 'anthropic-beta': 'a,b' };
    const response = await worker.post('/v1/messages?beta=true', BODY, headers);
    expect(response.status).toBe(200);
    const ids = ['x-correlation-id', 'x-request-id', 'request-id'].map((name) => response.headers.get(name));
    expect(ids).toEqual(['req-7', 'req-7', 'req-7']);
    const { id } = (await response.json()) as Message;
    const lines = await worker.told('req-7');
    expect(lines.find(({ event }) => event === 'request.validated')).toMatchObject({ job_id: id });
  });
});

describe('the narration', () => {
  test('is in no answer without a wish for it', async () => {
    expect(await message({})).not.toHaveProperty('narration');
    expect((await streamed({})).map(({ type }) => type)).not.toContain('ping');
  });

  test('is a field of a message', async () => {
    const { narration = [] } = await message({ narration: true }, { 'x-correlation-id': 'told-1' });
    expect(narration.map(({ event }) => event)).toContain('inference.complete');
    expect(new Set(narration.map(({ correlation_id }) => correlation_id))).toEqual(new Set(['told-1']));
  });

  test('is in the pings of a stream, and names fields without effect', async () => {
    const body = { model: 'claude', tools: [{ type: 'bash_20250124', name: 'bash' }], metadata: { user_id: 'a' } };
    const events = await streamed(body, { 'x-narration': 'on' });
    expect(events[0]?.type).toBe('message_start');
    const told = events.filter(({ type }) => type === 'ping').map((ping) => ping['narration'] as Event);
    const ignored = told.find(({ event }) => event === 'fields.ignored');
    expect(ignored?.['fields']).toBe('model, metadata, tools[0] (bash_20250124)');
  });
});

describe('an error', () => {
  test('of the body names the block', async () => {
    const messages = [{ role: 'user', content: [{ type: 'image', source: {} }] }];
    const sentence = await refused(await send({ messages }), 400, 'invalid_request_error');
    expect(sentence).toBe(
      'messages[0].content[0].type must be text: this worker does not read blocks of the type image',
    );
  });

  test.each(['{"messages": ', '[]', '7'])('of the JSON %s has the shape of the dialect', async (body) => {
    const response = await worker.post('/v1/messages', body);
    await refused(response, 400, 'invalid_request_error');
  });

  test('of a prompt that does not fit begins as clients expect', async () => {
    const messages = [{ role: 'user', content: 'sea '.repeat(600) }];
    const sentence = await refused(await send({ messages }), 400, 'invalid_request_error');
    expect(sentence).toMatch(/^prompt is too long: .*512/);
  });

  test('of a deadline is in the message, and in the stream', async () => {
    const slow = { max_tokens: 480, min_tokens: 480, timeout_ms: 30 };
    await refused(await send(slow), 504, 'timeout_error');
    const events = await streamed(slow);
    expect(events[0]?.type).toBe('message_start');
    expect(events.at(-1)).toMatchObject({ type: 'error', error: { type: 'timeout_error' } });
  });

  test('of a missing token has the shape of the dialect', async () => {
    const post = (headers = {}) => guarded.post('/v1/messages', BODY, headers);
    await refused(await post(), 401, 'authentication_error');
    await refused(await post({ 'x-api-key': 'wrong' }), 401, 'authentication_error');
    for (const headers of [{ 'x-api-key': TOKEN }, { Authorization: `Bearer ${TOKEN}` }])
      expect((await post(headers)).status).toBe(200);
  });
});

test('a client that leaves ends its job', async () => {
  const leaving = new AbortController();
  const id = 'leaves-1';
  const response = await send(
    { min_tokens: 480, max_tokens: 480, stream: true },
    { 'x-request-id': id },
    leaving.signal,
  );
  await response.body?.getReader().read();
  leaving.abort();
  const line = await worker.line('request.cancelled', (one) => one['correlation_id'] === id);
  expect(line['correlation_id']).toBe(id);
});

describe('count_tokens', () => {
  const count = (body: object, headers = {}): Promise<Response> =>
    worker.post('/v1/messages/count_tokens', { model: 'haiku', ...body }, headers);

  test.each([
    ['a text', { messages: PROMPT }],
    ['blocks', { system: 'Be brief', messages: [{ role: 'user', content: [{ type: 'text', text: 'Sea' }] }] }],
    ['the beginning of an answer', { messages: [...PROMPT, { role: 'assistant', content: 'Waves' }] }],
    ['tools', { messages: PROMPT, tools: [{ name: 'sea', input_schema: { type: 'object' } }] }],
  ])('equals the tokens of a real request with %s', async (_, body) => {
    const response = await count(body);
    expect(response.status).toBe(200);
    const { input_tokens } = (await response.json()) as { input_tokens: number };
    const { usage } = await message(body);
    expect(sumOf(usage)).toBe(input_tokens);
  });

  test('counts more tokens than the context has, and narrates fields without effect', async () => {
    const messages = [{ role: 'user', content: 'sea '.repeat(3000) }];
    const response = await count({ messages, extra: 1 }, { 'x-request-id': 'count-1' });
    const { input_tokens } = (await response.json()) as { input_tokens: number };
    expect(input_tokens).toBeGreaterThan(3000);
    expect(response.headers.get('request-id')).toBe('count-1');
    const line = await worker.line('fields.ignored', (one) => one['correlation_id'] === 'count-1');
    expect(line['fields']).toBe('extra');
  });

  test('refuses what the messages refuse', async () => {
    await refused(await count({ messages: [] }), 400, 'invalid_request_error');
  });
});

/** The package `@anthropic-ai/sdk` against the real worker: messages and the count of tokens. */
import Anthropic, { APIError, AuthenticationError, BadRequestError } from '@anthropic-ai/sdk';
import type { MessageParam, Tool, ToolResultBlockParam } from '@anthropic-ai/sdk/resources/messages';
import { beforeAll, expect, test } from 'vitest';
import { sharedWorker } from '../../support/shared-worker.ts';
import { type TestWorker, textOf } from '../../support/worker.ts';
import {
  CALL_ID,
  CALLS,
  CANCELLED,
  cancel,
  collect,
  DEADLINE_MS,
  DEGREES,
  endless,
  freeSlot,
  GREETING,
  jobOf,
  PARAMETERS,
  QUESTION,
  REASONING,
  readerLeft,
  SUMMARY,
  scripted,
  TIMED_OUT,
  TOKEN,
  UNAUTHORIZED,
} from './serving.ts';

/** The base URL has no `/v1`. */
const clientOf = ({ url }: TestWorker, apiKey = TOKEN): Anthropic =>
  new Anthropic({ baseURL: url, apiKey, maxRetries: 0 });

let haiku: TestWorker;
let worker: TestWorker;
let long: TestWorker;
let client: Anthropic;
beforeAll(async () => {
  [haiku, worker, long] = await Promise.all([sharedWorker(), scripted(), endless()]);
  client = clientOf(worker);
});

const user = (content: MessageParam['content']): MessageParam => ({ role: 'user', content });
const thinking = { type: 'enabled' as const, budget_tokens: 1024 };
/** The types of the package lack the temperature, which the dialect has. */
const greedy: object = { temperature: 0 };
const hello = { model: 'scripted', max_tokens: 2048, messages: [user('Hello!')], thinking };
/** All of the endless text. */
const endlessly = { ...hello, max_tokens: 100_000 };
const weather: Tool = { name: 'get_weather', description: 'The weather of a city', input_schema: PARAMETERS };
const asked = { ...hello, messages: [user(QUESTION)], tools: [weather] };
const inputs = CALLS.map((call) => ({ type: 'tool_use', name: call.name, input: call.arguments }));

test('a message: thinking, text, usage, and the ids of the log', async () => {
  const { data, response } = await client.messages.create(hello).withResponse();
  expect(data).toMatchObject({ type: 'message', role: 'assistant', stop_reason: 'end_turn' });
  expect(data.content).toMatchObject([{ type: 'thinking' }, { type: 'text', text: GREETING }]);
  expect(data.content[0]?.type === 'thinking' && data.content[0].thinking.trim()).toBe(REASONING);
  expect(data.usage.output_tokens).toBeGreaterThan(GREETING.length);
  const correlation = response.headers.get('x-request-id');
  expect(correlation).toBe(response.headers.get('x-correlation-id'));
  expect(await jobOf(worker, correlation)).toBe(data.id);
});

test('without thinking there is text only', async () => {
  const { content } = await client.messages.create({ ...hello, thinking: { type: 'disabled' } });
  expect(content).toMatchObject([{ type: 'text', text: GREETING }]);
});

test('the embedded model answers as with /execute; a system text of several blocks is taken', async () => {
  const cache_control = { type: 'ephemeral' as const };
  const { content, usage, stop_reason } = await clientOf(haiku).messages.create({
    model: 'haiku',
    max_tokens: 8,
    ...greedy,
    system: [{ type: 'text', text: 'Write a haiku.', cache_control }],
    messages: [user([{ type: 'text', text: 'The sea', cache_control }])],
  });
  const messages = [
    { role: 'system', content: 'Write a haiku.' },
    { role: 'user', content: 'The sea' },
  ];
  const events = await haiku.execute({ job_id: 'same-as-message', messages, temperature: 0, max_tokens: 8 });
  expect(content).toMatchObject([{ type: 'text', text: textOf(events) }]);
  expect(stop_reason).toBe('max_tokens');
  const { input_tokens, cache_read_input_tokens } = usage;
  expect(input_tokens + (cache_read_input_tokens ?? 0)).toBe(events.at(-1)?.data['tokens_in']);
});

test('a stop sequence is named', async () => {
  const { content, stop_reason, stop_sequence } = await client.messages.create({
    ...hello,
    thinking: { type: 'disabled' },
    stop_sequences: ['there'],
  });
  expect({ stop_reason, stop_sequence }).toEqual({ stop_reason: 'stop_sequence', stop_sequence: 'there' });
  expect(content).toMatchObject([{ type: 'text', text: 'Hello ' }]);
});

test('the events of a stream', async () => {
  const events = await collect(await client.messages.create({ ...hello, stream: true }));
  const types = events.map(({ type }) => type).filter((type, index, all) => type !== all[index - 1]);
  const block = ['content_block_start', 'content_block_delta', 'content_block_stop'];
  expect(types).toEqual(['message_start', ...block, ...block, 'message_delta', 'message_stop']);
  const delta = events.find((event) => event.type === 'message_delta');
  expect(delta?.delta.stop_reason).toBe('end_turn');
  expect(delta?.usage.output_tokens).toBeGreaterThan(GREETING.length);
});

test('the stream helper of the package', async () => {
  const stream = client.messages.stream(hello);
  const texts: string[] = [];
  const thoughts: string[] = [];
  stream.on('text', (text) => texts.push(text)).on('thinking', (text) => thoughts.push(text));
  const { content } = await stream.finalMessage();
  expect(content).toMatchObject([{ type: 'thinking' }, { type: 'text', text: GREETING }]);
  expect(texts.join('')).toBe(GREETING);
  expect(thoughts.join('').trim()).toBe(REASONING);
});

test('two parallel calls, and the answer to their results', async () => {
  const first = await client.messages.create(asked);
  expect(first.stop_reason).toBe('tool_use');
  const calls = first.content.filter((block) => block.type === 'tool_use');
  expect(calls).toMatchObject(inputs);
  // The dialect's ids have a prefix.
  for (const { id } of calls) expect(id.replace(/^toolu_/, '')).toMatch(CALL_ID);
  const results = calls.map(
    ({ id, input }): ToolResultBlockParam => ({
      type: 'tool_result',
      tool_use_id: id,
      content: [{ type: 'text', text: DEGREES[(input as { city: string }).city] ?? '' }],
    }),
  );
  const messages: MessageParam[] = [...asked.messages, { role: 'assistant', content: first.content }, user(results)];
  const second = await client.messages.create({ ...asked, messages });
  expect(second.content.filter(({ type }) => type === 'text')).toMatchObject([{ text: SUMMARY }]);
});

test('the input of a call arrives in pieces', async () => {
  const stream = client.messages.stream(asked);
  const pieces: string[] = [];
  stream.on('inputJson', (piece) => pieces.push(piece));
  const { content } = await stream.finalMessage();
  expect(content.filter(({ type }) => type === 'tool_use')).toMatchObject(inputs);
  expect(pieces.length).toBeGreaterThan(CALLS.length);
});

test('tool_choice any begins with a call; without parallel use there is one', async () => {
  const tool_choice = { type: 'any' as const, disable_parallel_tool_use: true };
  const { content } = await client.messages.create({ ...asked, thinking: { type: 'disabled' }, tool_choice });
  expect(content.filter(({ type }) => type === 'tool_use')).toMatchObject([inputs[0]]);
});

test('the tokens of a request are counted as it is answered', async () => {
  const { model, messages, tools } = asked;
  const { input_tokens } = await client.messages.countTokens({ model, messages, tools, thinking });
  const { usage } = await client.messages.create(asked);
  expect(usage.input_tokens + (usage.cache_read_input_tokens ?? 0)).toBe(input_tokens);
});

test('an invalid field is a BadRequestError that names it', async () => {
  for (const change of [{ temperature: 9 }, { messages: [] }, { top_k: -5 }]) {
    const [field = ''] = Object.keys(change);
    const error = await client.messages.create({ ...hello, ...change }).catch((cause: unknown) => cause);
    expect(error).toBeInstanceOf(BadRequestError);
    expect(error).toMatchObject({ status: 400, error: { type: 'error', error: { type: 'invalid_request_error' } } });
    expect(String(error)).toContain(field);
  }
});

test('a wrong key is an AuthenticationError; a bearer token counts as the key', async () => {
  const error = await clientOf(worker, 'a-wrong-token')
    .messages.create(hello)
    .catch((cause: unknown) => cause);
  expect(error).toBeInstanceOf(AuthenticationError);
  expect(error).toMatchObject({ error: { error: { type: 'authentication_error' } } });
  expect(String(error)).toContain(UNAUTHORIZED);
  const bearer = new Anthropic({ baseURL: worker.url, apiKey: null, authToken: TOKEN, maxRetries: 0 });
  expect(await bearer.messages.create(hello)).toMatchObject({ stop_reason: 'end_turn' });
});

test('an error inside a stream is raised with our sentence', async () => {
  const stream = await clientOf(long).messages.create({ ...hello, stream: true });
  const read = async (): Promise<void> => {
    for await (const event of stream) if (event.type === 'message_start') await cancel(long, event.message.id);
  };
  const error = await read().catch((cause: unknown) => cause);
  expect(error).toBeInstanceOf(APIError);
  expect(String(error)).toContain(CANCELLED);
  await freeSlot(long);
});

test('a deadline inside a stream is raised with our sentence', async () => {
  const headers = { 'X-Deadline': `${Date.now() + DEADLINE_MS}` };
  const stream = await clientOf(long).messages.create({ ...endlessly, stream: true }, { headers });
  let deltas = 0;
  const read = async (): Promise<void> => {
    for await (const event of stream) deltas += event.type === 'content_block_delta' ? 1 : 0;
  };
  const error = await read().catch((cause: unknown) => cause);
  expect(error).toBeInstanceOf(APIError);
  expect(String(error)).toContain(TIMED_OUT);
  expect(deltas).toBeGreaterThan(0);
  await freeSlot(long);
});

test('an aborted stream frees its slot', async () => {
  const stream = await clientOf(long).messages.create({ ...hello, stream: true });
  let job = '';
  for await (const event of stream) {
    if (event.type === 'message_start') job = event.message.id;
    if (event.type === 'content_block_delta') stream.controller.abort();
  }
  await readerLeft(long, job);
  await freeSlot(long);
});

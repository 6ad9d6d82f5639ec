/**
 * The package `@llamaindex/openai` against the real worker. Its calls take no signal, and a `break` out of the
 * loop of a stream does not close the connection: the worker then drops a slow reader. A signal in the options
 * of `fetch`, which the package passes on to its client, aborts a request.
 */
import type { ChatMessage, ToolCallLLMMessageOptions } from '@llamaindex/core/llms';
import { tool } from '@llamaindex/core/tools';
import { OpenAI } from '@llamaindex/openai';
import { beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { sharedWorker } from '../../support/shared-worker.ts';
import { type TestWorker, textOf } from '../../support/worker.ts';
import {
  CALLS,
  CANCELLED,
  cancel,
  collect,
  DEADLINE_MS,
  DEGREES,
  endless,
  freeSlot,
  GREETING,
  QUESTION,
  readerLeft,
  SUMMARY,
  scripted,
  TIMED_OUT,
  TOKEN,
  UNAUTHORIZED,
} from './serving.ts';

type Message = ChatMessage<ToolCallLLMMessageOptions>;

const modelOf = ({ url }: TestWorker, more: NonNullable<ConstructorParameters<typeof OpenAI>[0]> = {}): OpenAI =>
  new OpenAI({ model: 'scripted', apiKey: TOKEN, baseURL: `${url}/v1`, maxRetries: 0, ...more });

let haiku: TestWorker;
let worker: TestWorker;
let long: TestWorker;
beforeAll(async () => {
  [haiku, worker, long] = await Promise.all([sharedWorker(), scripted(), endless()]);
});

const user = (content: string): Message => ({ role: 'user', content });
const hello = [user('Hello!')];
const weather = tool({
  name: 'get_weather',
  description: 'The weather of a city',
  parameters: z.object({ city: z.string(), unit: z.string().optional() }),
  execute: ({ city }) => DEGREES[city] ?? '',
});

test('an answer', async () => {
  const { message } = await modelOf(worker).chat({ messages: hello });
  expect(message).toMatchObject({ role: 'assistant', content: GREETING });
});

test('a stream, with usage if asked for', async () => {
  const additionalChatOptions = { stream_options: { include_usage: true } };
  const chunks = await collect(
    await modelOf(worker, { additionalChatOptions }).chat({ messages: hello, stream: true }),
  );
  expect(chunks.map(({ delta }) => delta).join('')).toBe(GREETING);
  expect(chunks.at(-1)?.raw).toMatchObject({ usage: { completion_tokens: expect.any(Number) } });
});

test('the embedded model answers as with /execute', async () => {
  const { message } = await modelOf(haiku, { temperature: 0, maxTokens: 16 }).chat({ messages: [user('The sea')] });
  const messages = [{ role: 'user', content: 'The sea' }];
  const events = await haiku.execute({ job_id: 'same-as-llamaindex', messages, temperature: 0, max_tokens: 16 });
  expect(message.content).toBe(textOf(events));
});

test('two parallel calls, and the answer to their results', async () => {
  const model = modelOf(worker);
  const messages = [user(QUESTION)];
  const { message } = await model.chat({ messages, tools: [weather] });
  const calls = toolCalls(message);
  expect(calls.map(({ name, input }) => ({ name, arguments: JSON.parse(String(input)) }))).toEqual(CALLS);
  const results = calls.map(
    ({ id }): Message => ({
      role: 'user',
      content: '7 °C',
      options: { toolResult: { id, result: '7 °C', isError: false } },
    }),
  );
  const answer = await model.chat({ messages: [...messages, message, ...results], tools: [weather] });
  expect(answer.message.content).toBe(SUMMARY);
});

test('a stream with two parallel calls', async () => {
  const chunks = await collect(
    await modelOf(worker).chat({ messages: [user(QUESTION)], tools: [weather], stream: true }),
  );
  const calls = chunks.flatMap(({ options }) => (options && 'toolCall' in options ? options.toolCall : []));
  const found = new Map(
    calls.map(({ id, name, input }) => [id, { name, input: typeof input === 'string' ? JSON.parse(input) : input }]),
  );
  expect([...found.values()]).toEqual(CALLS.map((call) => ({ name: call.name, input: call.arguments })));
});

test('an error before the answer has our sentence', async () => {
  const invalid = await rejected(modelOf(haiku, { temperature: 9 }).chat({ messages: hello }));
  expect(invalid).toMatchObject({ status: 400, message: expect.stringContaining('temperature') });
  const stranger = await rejected(modelOf(worker, { apiKey: 'a-wrong-token' }).chat({ messages: hello }));
  expect(stranger).toMatchObject({ status: 401, message: expect.stringContaining(UNAUTHORIZED) });
});

test('an error inside a stream is raised with our sentence', async () => {
  const read = async (): Promise<void> => {
    let cancelled = false;
    for await (const { raw } of await modelOf(long).chat({ messages: hello, stream: true })) {
      if (!cancelled) await cancel(long, (raw as { id: string }).id);
      cancelled = true;
    }
  };
  expect(String(await rejected(read()))).toContain(CANCELLED);
  await freeSlot(long);
});

test('a deadline inside a stream is raised with our sentence', async () => {
  const model = modelOf(long, { additionalChatOptions: { timeout_ms: DEADLINE_MS } as object });
  let text = '';
  const read = async (): Promise<void> => {
    for await (const { delta } of await model.chat({ messages: hello, stream: true })) text += delta;
  };
  expect(String(await rejected(read()))).toContain(TIMED_OUT);
  expect(text).not.toBe('');
  await freeSlot(long);
});

test('an aborted stream frees its slot', async () => {
  const stop = new AbortController();
  // The types of the package lack the signal.
  const fetchOptions: object = { signal: stop.signal };
  const model = modelOf(long, { additionalSessionOptions: { fetchOptions } });
  let job: unknown;
  for await (const { raw } of await model.chat({ messages: hello, stream: true })) {
    job ??= (raw as { id: string }).id;
    stop.abort();
  }
  await readerLeft(long, job);
  await freeSlot(long);
});

const toolCalls = ({ options }: Message) => (options && 'toolCall' in options ? options.toolCall : []);

const rejected = (promise: Promise<unknown>): Promise<unknown> => promise.catch((cause: unknown) => cause);

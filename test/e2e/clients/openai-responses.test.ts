/** The package `openai` against the real worker: the Responses API, without state. */
import OpenAI, { APIError, BadRequestError } from 'openai';
import type { FunctionTool, ResponseInputItem, ResponseStreamEvent } from 'openai/resources/responses/responses';
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
} from './serving.ts';

const clientOf = ({ url }: TestWorker): OpenAI => new OpenAI({ baseURL: `${url}/v1`, apiKey: TOKEN, maxRetries: 0 });

let haiku: TestWorker;
let worker: TestWorker;
let long: TestWorker;
let client: OpenAI;
beforeAll(async () => {
  [haiku, worker, long] = await Promise.all([sharedWorker(), scripted(), endless()]);
  client = clientOf(worker);
});

const hello = { model: 'scripted', input: 'Hello!' };
const weather: FunctionTool = {
  type: 'function',
  name: 'get_weather',
  description: 'The weather of a city',
  parameters: PARAMETERS,
  strict: false,
};
const asked = { model: 'scripted', input: [{ role: 'user' as const, content: QUESTION }], tools: [weather] };

const reasoningOf = (output: readonly OpenAI.Responses.ResponseOutputItem[]): string =>
  output.flatMap((item) => (item.type === 'reasoning' ? (item.content ?? []).map(({ text }) => text) : [])).join('');

test('an answer: reasoning, a message, usage, and the ids of the log', async () => {
  const { data, request_id } = await client.responses.create(hello).withResponse();
  expect(data).toMatchObject({ object: 'response', status: 'completed', output_text: GREETING, error: null });
  expect(data.output.map(({ type }) => type)).toEqual(['reasoning', 'message']);
  expect(reasoningOf(data.output).trim()).toBe(REASONING);
  const { input_tokens = 0, output_tokens = 0, total_tokens, output_tokens_details } = data.usage ?? {};
  expect(total_tokens).toBe(input_tokens + output_tokens);
  expect(output_tokens_details?.reasoning_tokens).toBeGreaterThanOrEqual(REASONING.length);
  expect(data.usage?.input_tokens_details.cached_tokens).toEqual(expect.any(Number));
  expect(await jobOf(worker, request_id)).toBe(data.id);
});

test('the embedded model answers as with /execute; instructions are a system message', async () => {
  const { output_text, usage } = await clientOf(haiku).responses.create({
    model: 'haiku',
    instructions: 'Write a haiku.',
    input: 'The sea',
    temperature: 0,
    max_output_tokens: 16,
  });
  const messages = [
    { role: 'system', content: 'Write a haiku.' },
    { role: 'user', content: 'The sea' },
  ];
  const events = await haiku.execute({ job_id: 'same-as-response', messages, temperature: 0, max_tokens: 16 });
  expect(output_text).toBe(textOf(events));
  expect(usage?.input_tokens).toBe(events.at(-1)?.data['tokens_in']);
});

test('an output that reaches max_output_tokens is incomplete', async () => {
  const { status, incomplete_details } = await client.responses.create({ ...hello, max_output_tokens: 16 });
  expect(status).toBe('incomplete');
  expect(incomplete_details?.reason).toBe('max_output_tokens');
});

test('the events of a stream, numbered', async () => {
  const events = await collect(await client.responses.create({ ...hello, stream: true }));
  expect(events.map(({ sequence_number }) => sequence_number)).toEqual(events.map((_, index) => index));
  expect(events[0]?.type).toBe('response.created');
  expect(textIn(events, 'response.output_text.delta')).toBe(GREETING);
  expect(textIn(events, 'response.reasoning_text.delta').trim()).toBe(REASONING);
  const last = events.at(-1);
  expect(last?.type).toBe('response.completed');
  if (last?.type === 'response.completed') expect(last.response.usage?.output_tokens).toBeGreaterThan(0);
  const added = events.filter(({ type }) => type === 'response.output_item.added');
  expect(events.filter(({ type }) => type === 'response.output_item.done')).toHaveLength(added.length);
});

test('the stream helper of the package, which refuses unknown events', async () => {
  const response = await client.responses.stream(hello).finalResponse();
  expect(response).toMatchObject({ status: 'completed', output_text: GREETING });
});

test('two parallel calls, and the answer to their results', async () => {
  const first = await client.responses.create(asked);
  const calls = first.output.filter((item) => item.type === 'function_call');
  expect(calls.map((call) => ({ name: call.name, arguments: JSON.parse(call.arguments) }))).toEqual(CALLS);
  for (const { call_id } of calls) expect(call_id).toMatch(CALL_ID);
  const results = calls.map(
    (call): ResponseInputItem => ({
      type: 'function_call_output',
      call_id: call.call_id,
      output: DEGREES[JSON.parse(call.arguments).city as string] ?? '',
    }),
  );
  const input = [...asked.input, ...(first.output as ResponseInputItem[]), ...results];
  expect((await client.responses.create({ ...asked, input })).output_text).toBe(SUMMARY);
});

test('the arguments of calls arrive in pieces', async () => {
  const events = await collect(await client.responses.create({ ...asked, stream: true }));
  const pieces = events.filter((event) => event.type === 'response.function_call_arguments.delta');
  const items = [...new Set(pieces.map(({ item_id }) => item_id))];
  const texts = items.map((id) => pieces.filter(({ item_id }) => item_id === id).map(({ delta }) => delta));
  expect(texts.map((deltas) => JSON.parse(deltas.join('')))).toEqual(CALLS.map((call) => call.arguments));
  expect(texts.every((deltas) => deltas.length > 1)).toBe(true);
  const final = await client.responses.stream(asked).finalResponse();
  expect(final.output.filter(({ type }) => type === 'function_call')).toHaveLength(2);
});

test('tools of unknown types are skipped', async () => {
  const tools = [{ type: 'web_search' as const }, weather, { type: 'namespace', name: 'more', tools: [] } as never];
  const { output } = await client.responses.create({
    ...asked,
    tools,
    store: false,
    include: ['reasoning.encrypted_content'],
  });
  expect(output.filter(({ type }) => type === 'function_call')).toHaveLength(2);
});

test('an invalid field and a previous response are BadRequestErrors that name the field', async () => {
  for (const [field, change] of [
    ['temperature', { temperature: 9 }],
    ['previous_response_id', { previous_response_id: 'resp_1' }],
  ] as const) {
    const error = await client.responses.create({ ...hello, ...change }).catch((cause: unknown) => cause);
    expect(error).toBeInstanceOf(BadRequestError);
    expect(String(error)).toContain(field);
  }
});

test('an error inside a stream is raised with our sentence', async () => {
  const stream = await clientOf(long).responses.create({ ...hello, stream: true });
  const read = async (): Promise<void> => {
    for await (const event of stream) if (event.type === 'response.created') await cancel(long, event.response.id);
  };
  const error = await read().catch((cause: unknown) => cause);
  expect(error).toBeInstanceOf(APIError);
  expect(String(error)).toContain(CANCELLED);
  await freeSlot(long);
});

test('a deadline inside a stream is raised with our sentence', async () => {
  const deadline: object = { timeout_ms: DEADLINE_MS };
  const stream = await clientOf(long).responses.create({ ...hello, ...deadline, stream: true });
  const events: ResponseStreamEvent[] = [];
  const read = async (): Promise<void> => {
    for await (const event of stream) events.push(event);
  };
  const error = await read().catch((cause: unknown) => cause);
  expect(error).toBeInstanceOf(APIError);
  expect(String(error)).toContain(TIMED_OUT);
  expect(textIn(events, 'response.output_text.delta')).not.toBe('');
  await freeSlot(long);
});

test('an aborted stream frees its slot', async () => {
  const stream = await clientOf(long).responses.create({ ...hello, stream: true });
  let job = '';
  for await (const event of stream) {
    if (event.type === 'response.created') job = event.response.id;
    if (event.type === 'response.output_text.delta') stream.controller.abort();
  }
  await readerLeft(long, job);
  await freeSlot(long);
});

/** The joined texts of the deltas of one type. */
function textIn(
  events: readonly ResponseStreamEvent[],
  type: 'response.output_text.delta' | 'response.reasoning_text.delta',
): string {
  return events.map((event) => (event.type === type ? event.delta : '')).join('');
}

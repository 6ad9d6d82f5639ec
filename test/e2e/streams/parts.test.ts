/** The parts of an output in the native stream: tool calls, reasoning and the answer, with a scripted model. */
import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { reasoned, scriptedModel, toolCall } from '../../support/scripted-model/model.ts';
import { all, eventsOf, type StreamEvent, startWorker, type TestWorker, textOf } from '../../support/worker.ts';

const ARGUMENTS = { city: 'Łódź', words: 'zażółć 🐝' };
const CALLS = `${toolCall('get_weather', ARGUMENTS)}\n${toolCall('get_time', { zone: 'CET' })}`;
const SCRIPTS = {
  plain: reasoned('Plain, zażółć.', 'Just words 🐝.'),
  withTools: reasoned('A tool.', CALLS),
  afterTool: 'It is 7 °C.',
};

const root = mkdtempSync(join(tmpdir(), 'parts-'));
let worker: TestWorker;
beforeAll(async () => {
  worker = await startWorker({ args: ['--model', await scriptedModel(join(root, 'scripted'), SCRIPTS)] });
});
afterAll(async () => {
  await worker.stop();
  rmSync(root, { recursive: true });
});

const question = { role: 'user', content: 'How warm is it?' };
const nameOnly = (name: string) => ({ type: 'function', function: { name, parameters: { type: 'object' } } });
const tools = [nameOnly('get_weather'), nameOnly('get_time')];

/** The events of a job that ends well. */
async function run(body: object): Promise<readonly StreamEvent[]> {
  const input = 'prompt' in body ? {} : { messages: [question] };
  const events = await worker.execute({ job_id: randomUUID(), max_tokens: 2000, ...input, ...body });
  expect(events.at(-1)?.data).toMatchObject({ type: 'end' });
  const tokens = all(events, 'token');
  expect(tokens.map(({ i }) => i)).toEqual(tokens.map((_, index) => index));
  expect(tokens.filter(({ t }) => t === '')).toEqual([]);
  return events;
}

interface Output {
  readonly answer: string;
  readonly reasoning: string;
  readonly calls: readonly { readonly id: string; readonly name: string; readonly arguments: string }[];
}

/** The parts of a stream, as a client joins them. */
function partsOf(events: readonly StreamEvent[]): Output {
  const texts = { answer: '', reasoning: '' };
  const calls: { id: string; name: string; arguments: string }[] = [];
  for (const { t, part = 'answer', call, call_id: id } of all(events, 'token')) {
    if (part === 'tool_name') {
      expect(call).toBe(calls.length);
      calls.push({ id: String(id), name: String(t), arguments: '' });
    } else if (part === 'tool_arguments') {
      const open = calls[Number(call)];
      if (!open) throw new Error(`arguments of a call without a name: ${call}`);
      open.arguments += String(t);
    } else texts[part as 'answer' | 'reasoning'] += String(t);
  }
  return { ...texts, calls };
}

const namesOf = ({ calls }: Output): string[] => calls.map(({ name }) => name);
const WITH_CALLS = { answer: '', reasoning: 'A tool.' };

describe('a conversation with tools', () => {
  test('gets its reasoning, and every call with its id, its name and its arguments', async () => {
    const events = await run({ tools });
    const output = partsOf(events);
    expect(output).toMatchObject(WITH_CALLS);
    expect(output.calls.map(({ name, arguments: text }) => [name, JSON.parse(text)])).toEqual([
      ['get_weather', ARGUMENTS],
      ['get_time', { zone: 'CET' }],
    ]);
    expect(new Set(output.calls.map(({ id }) => id)).size).toBe(2);
    expect(events.at(-1)?.data).toMatchObject({ tool_calls: 2, stop_reason: 'eos' });
    // One token is one byte. The marks of the reasoning are no part of it.
    const reasoningTokens = Number(events.at(-1)?.data['reasoning_tokens']);
    expect(reasoningTokens).toBeGreaterThanOrEqual('A tool.'.length);
    expect(reasoningTokens).toBeLessThan('<think>\nA tool.\n</think>\n\n'.length);
  });

  test('gets the same parts as a chat completion', async () => {
    const { answer, reasoning, calls } = partsOf(await run({ tools }));
    const response = await worker.post('/v1/chat/completions', { messages: [question], tools, max_tokens: 2000 });
    const { choices } = (await response.json()) as { choices: { message: Record<string, unknown> }[] };
    expect(choices[0]?.message).toMatchObject({
      content: answer === '' ? null : answer,
      reasoning,
      tool_calls: calls.map(({ name, arguments: text }) => ({ function: { name, arguments: text } })),
    });
  });

  test('goes on with the result of a tool', async () => {
    const { calls, reasoning } = partsOf(await run({ tools, parallel_tool_calls: false }));
    expect(calls).toHaveLength(1);
    const asked = calls.map(({ id, name, arguments: text }) => ({
      id,
      type: 'function',
      function: { name, arguments: text },
    }));
    const messages = [
      question,
      { role: 'assistant', content: null, reasoning, tool_calls: asked },
      { role: 'tool', tool_call_id: calls[0]?.id, content: '7' },
    ];
    const events = await run({ messages, tools });
    expect(partsOf(events)).toEqual({ answer: SCRIPTS.afterTool, reasoning: '', calls: [] });
    expect(events.at(-1)?.data).not.toHaveProperty('tool_calls');
    expect(events.at(-1)?.data).not.toHaveProperty('reasoning_tokens');
    // The tools may be left out after the last call.
    expect(textOf(await run({ messages }))).toBe(SCRIPTS.afterTool);
  });

  test('is a prompt too', async () => {
    const output = partsOf(await run({ prompt: question.content, tools }));
    expect([output.reasoning, namesOf(output)]).toEqual(['A tool.', ['get_weather', 'get_time']]);
  });

  test('ends after its first call, if the request says so', async () => {
    const events = await run({ tools, parallel_tool_calls: false });
    expect(namesOf(partsOf(events))).toEqual(['get_weather']);
    expect(events.at(-1)?.data).toMatchObject({ tool_calls: 1 });
  });

  test.each(['required', { type: 'function', function: { name: 'get_weather' } }])(
    'begins with a call for the choice %j, and a demanded form is reported as ignored',
    async (choice) => {
      const events = await run({ tools, tool_choice: choice, regex: 'x' });
      expect(partsOf(events).calls[0]).toMatchObject({ name: 'get_weather', arguments: JSON.stringify(ARGUMENTS) });
      const ignored = all(events, 'narration').find(({ event }) => event === 'fields.ignored');
      expect(ignored).toMatchObject({ fields: 'regex' });
    },
  );

  test('is offered no tool with the choice none', async () => {
    const { reasoning, answer, calls } = partsOf(await run({ tools, tool_choice: 'none' }));
    expect([reasoning, answer, calls]).toEqual(['Plain, zażółć.', 'Just words 🐝.', []]);
  });

  test('is one text with parts: false, and its calls are counted', async () => {
    const events = await run({ tools, parts: false });
    expect(textOf(events)).toBe(SCRIPTS.withTools);
    expect(all(events, 'token').filter((token) => 'part' in token || 'call' in token)).toEqual([]);
    expect(events.at(-1)?.data).toMatchObject({ tool_calls: 2 });
    expect(events.at(-1)?.data).not.toHaveProperty('reasoning_tokens');
    expect(textOf(await run({ tools, parts: false, tool_choice: 'required' }))).toBe(CALLS);
  });
});

describe('reasoning', () => {
  test('is a part of its own with parts: true', async () => {
    const events = await run({ parts: true });
    expect(partsOf(events)).toEqual({ answer: 'Just words 🐝.', reasoning: 'Plain, zażółć.', calls: [] });
    expect(events.at(-1)?.data).toMatchObject({ reasoning_tokens: expect.any(Number) });
    expect(partsOf(await run({ prompt: 'x', parts: true }))).toMatchObject({ reasoning: 'Plain, zażółć.' });
  });

  test('stays in the text without parts', async () => {
    const events = await run({});
    expect(textOf(events)).toBe(SCRIPTS.plain);
    expect(Object.keys(all(events, 'token')[0] ?? {})).toEqual(['type', 't', 'i']);
    expect(events.at(-1)?.data).not.toHaveProperty('reasoning_tokens');
  });

  test('is switched off by a field of the request', async () => {
    expect(textOf(await run({ enable_thinking: false }))).toBe('Just words 🐝.');
    expect(textOf(await run({ reasoning_effort: 'none' }))).toBe('Just words 🐝.');
    expect(textOf(await run({ enable_thinking: true }))).toBe(SCRIPTS.plain);
  });

  test('may contain a stop string, which ends the output as a chat', async () => {
    const events = await run({ parts: true, stop: ['żółć'] });
    expect(partsOf(events)).toEqual({ answer: '', reasoning: 'Plain, za', calls: [] });
    expect(events.at(-1)?.data).toMatchObject({ stop_reason: 'stop_sequence', stop_sequence_matched: 'żółć' });
  });

  test('precedes a demanded form, which the answer has', async () => {
    const { answer, reasoning } = partsOf(await run({ parts: true, choice: ['Just words 🐝.', 'No.'] }));
    expect([answer, reasoning]).toEqual(['Just words 🐝.', 'Plain, zażółć.']);
  });
});

test('a stream can be resumed in the middle of a call, with the same parts', async () => {
  const id = randomUUID();
  const body = { job_id: id, messages: [question], tools, max_tokens: 2000, on_disconnect: 'continue' };
  const leaving = new AbortController();
  const first: StreamEvent[] = [];
  const response = await worker.post('/execute', body, {}, leaving.signal);
  for await (const event of eventsOf(response)) {
    first.push(event);
    if (event.data['part'] === 'tool_arguments' && event.data['call'] === 0) break;
  }
  leaving.abort();
  const rest: StreamEvent[] = [];
  const again = await worker.get(`/jobs/${id}/events`, { 'Last-Event-ID': first.at(-1)?.id ?? '' });
  for await (const event of eventsOf(again)) rest.push(event);
  const whole: StreamEvent[] = [];
  for await (const event of eventsOf(await worker.get(`/jobs/${id}/events`))) whole.push(event);
  const joined = [...first, ...rest];
  expect(joined.map(({ id: eventId, data }) => [eventId, data])).toEqual(
    whole.map(({ id: eventId, data }) => [eventId, data]),
  );
  const { calls, ...texts } = partsOf(joined);
  expect(texts).toEqual(WITH_CALLS);
  expect(calls.map(({ name, arguments: text }) => [name, JSON.parse(text)])).toEqual([
    ['get_weather', ARGUMENTS],
    ['get_time', { zone: 'CET' }],
  ]);
});

test.each([
  [{ tools: [{ type: 'function', function: {} }] }, 'tools[0].function.name'],
  [{ tools: [nameOnly('a')], tool_choice: { type: 'function', function: { name: 'b' } } }, 'tool_choice.function.name'],
  [{ messages: [{ role: 'assistant' }] }, 'messages[0].content'],
  [
    { tools: [{ type: 'function', function: { name: 'a', strict: true, parameters: { type: 'sea' } } }] },
    'tools[0].function.parameters.type',
  ],
  [{ tools: [{ type: 'function', function: { name: 'a', description: 'x'.repeat(2 ** 21) } }] }, 'messages'],
])('a refusal names its field: %#', async (body, field) => {
  const response = await worker.post('/execute', { job_id: randomUUID(), messages: [question], ...body });
  const { error } = (await response.json()) as { error: { code: string; errors: { field: string }[] } };
  expect([response.status, error.code, error.errors.map((one) => one.field)]).toEqual([
    400,
    'INVALID_REQUEST',
    [field],
  ]);
});

test('a raw prompt has no parts: the field is reported as ignored', async () => {
  const events = await run({ prompt: 'x', raw: true, parts: true, max_tokens: 3 });
  expect(all(events, 'token').filter((token) => 'part' in token)).toEqual([]);
  expect(all(events, 'narration').find(({ event }) => event === 'fields.ignored')).toMatchObject({ fields: 'parts' });
});

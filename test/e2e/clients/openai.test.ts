/** The package `openai` against the real worker: chat completions, completions and models. */
import OpenAI, { APIError, APIUserAbortError, AuthenticationError, BadRequestError, NotFoundError } from 'openai';
import type { ChatCompletionMessageParam, ChatCompletionTool } from 'openai/resources/chat/completions';
import { beforeAll, describe, expect, test } from 'vitest';
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

const clientOf = ({ url }: TestWorker, apiKey = TOKEN): OpenAI =>
  new OpenAI({ baseURL: `${url}/v1`, apiKey, maxRetries: 0 });

let haiku: TestWorker;
let worker: TestWorker;
let long: TestWorker;
let plain: OpenAI;
let client: OpenAI;
let endlessly: OpenAI;
beforeAll(async () => {
  [haiku, worker, long] = await Promise.all([sharedWorker(), scripted(), endless()]);
  plain = clientOf(haiku);
  client = clientOf(worker);
  endlessly = clientOf(long);
});

const user = (content: string): ChatCompletionMessageParam => ({ role: 'user', content });
const hello = { model: 'scripted', messages: [user('Hello!')] };
const sea = { model: 'haiku', messages: [user('The sea')], seed: 7, temperature: 1, max_tokens: 24 };
const weather: ChatCompletionTool = {
  type: 'function',
  function: { name: 'get_weather', description: 'The weather of a city', parameters: PARAMETERS },
};
const asked = { model: 'scripted', messages: [user(QUESTION)], tools: [weather] };
/** A message or a delta with the fields that the types of the package lack. */
interface Reasoned {
  readonly content?: string | null;
  readonly reasoning_content?: string;
  readonly reasoning?: string;
}
/** A field of requests that those types lack. */
const ignoringEos: object = { ignore_eos: true };

describe('chat', () => {
  test('the answer is the one of /execute, and its ids are those of the log', async () => {
    const { data, request_id, response } = await plain.chat.completions.create(sea).withResponse();
    const { messages, seed, temperature, max_tokens } = sea;
    const events = await haiku.execute({ job_id: 'same-as-chat', messages, seed, temperature, max_tokens });
    expect(data).toMatchObject({ object: 'chat.completion', choices: [{ index: 0 }] });
    expect(data.choices[0]?.message).toMatchObject({ role: 'assistant', content: textOf(events) });
    expect(data.usage).toMatchObject({
      prompt_tokens: events.at(-1)?.data['tokens_in'],
      completion_tokens: events.at(-1)?.data['tokens_out'],
    });
    expect(data.usage?.total_tokens).toBe((data.usage?.prompt_tokens ?? 0) + (data.usage?.completion_tokens ?? 0));
    expect(data.usage?.prompt_tokens_details?.cached_tokens).toEqual(expect.any(Number));
    expect(request_id).toBe(response.headers.get('x-correlation-id'));
    expect(await jobOf(haiku, request_id)).toBe(data.id);
  });

  test('a stream has the same text, one usage at the end, and no other chunk without choices', async () => {
    const whole = await plain.chat.completions.create(sea);
    const stream = await plain.chat.completions.create({
      ...sea,
      stream: true,
      stream_options: { include_usage: true },
    });
    const chunks = await collect(stream);
    expect(chunks.map(({ choices }) => choices[0]?.delta.content ?? '').join('')).toBe(
      whole.choices[0]?.message.content,
    );
    expect(chunks.filter(({ choices }) => choices.length === 0)).toEqual([chunks.at(-1)]);
    const { prompt_tokens, completion_tokens } = whole.usage ?? {};
    expect(chunks.at(-1)?.usage).toMatchObject({ prompt_tokens, completion_tokens });
    expect(chunks.at(-2)?.choices[0]?.finish_reason).toBe(whole.choices[0]?.finish_reason);
    expect(new Set(chunks.map(({ id }) => id)).size).toBe(1);
  });

  test('a stream without usage has none', async () => {
    const chunks = await collect(await plain.chat.completions.create({ ...sea, stream: true }));
    expect(chunks.every(({ choices, usage }) => choices.length === 1 && !usage)).toBe(true);
  });

  test('more tokens than the context has end with "length"', async () => {
    const { choices, usage } = await plain.chat.completions.create({ ...sea, max_tokens: 32_000, ...ignoringEos });
    expect(choices[0]?.finish_reason).toBe('length');
    expect(usage?.total_tokens).toBe(512);
  });

  test('max_completion_tokens beats max_tokens; content parts, developer messages and unknown fields are taken', async () => {
    const more: object = { unknown_field: { deep: [1] } };
    const { choices, usage } = await plain.chat.completions.create({
      model: 'haiku',
      messages: [
        { role: 'developer', content: 'Write a haiku.' },
        { role: 'user', content: [{ type: 'text', text: 'The sea' }] },
      ],
      max_tokens: 9,
      max_completion_tokens: 3,
      top_p: null,
      ...ignoringEos,
      ...more,
    });
    expect(usage?.completion_tokens).toBe(3);
    expect(choices[0]?.finish_reason).toBe('length');
  });

  test('n answers are numbered, and share one prompt', async () => {
    const one = await plain.chat.completions.create(sea);
    const { choices, usage } = await plain.chat.completions.create({ ...sea, n: 3 });
    expect(choices.map(({ index }) => index)).toEqual([0, 1, 2]);
    expect(new Set(choices.map(({ message }) => message.content)).size).toBeGreaterThan(1);
    expect(usage?.prompt_tokens).toBe(one.usage?.prompt_tokens);
  });

  test('log-probabilities belong to the text', async () => {
    const { choices } = await plain.chat.completions.create({
      ...sea,
      temperature: 0,
      logprobs: true,
      top_logprobs: 3,
    });
    const content = choices[0]?.logprobs?.content ?? [];
    expect(content.map(({ token }) => token).join('')).toContain(choices[0]?.message.content);
    for (const { logprob, top_logprobs } of content) {
      expect(logprob).toBeLessThanOrEqual(0);
      expect(top_logprobs).toHaveLength(3);
      expect(top_logprobs[0]?.logprob).toBe(logprob);
    }
  });

  test('a stop string ends the answer, and is not a part of it', async () => {
    const whole = (await plain.chat.completions.create(sea)).choices[0]?.message.content ?? '';
    const stop = whole.slice(5, 8);
    const { choices } = await plain.chat.completions.create({ ...sea, stop });
    expect(choices[0]).toMatchObject({
      finish_reason: 'stop',
      message: { content: whole.slice(0, whole.indexOf(stop)) },
    });
  });
});

describe('reasoning', () => {
  test('it is apart from the answer, under both names, and its tokens are counted', async () => {
    const { choices, usage } = await client.chat.completions.create(hello);
    const message: Reasoned | undefined = choices[0]?.message;
    expect(message?.content).toBe(GREETING);
    expect(message?.reasoning_content?.trim()).toBe(REASONING);
    expect(message?.reasoning).toBe(message?.reasoning_content);
    const reasoningTokens = usage?.completion_tokens_details?.reasoning_tokens ?? 0;
    expect(reasoningTokens).toBeGreaterThanOrEqual(REASONING.length);
    expect(reasoningTokens).toBeLessThan(usage?.completion_tokens ?? 0);
  });

  test('a stream has it before the answer', async () => {
    const chunks = await collect(await client.chat.completions.create({ ...hello, stream: true }));
    const deltas = chunks.map(({ choices }): Reasoned | undefined => choices[0]?.delta);
    expect(deltas.map((delta) => delta?.content ?? '').join('')).toBe(GREETING);
    const reasoning = deltas.map((delta) => delta?.reasoning_content ?? '');
    expect(reasoning.join('').trim()).toBe(REASONING);
    const last = reasoning.findLastIndex((text) => text !== '');
    expect(last).toBeLessThan(deltas.findIndex((delta) => Boolean(delta?.content)));
  });

  test('enable_thinking: false reaches the template', async () => {
    const quiet: object = { chat_template_kwargs: { enable_thinking: false } };
    const { choices, usage } = await client.chat.completions.create({ ...hello, ...quiet });
    expect(choices[0]?.message.content).toBe(GREETING);
    const message: Reasoned | undefined = choices[0]?.message;
    expect(message?.reasoning_content ?? '').toBe('');
    expect(usage?.completion_tokens_details?.reasoning_tokens ?? 0).toBe(0);
  });
});

describe('tools', () => {
  test('two parallel calls, and the answer to their results', async () => {
    const first = (await client.chat.completions.create(asked)).choices[0];
    const calls = functionCalls(first?.message.tool_calls);
    expect(first?.finish_reason).toBe('tool_calls');
    expect(first?.message.content ?? '').toBe('');
    expect(calls.map((call) => ({ name: call.function.name, arguments: JSON.parse(call.function.arguments) }))).toEqual(
      CALLS,
    );
    expect(new Set(calls.map(({ id }) => id)).size).toBe(2);
    for (const { id } of calls) expect(id).toMatch(CALL_ID);
    if (!first) throw new Error('no choice');
    const results = calls.map(
      ({ id }): ChatCompletionMessageParam => ({ role: 'tool', tool_call_id: id, content: '7' }),
    );
    const messages = [...asked.messages, first.message, ...results];
    const second = (await client.chat.completions.create({ ...asked, messages })).choices[0];
    expect(second).toMatchObject({ finish_reason: 'stop', message: { content: SUMMARY } });
  });

  test('a stream has the name of a call first, then pieces of its arguments', async () => {
    const chunks = await collect(await client.chat.completions.create({ ...asked, stream: true }));
    const deltas = chunks.flatMap(({ choices }) => choices[0]?.delta.tool_calls ?? []);
    for (const [index, call] of CALLS.entries()) {
      const [head, ...rest] = deltas.filter((delta) => delta.index === index);
      expect(head).toMatchObject({
        id: expect.stringMatching(CALL_ID),
        type: 'function',
        function: { name: call.name },
      });
      expect(rest.length).toBeGreaterThan(1);
      expect(rest.every(({ id, function: of }) => id === undefined && of?.name === undefined)).toBe(true);
      const text = [head, ...rest].map((delta) => delta?.function?.arguments ?? '').join('');
      expect(JSON.parse(text)).toEqual(call.arguments);
    }
    expect(chunks.findLast(({ choices }) => choices.length > 0)?.choices[0]?.finish_reason).toBe('tool_calls');
  });

  test('the helpers of the package: stream, and runTools with real functions', async () => {
    const completion = await client.chat.completions.stream(asked).finalChatCompletion();
    const parsed = functionCalls(completion.choices[0]?.message.tool_calls);
    expect(parsed.map((call) => JSON.parse(call.function.arguments))).toEqual(CALLS.map((call) => call.arguments));
    const cities: string[] = [];
    const runner = client.chat.completions.runTools({
      model: 'scripted',
      stream: true,
      messages: asked.messages,
      tools: [
        {
          type: 'function',
          function: {
            name: 'get_weather',
            description: 'The weather of a city',
            parameters: PARAMETERS,
            parse: JSON.parse,
            function: ({ city }: { city: string }) => {
              cities.push(city);
              return DEGREES[city];
            },
          },
        },
      ],
    });
    expect(await runner.finalContent()).toBe(SUMMARY);
    expect(cities).toEqual(['Łódź', 'Oslo']);
  });

  test('parallel_tool_calls: false gives one call', async () => {
    const { choices } = await client.chat.completions.create({ ...asked, parallel_tool_calls: false });
    expect(functionCalls(choices[0]?.message.tool_calls)).toHaveLength(1);
  });

  test.each(['required' as const, { type: 'function' as const, function: { name: 'get_weather' } }])(
    'tool_choice %j begins with a call',
    async (tool_choice) => {
      const { choices } = await client.chat.completions.create({ ...asked, tool_choice });
      const call = functionCalls(choices[0]?.message.tool_calls)[0];
      expect({ name: call?.function.name, arguments: JSON.parse(call?.function.arguments ?? '') }).toEqual(CALLS[0]);
    },
  );

  test('tool_choice none gives text', async () => {
    const { choices } = await client.chat.completions.create({ ...asked, tool_choice: 'none' });
    expect(choices[0]?.message.tool_calls ?? []).toEqual([]);
    expect(choices[0]?.message.content).toBe(GREETING);
  });
});

describe('errors and aborts', () => {
  test.each([
    ['temperature', { temperature: 9 }],
    ['n', { n: 0 }],
    ['messages', { messages: [] }],
  ])('an invalid %s is a BadRequestError that names the field', async (field, change) => {
    const error = await plain.chat.completions.create({ ...sea, ...change }).catch((cause: unknown) => cause);
    expect(error).toBeInstanceOf(BadRequestError);
    expect(error).toMatchObject({
      status: 400,
      type: 'invalid_request_error',
      message: expect.stringContaining(field),
    });
  });

  test('a wrong token is an AuthenticationError, also for a stream', async () => {
    const stranger = clientOf(worker, 'a-wrong-token');
    for (const stream of [false, true]) {
      const error = await stranger.chat.completions.create({ ...hello, stream }).catch((cause: unknown) => cause);
      expect(error).toBeInstanceOf(AuthenticationError);
      expect(String(error)).toContain(UNAUTHORIZED);
    }
  });

  test('a deadline that has passed is an error with our sentence', async () => {
    const headers = { 'X-Deadline': '0' };
    const error = await plain.chat.completions.create(sea, { headers }).catch((cause: unknown) => cause);
    expect(error).toBeInstanceOf(APIError);
    expect(error).toMatchObject({ status: 504, message: expect.stringContaining('deadline') });
  });

  test('an error inside a stream is raised with our sentence', async () => {
    const stream = await endlessly.chat.completions.create({ ...hello, stream: true });
    const read = async (): Promise<void> => {
      let cancelled = false;
      for await (const { id } of stream) {
        if (!cancelled) await cancel(long, id);
        cancelled = true;
      }
    };
    const error = await read().catch((cause: unknown) => cause);
    expect(error).toBeInstanceOf(APIError);
    expect(String(error)).toContain(CANCELLED);
    await freeSlot(long);
  });

  test('a deadline inside a stream is raised with our sentence: timeout_ms in the body, or X-Deadline', async () => {
    const withTimeout: object = { timeout_ms: DEADLINE_MS };
    for (const [fields, headersOf] of [
      [withTimeout, () => ({})],
      [{}, () => ({ 'X-Deadline': `${Date.now() + DEADLINE_MS}` })],
    ] as const) {
      const stream = await endlessly.chat.completions.create(
        { ...hello, ...fields, stream: true },
        { headers: headersOf() },
      );
      let text = '';
      const read = async (): Promise<void> => {
        for await (const { choices } of stream) text += choices[0]?.delta.content ?? '';
      };
      const error = await read().catch((cause: unknown) => cause);
      expect(error).toBeInstanceOf(APIError);
      expect(String(error)).toContain(TIMED_OUT);
      expect(text).not.toBe('');
      await freeSlot(long);
    }
  });

  test('an aborted stream frees its slot', async () => {
    const stream = await endlessly.chat.completions.create({ ...hello, stream: true });
    let job = '';
    for await (const { id } of stream) {
      job = id;
      stream.controller.abort();
    }
    await readerLeft(long, job);
    await freeSlot(long);
  });

  test('an aborted request without a stream frees its slot', async () => {
    const stop = new AbortController();
    const before = long.lines.length;
    const answer = endlessly.chat.completions.create(hello, { signal: stop.signal }).catch((cause: unknown) => cause);
    const begun = await long.line('inference.start', (line) => long.lines.indexOf(line) >= before);
    stop.abort();
    expect(await answer).toBeInstanceOf(APIUserAbortError);
    await readerLeft(long, begun['job_id']);
    await freeSlot(long);
  });
});

describe('completions', () => {
  const pond = { model: 'haiku', prompt: 'The old pond', max_tokens: 8, temperature: 0 };

  test('the text continues the prompt, as with /execute raw', async () => {
    const { id, choices, usage } = await plain.completions.create(pond);
    const { prompt, max_tokens, temperature } = pond;
    const events = await haiku.execute({ job_id: 'same-as-text', prompt, raw: true, max_tokens, temperature });
    expect(choices[0]?.text).toBe(textOf(events));
    expect(usage?.completion_tokens).toBe(events.at(-1)?.data['tokens_out']);
    expect(id).toEqual(expect.any(String));
  });

  test('a stream has the same text', async () => {
    const whole = await plain.completions.create(pond);
    const chunks = await collect(await plain.completions.create({ ...pond, stream: true }));
    expect(chunks.map(({ choices }) => choices[0]?.text ?? '').join('')).toBe(whole.choices[0]?.text);
  });

  test('several prompts are answered in order, n times each', async () => {
    const prompts = ['The old pond', 'Autumn wind'];
    const [first, second] = await Promise.all(prompts.map((prompt) => plain.completions.create({ ...pond, prompt })));
    const { choices } = await plain.completions.create({ ...pond, prompt: prompts, n: 2 });
    const texts = [first, first, second, second].map((one) => one?.choices[0]?.text);
    expect(choices.toSorted((a, b) => a.index - b.index).map(({ text }) => text)).toEqual(texts);
  });

  test('echo with logprobs begins with the prompt, whose first token has none', async () => {
    const [choice] = (await plain.completions.create({ ...pond, echo: true, logprobs: 2 })).choices;
    const { tokens = [], token_logprobs = [], top_logprobs = [], text_offset = [] } = choice?.logprobs ?? {};
    expect(choice?.text.startsWith(pond.prompt)).toBe(true);
    expect(token_logprobs).toHaveLength(tokens.length);
    expect(top_logprobs).toHaveLength(tokens.length);
    expect(token_logprobs[0]).toBeNull();
    expect(token_logprobs.slice(1).every((one) => typeof one === 'number' && one <= 0)).toBe(true);
    expect(text_offset).toHaveLength(tokens.length);
  });

  test('a suffix is refused by name', async () => {
    const error = await plain.completions.create({ ...pond, suffix: 'frog' }).catch((cause: unknown) => cause);
    expect(error).toBeInstanceOf(BadRequestError);
    expect(String(error)).toContain('suffix');
  });
});

test('the models: one, by its name; another is not found', async () => {
  const models = await collect(client.models.list());
  expect(models).toMatchObject([{ id: 'scripted', object: 'model' }]);
  expect(await client.models.retrieve('scripted')).toMatchObject({ id: 'scripted' });
  await expect(client.models.retrieve('unknown')).rejects.toBeInstanceOf(NotFoundError);
});

/** The calls of functions among calls of tools. */
function functionCalls(
  calls: OpenAI.ChatCompletionMessageToolCall[] = [],
): OpenAI.ChatCompletionMessageFunctionToolCall[] {
  return calls.filter((call) => call.type === 'function');
}

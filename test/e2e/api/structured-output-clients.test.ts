/** Demanded forms of the output through the packages of clients, with the embedded model. */

import { createAnthropic } from '@ai-sdk/anthropic';
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import Anthropic from '@anthropic-ai/sdk';
import { jsonSchemaOutputFormat } from '@anthropic-ai/sdk/helpers/json-schema';
import { zodOutputFormat } from '@anthropic-ai/sdk/helpers/zod';
import { ChatOpenAI } from '@langchain/openai';
import { generateObject, streamObject } from 'ai';
import OpenAI from 'openai';
import { zodFunction, zodResponseFormat, zodResponsesFunction, zodTextFormat } from 'openai/helpers/zod';
import { beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { POEM, PROMPT, TOKENS, validValue } from '../../support/forms.ts';
import { sharedWorker } from '../../support/shared-worker.ts';
import type { TestWorker } from '../../support/worker.ts';

/** A schema as clients write it. The packages send its bounds, except for the provider of Anthropic. */
const Poem = z.object({
  title: z.string().min(1).max(24),
  mood: z.enum(['calm', 'wild']),
  syllables: z.number().int().min(1).max(17),
  lines: z.array(z.string().max(16)).min(1).max(3),
});
const KEY = 'none';
const messages = [{ role: 'user' as const, content: PROMPT }];

let worker: TestWorker;
beforeAll(async () => {
  worker = await sharedWorker();
});

describe('openai', () => {
  const clientOf = ({ url }: TestWorker): OpenAI => new OpenAI({ baseURL: `${url}/v1`, apiKey: KEY, maxRetries: 0 });

  test('parse() of a chat', async () => {
    const answer = await clientOf(worker).chat.completions.parse({
      model: 'haiku',
      messages,
      max_tokens: TOKENS,
      seed: 1,
      response_format: zodResponseFormat(Poem, 'poem'),
    });
    const [choice] = answer.choices;
    expect(choice?.finish_reason).toBe('stop');
    expect(Poem.parse(JSON.parse(choice?.message.content ?? ''))).toEqual(choice?.message.parsed);
  });

  test('a stream of a chat with a parsed end', async () => {
    const stream = clientOf(worker).chat.completions.stream({
      model: 'haiku',
      messages,
      max_tokens: TOKENS,
      seed: 2,
      response_format: zodResponseFormat(Poem, 'poem'),
    });
    let pieces = 0;
    stream.on('content.delta', () => {
      pieces += 1;
    });
    const { choices } = await stream.finalChatCompletion();
    expect(pieces).toBeGreaterThan(1);
    expect(choices[0]?.finish_reason).toBe('stop');
    expect(Poem.parse(JSON.parse(choices[0]?.message.content ?? ''))).toEqual(choices[0]?.message.parsed);
  });

  test('parse() of the Responses API', async () => {
    const response = await clientOf(worker).responses.parse({
      model: 'haiku',
      input: PROMPT,
      max_output_tokens: TOKENS,
      text: { format: zodTextFormat(Poem, 'poem') },
    });
    expect(response.status).toBe('completed');
    expect(Poem.parse(JSON.parse(response.output_text))).toEqual(response.output_parsed);
    expect(response.text?.format).toMatchObject({ type: 'json_schema', name: 'poem', strict: true });
  });

  // The description of a tool takes much of the small context of the embedded model.
  const Sail = z.object({ tide: z.enum(['low', 'high']), hours: z.number().int().min(1).max(24) });
  const sail = { name: 'sail', parameters: Sail };

  test('parse() of a chat with the call of a strict tool', async () => {
    const { choices } = await clientOf(worker).chat.completions.parse({
      model: 'haiku',
      messages: [{ role: 'user', content: 'Sail' }],
      max_tokens: TOKENS,
      seed: 3,
      tools: [zodFunction(sail)],
      tool_choice: 'required',
      parallel_tool_calls: false,
    });
    const [call] = choices[0]?.message.tool_calls ?? [];
    expect([choices[0]?.finish_reason, call?.function.name]).toEqual(['tool_calls', 'sail']);
    expect(Sail.parse(JSON.parse(call?.function.arguments ?? ''))).toEqual(call?.function.parsed_arguments);
  });

  test('parse() of the Responses API with the call of a strict tool', async () => {
    const { output } = await clientOf(worker).responses.parse({
      model: 'haiku',
      input: 'Sail',
      max_output_tokens: TOKENS,
      tools: [zodResponsesFunction(sail)],
      tool_choice: { type: 'function', name: 'sail' },
      parallel_tool_calls: false,
    });
    const [call] = output;
    if (call?.type !== 'function_call') throw new Error(`no call: ${JSON.stringify(output)}`);
    expect(Sail.parse(JSON.parse(call.arguments))).toEqual(call.parsed_arguments);
  });
});

describe('the AI SDK', () => {
  const settings = { schema: Poem, prompt: PROMPT, maxOutputTokens: TOKENS, maxRetries: 0 };
  const modelOf = ({ url }: TestWorker, supportsStructuredOutputs: boolean) =>
    createOpenAICompatible({ name: 'worker', baseURL: `${url}/v1`, apiKey: KEY, supportsStructuredOutputs })('haiku');

  test('generateObject', async () => {
    const { object, finishReason } = await generateObject({ ...settings, model: modelOf(worker, true), seed: 3 });
    expect(Poem.parse(object)).toEqual(object);
    expect(finishReason).toBe('stop');
  });

  test('streamObject', async () => {
    const result = streamObject({ ...settings, model: modelOf(worker, true), seed: 4 });
    let pieces = 0;
    for await (const _ of result.partialObjectStream) pieces += 1;
    expect(Poem.parse(await result.object)).toEqual(await result.object);
    expect(pieces).toBeGreaterThan(1);
  });

  test('without a schema the output is any object', async () => {
    const { object } = await generateObject({
      model: modelOf(worker, false),
      output: 'no-schema',
      prompt: PROMPT,
      maxOutputTokens: 64,
      maxRetries: 0,
      seed: 5,
    });
    expect(object).toEqual(expect.any(Object));
  });

  test('the provider of Anthropic', async () => {
    const anthropic = createAnthropic({ baseURL: `${worker.url}/v1`, apiKey: KEY });
    const providerOptions = { anthropic: { structuredOutputMode: 'outputFormat' } };
    // The provider moves bounds, such as maxLength, to descriptions: this schema has none.
    const schema = z.object({
      mood: z.enum(['calm', 'wild']),
      tides: z.array(z.enum(['low', 'high'])),
      isSea: z.boolean(),
    });
    const { object } = await generateObject({ ...settings, schema, model: anthropic('haiku'), providerOptions });
    expect(schema.parse(object)).toEqual(object);
  });
});

describe.each([
  ['chat completions', false],
  ['the Responses API', true],
])('LangChain over %s', (_, useResponsesApi) => {
  test('withStructuredOutput', async () => {
    const model = new ChatOpenAI({
      model: 'haiku',
      apiKey: KEY,
      configuration: { baseURL: `${worker.url}/v1` },
      maxRetries: 0,
      maxTokens: TOKENS,
      useResponsesApi,
    });
    const poem = await model.withStructuredOutput(Poem, { method: 'jsonSchema', name: 'poem' }).invoke(PROMPT);
    expect(Poem.parse(poem)).toEqual(poem);
  });
});

describe('@anthropic-ai/sdk', () => {
  const clientOf = ({ url }: TestWorker): Anthropic => new Anthropic({ baseURL: url, apiKey: KEY, maxRetries: 0 });
  const format = jsonSchemaOutputFormat(POEM as never, { transform: false });
  const body = { model: 'haiku', max_tokens: TOKENS, messages, output_config: { format } };

  test('parse()', async () => {
    const message = await clientOf(worker).messages.parse(body);
    const [block] = message.content;
    expect(message.stop_reason).toBe('end_turn');
    expect(validValue(block?.type === 'text' ? block.text : '', POEM)).toEqual(message.parsed_output);
  });

  test('parse() with zod', async () => {
    // The helper moves bounds, such as maxLength, to descriptions: this schema has none.
    const schema = z.object({ mood: z.enum(['calm', 'wild']), isSea: z.boolean() });
    const format = zodOutputFormat(schema);
    const message = await clientOf(worker).messages.parse({ ...body, output_config: { format } });
    expect(schema.parse(message.parsed_output)).toEqual(message.parsed_output);
  });

  test('a stream', async () => {
    const message = await clientOf(worker).messages.stream(body).finalMessage();
    const [block] = message.content;
    validValue(block?.type === 'text' ? block.text : '', POEM);
    expect(message.stop_reason).toBe('end_turn');
  });
});

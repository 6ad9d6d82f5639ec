/** The AI SDK against the real worker: `ai` with its providers for OpenAI-compatible servers and for Anthropic. */
import { createAnthropic } from '@ai-sdk/anthropic';
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { APICallError, generateText, type LanguageModel, stepCountIs, streamText, tool } from 'ai';
import { beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { sharedWorker } from '../../support/shared-worker.ts';
import { type TestWorker, textOf } from '../../support/worker.ts';
import {
  CANCELLED,
  cancel,
  DEADLINE_MS,
  DEGREES,
  endless,
  freeSlot,
  GREETING,
  QUESTION,
  REASONING,
  SUMMARY,
  scripted,
  TIMED_OUT,
  TOKEN,
  UNAUTHORIZED,
} from './serving.ts';

/** The providers, each by a function that makes the model of a worker. */
const PROVIDERS: Readonly<Record<string, (worker: TestWorker, apiKey?: string) => LanguageModel>> = {
  'openai-compatible': ({ url }, apiKey = TOKEN) =>
    createOpenAICompatible({ name: 'worker', baseURL: `${url}/v1`, apiKey, includeUsage: true })('scripted'),
  anthropic: ({ url }, apiKey = TOKEN) => createAnthropic({ baseURL: `${url}/v1`, apiKey })('scripted'),
};
const thinking = { anthropic: { thinking: { type: 'enabled', budgetTokens: 1024 } } };
const settings = { maxRetries: 0, maxOutputTokens: 2048, providerOptions: thinking };

let haiku: TestWorker;
let worker: TestWorker;
let long: TestWorker;
beforeAll(async () => {
  [haiku, worker, long] = await Promise.all([sharedWorker(), scripted(), endless()]);
});

describe.each(Object.entries(PROVIDERS))('%s', (_, modelOf) => {
  test('a text, its reasoning and its usage', async () => {
    const { text, reasoningText, usage, finishReason } = await generateText({
      ...settings,
      model: modelOf(worker),
      prompt: 'Hello!',
    });
    expect({ text, reasoning: reasoningText?.trim(), finishReason }).toEqual({
      text: GREETING,
      reasoning: REASONING,
      finishReason: 'stop',
    });
    expect(usage.inputTokens).toBeGreaterThan(0);
    expect(usage.outputTokens).toBeGreaterThan(GREETING.length);
  });

  test('a stream, with usage', async () => {
    const result = streamText({ ...settings, model: modelOf(worker), prompt: 'Hello!' });
    const pieces: string[] = [];
    for await (const piece of result.textStream) pieces.push(piece);
    expect(pieces.join('')).toBe(GREETING);
    expect(pieces.length).toBeGreaterThan(1);
    expect((await result.reasoningText)?.trim()).toBe(REASONING);
    expect((await result.usage).outputTokens).toBeGreaterThan(GREETING.length);
    expect(await result.finishReason).toBe('stop');
  });

  test('the embedded model answers as with /execute', async () => {
    const { maxRetries } = settings;
    const { text } = await generateText({
      maxRetries,
      model: modelOf(haiku),
      prompt: 'The sea',
      temperature: 0,
      maxOutputTokens: 12,
    });
    const messages = [{ role: 'user', content: 'The sea' }];
    const events = await haiku.execute({ job_id: 'same-as-ai-sdk', messages, temperature: 0, max_tokens: 12 });
    expect(text).toBe(textOf(events));
  });

  test('two parallel calls are run, and their results are answered', async () => {
    const weatherTools = () => {
      const cities: string[] = [];
      const get_weather = tool({
        description: 'The weather of a city',
        inputSchema: z.object({ city: z.string(), unit: z.string().optional() }),
        execute: ({ city }) => {
          cities.push(city);
          return DEGREES[city] ?? '';
        },
      });
      return { cities, tools: { get_weather } };
    };
    const loop = { ...settings, model: modelOf(worker), prompt: QUESTION, stopWhen: stepCountIs(3) };
    const whole = weatherTools();
    const { text, steps } = await generateText({ ...loop, tools: whole.tools });
    expect({ text, steps: steps.length, cities: whole.cities }).toEqual({
      text: SUMMARY,
      steps: 2,
      cities: ['Łódź', 'Oslo'],
    });
    expect(steps[0]?.finishReason).toBe('tool-calls');
    const streamed = weatherTools();
    const result = streamText({ ...loop, tools: streamed.tools });
    await result.consumeStream();
    expect(await result.text).toBe(SUMMARY);
    expect(streamed.cities).toEqual(['Łódź', 'Oslo']);
  });

  test('an error before the answer has our sentence', async () => {
    const rejected = (model: LanguageModel, topP: number): Promise<unknown> =>
      generateText({ maxRetries: 0, model, prompt: 'Hello!', topP }).catch((cause: unknown) => cause);
    const invalid = await rejected(modelOf(haiku), 9);
    expect(APICallError.isInstance(invalid) && invalid.statusCode).toBe(400);
    expect(String(invalid)).toContain('top_p');
    const stranger = await rejected(modelOf(worker, 'a-wrong-token'), 1);
    expect(APICallError.isInstance(stranger) && stranger.statusCode).toBe(401);
    expect(String(stranger)).toContain(UNAUTHORIZED);
  });

  test('an error inside a stream is a part of it, with our sentence', async () => {
    const begun = long.lines.length;
    const result = streamText({ ...settings, model: modelOf(long), prompt: 'Hello!', onError: () => undefined });
    const errors: unknown[] = [];
    let cancelled = false;
    for await (const part of result.fullStream) {
      if (part.type === 'text-delta' && !cancelled) {
        cancelled = true;
        await cancel(long, await jobSince(begun));
      }
      if (part.type === 'error') errors.push(part.error);
    }
    expect(errors).toHaveLength(1);
    expect(JSON.stringify(errors[0]) + String(errors[0])).toContain(CANCELLED);
    await freeSlot(long);
  });

  test('a deadline inside a stream is a part of it, with our sentence', async () => {
    const result = streamText({
      ...settings,
      maxOutputTokens: 100_000,
      headers: { 'X-Deadline': `${Date.now() + DEADLINE_MS}` },
      model: modelOf(long),
      prompt: 'Hello!',
      onError: () => undefined,
    });
    const errors: unknown[] = [];
    let text = '';
    for await (const part of result.fullStream) {
      if (part.type === 'text-delta') text += part.text;
      if (part.type === 'error') errors.push(part.error);
    }
    expect(errors).toHaveLength(1);
    expect(JSON.stringify(errors[0]) + String(errors[0])).toContain(TIMED_OUT);
    expect(text).not.toBe('');
    await freeSlot(long);
  });

  test('an aborted stream frees its slot', async () => {
    const begun = long.lines.length;
    const stop = new AbortController();
    const result = streamText({ ...settings, model: modelOf(long), prompt: 'Hello!', abortSignal: stop.signal });
    const parts: string[] = [];
    for await (const part of result.fullStream) {
      parts.push(part.type);
      if (part.type === 'text-delta') stop.abort();
    }
    expect(parts).toContain('abort');
    const job = await jobSince(begun);
    await long.line('reader.left', (line) => line['job_id'] === job);
    await freeSlot(long);
  });
});

/** The job that began after this many lines of the log. */
async function jobSince(lines: number): Promise<string> {
  const begun = await long.line('inference.start', (line) => long.lines.indexOf(line) >= lines);
  return String(begun['job_id']);
}

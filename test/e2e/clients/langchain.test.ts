/** The package `@langchain/openai` against the real worker, over chat completions and over the Responses API. */
import { HumanMessage, type ToolMessage, type UsageMetadata } from '@langchain/core/messages';
import { tool } from '@langchain/core/tools';
import { ChatOpenAI } from '@langchain/openai';
import { beforeAll, describe, expect, test } from 'vitest';
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
  SUMMARY,
  scripted,
  TIMED_OUT,
  TOKEN,
  UNAUTHORIZED,
} from './serving.ts';

let haiku: TestWorker;
let worker: TestWorker;
let long: TestWorker;
beforeAll(async () => {
  [haiku, worker, long] = await Promise.all([sharedWorker(), scripted(), endless()]);
});

const weather = tool(({ city }) => DEGREES[city] ?? '', {
  name: 'get_weather',
  description: 'The weather of a city',
  schema: z.object({ city: z.string(), unit: z.string().optional() }),
});

describe.each([
  ['chat completions', false],
  ['the Responses API', true],
])('%s', (_, useResponsesApi) => {
  type Fields = NonNullable<ConstructorParameters<typeof ChatOpenAI>[0]>;
  const modelOf = ({ url }: TestWorker, more: Partial<Fields> = {}): ChatOpenAI =>
    new ChatOpenAI({
      model: 'scripted',
      apiKey: TOKEN,
      configuration: { baseURL: `${url}/v1` },
      maxRetries: 0,
      useResponsesApi,
      ...more,
    });

  test('an answer with its usage', async () => {
    const answer = await modelOf(worker).invoke('Hello!');
    expect(answer.text).toBe(GREETING);
    const usage = usageOf(answer);
    expect(usage?.output_tokens).toBeGreaterThan(GREETING.length);
    expect(usage?.total_tokens).toBe((usage?.input_tokens ?? 0) + (usage?.output_tokens ?? 0));
  });

  test('a stream with its usage', async () => {
    const chunks = await collect(await modelOf(worker).stream('Hello!'));
    expect(chunks.map(({ text }) => text).join('')).toBe(GREETING);
    expect(chunks.filter((chunk) => (usageOf(chunk)?.output_tokens ?? 0) > 0)).toHaveLength(1);
  });

  test('the embedded model answers as with /execute', async () => {
    const { text } = await modelOf(haiku, { temperature: 0, maxTokens: 16 }).invoke('The sea');
    const messages = [{ role: 'user', content: 'The sea' }];
    const events = await haiku.execute({ job_id: 'same-as-langchain', messages, temperature: 0, max_tokens: 16 });
    expect(text).toBe(textOf(events));
  });

  test('two parallel calls, and the answer to their results', async () => {
    const model = modelOf(worker).bindTools([weather]);
    const question = new HumanMessage(QUESTION);
    const first = await model.invoke([question]);
    expect(first.tool_calls).toMatchObject(CALLS.map((call) => ({ name: call.name, args: call.arguments })));
    const results: ToolMessage[] = await Promise.all((first.tool_calls ?? []).map((call) => weather.invoke(call)));
    expect((await model.invoke([question, first, ...results])).text).toBe(SUMMARY);
    const streamed = (await collect(await model.stream([question]))).reduce((sum, chunk) => sum.concat(chunk));
    expect(streamed.tool_calls).toMatchObject(CALLS.map((call) => ({ name: call.name, args: call.arguments })));
  });

  test('two parallel calls of a stream whose first chunks carry the narration', async () => {
    const model = modelOf(worker, { modelKwargs: { narration: true } }).bindTools([weather]);
    const chunks = await collect(await model.stream([new HumanMessage(QUESTION)]));
    const whole = chunks.reduce((sum, chunk) => sum.concat(chunk));
    expect(whole.tool_calls).toMatchObject(CALLS.map((call) => ({ name: call.name, args: call.arguments })));
  });

  test('an error before the answer has our sentence', async () => {
    const invalid = await rejected(modelOf(haiku, { temperature: 9 }).invoke('Hello!'));
    expect(invalid).toMatchObject({ status: 400, message: expect.stringContaining('temperature') });
    const stranger = await rejected(modelOf(worker, { apiKey: 'a-wrong-token' }).invoke('Hello!'));
    expect(stranger).toMatchObject({ status: 401, message: expect.stringContaining(UNAUTHORIZED) });
  });

  test('an error inside a stream is raised with our sentence', async () => {
    const begun = long.lines.length;
    const read = async (): Promise<void> => {
      let cancelled = false;
      for await (const { text } of await modelOf(long).stream('Hello!')) {
        if (text === '' || cancelled) continue;
        cancelled = true;
        await cancel(long, await jobSince(begun));
      }
    };
    expect(String(await rejected(read()))).toContain(CANCELLED);
    await freeSlot(long);
  });

  test('a deadline inside a stream is raised with our sentence', async () => {
    const texts: string[] = [];
    const read = async (): Promise<void> => {
      const model = modelOf(long, { modelKwargs: { timeout_ms: DEADLINE_MS } });
      for await (const { text } of await model.stream('Hello!')) texts.push(text);
    };
    expect(String(await rejected(read()))).toContain(TIMED_OUT);
    expect(texts.join('')).not.toBe('');
    await freeSlot(long);
  });

  test('an aborted stream frees its slot', async () => {
    const begun = long.lines.length;
    const stop = new AbortController();
    const read = async (): Promise<void> => {
      for await (const { text } of await modelOf(long).stream('Hello!', { signal: stop.signal }))
        if (text !== '') stop.abort();
    };
    expect(await rejected(read())).toBeInstanceOf(Error);
    const job = await jobSince(begun);
    await long.line('reader.left', (line) => line['job_id'] === job);
    await freeSlot(long);
  });
});

const usageOf = ({ usage_metadata }: { usage_metadata?: UsageMetadata | undefined }): UsageMetadata | undefined =>
  usage_metadata;

const rejected = (promise: Promise<unknown>): Promise<unknown> => promise.catch((cause: unknown) => cause);

/** The job that began after this many lines of the log. */
async function jobSince(lines: number): Promise<string> {
  const begun = await long.line('inference.start', (line) => long.lines.indexOf(line) >= lines);
  return String(begun['job_id']);
}

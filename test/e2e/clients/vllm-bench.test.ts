/**
 * The requests of `vllm bench serve`, and its reading of a stream: every network chunk without the white space at its
 * ends, messages divided by empty lines, JSON behind `data: `. A stream that this reader cannot read counts as a
 * failed request there.
 */
import { beforeAll, describe, expect, test } from 'vitest';
import { sharedWorker } from '../../support/shared-worker.ts';
import type { TestWorker } from '../../support/worker.ts';
import { endless, freeSlot, TOKEN } from './serving.ts';

/** A chunk of either dialect, with the fields that the benchmark reads. */
interface Chunk {
  readonly choices?: readonly {
    readonly text?: string | null;
    readonly delta?: { readonly content?: string | null };
  }[];
  readonly usage?: { readonly completion_tokens: number; readonly prompt_tokens: number } | null;
}

interface Reading {
  text: string;
  /** Time of each chunk with choices, in ms from the request. The first one is the time to the first token. */
  readonly times: number[];
  outputTokens: number | undefined;
  promptTokens: number | undefined;
}

const OUTPUT = 24;
/** More tokens than a context has. */
const ENDLESS = 1_000_000;
const REQUEST_ID = 'bench-serve-7';

let worker: TestWorker;
beforeAll(async () => {
  worker = await sharedWorker();
});

/** The complete messages of a buffer, and the rest. */
function divide(buffer: string): { messages: string[]; rest: string } {
  const parts = buffer.split('\n\n');
  const rest = parts.pop() ?? '';
  const messages = parts.map((part) => part.trim()).filter((part) => part !== '');
  if (!rest.startsWith('data: ')) return { messages, rest };
  const content = rest.slice('data: '.length).trim();
  return content === '[DONE]' || isJson(content)
    ? { messages: [...messages, rest.trim()], rest: '' }
    : { messages, rest };
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

async function read(path: string, body: object): Promise<Reading> {
  const began = performance.now();
  const response = await worker.post(path, body, { 'x-request-id': REQUEST_ID });
  expect(response.status, response.ok ? '' : await response.text()).toBe(200);
  const reading: Reading = { text: '', times: [], outputTokens: undefined, promptTokens: undefined };
  const decoder = new TextDecoder();
  let buffer = '';
  for await (const bytes of response.body ?? []) {
    const { messages, rest } = divide(buffer + decoder.decode(bytes, { stream: true }).trim());
    buffer = rest;
    for (const message of messages) take(reading, message.replace(/^data: /, ''), performance.now() - began);
  }
  expect(buffer).toBe('');
  return reading;
}

function take(reading: Reading, content: string, at: number): void {
  if (content === '[DONE]') return;
  const { choices = [], usage } = JSON.parse(content) as Chunk;
  const [choice] = choices;
  if (choice) {
    const text = choice.text ?? choice.delta?.content ?? '';
    reading.times.push(at);
    reading.text += text;
  } else if (usage) {
    reading.outputTokens = usage.completion_tokens;
    reading.promptTokens = usage.prompt_tokens;
  }
}

const common = { model: 'haiku', stream: true, stream_options: { include_usage: true }, ignore_eos: true };
const REQUESTS = [
  ['/v1/completions', { ...common, prompt: 'The old pond', repetition_penalty: 1, max_tokens: OUTPUT, logprobs: null }],
  [
    '/v1/chat/completions',
    {
      ...common,
      messages: [{ role: 'user', content: [{ type: 'text', text: 'The old pond' }] }],
      max_completion_tokens: OUTPUT,
    },
  ],
] as const;

describe.each(REQUESTS)('%s', (path, body) => {
  test('the stream is read to its end: text, and usage', async () => {
    const reading = await read(path, body);
    expect(reading.text.length).toBeGreaterThan(0);
    expect(reading.outputTokens).toBe(OUTPUT);
    expect(reading.promptTokens).toBeGreaterThan(0);
    expect(reading.times.length).toBeGreaterThan(1);
  });

  test('many streams at once are read to their ends', async () => {
    const readings = await Promise.all(Array.from({ length: 16 }, () => read(path, body)));
    expect(readings.map(({ outputTokens }) => outputTokens)).toEqual(Array.from({ length: 16 }, () => OUTPUT));
  });

  test('a queued request has no chunk that would count as its first token', async () => {
    const long = await endless();
    const headers = { Authorization: `Bearer ${TOKEN}` };
    const stop = new AbortController();
    // Fills its context: it has the slot until it is cancelled, however slow the machine is.
    const endlessBody = { ...body, max_tokens: ENDLESS, max_completion_tokens: ENDLESS };
    const running = await long.post(path, endlessBody, headers, stop.signal);
    const before = long.lines.length;
    let received = '';
    const queued = long.post(path, body, headers, stop.signal).then(async (response) => {
      for await (const bytes of response.body ?? []) received += Buffer.from(bytes).toString();
    });
    await long.line('request.queued', (line) => long.lines.indexOf(line) >= before);
    expect(received).toBe('');
    await running.body?.cancel();
    await expect.poll(() => received).toContain('"choices":[{');
    stop.abort();
    await queued.catch(() => undefined);
    await freeSlot(long);
  });
});

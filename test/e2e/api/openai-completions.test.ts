/** Completions over real HTTP, with the embedded model. */

import { beforeAll, expect, test } from 'vitest';
import { sharedWorker } from '../../support/shared-worker.ts';
import { exactMessages } from '../../support/sse-form.ts';
import { type TestWorker, textOf } from '../../support/worker.ts';

let worker: TestWorker;
beforeAll(async () => {
  worker = await sharedWorker();
});

const PATH = '/v1/completions';

interface Choice {
  readonly index: number;
  readonly text: string;
  readonly logprobs: Record<'tokens' | 'token_logprobs' | 'top_logprobs' | 'text_offset', unknown[]> | null;
  readonly finish_reason: string | null;
}
interface Answer {
  readonly id: string;
  readonly choices: readonly Choice[];
  readonly usage: { readonly prompt_tokens: number; readonly completion_tokens: number };
}
const complete = async (body: object): Promise<Answer> => {
  const response = await worker.post(PATH, body);
  expect(response.status).toBe(200);
  return (await response.json()) as Answer;
};

test('a text is continued as by /execute with raw: true', async () => {
  const body = { prompt: 'The old pond', seed: 3, max_tokens: 12 };
  const native = await worker.execute({ job_id: 'raw-native', ...body, raw: true });
  const { id, choices, usage } = await complete(body);
  expect(id).toMatch(/^cmpl-[0-9a-f]{32}$/);
  expect(choices).toEqual([{ index: 0, text: textOf(native), logprobs: null, finish_reason: expect.any(String) }]);
  expect(usage).toMatchObject({ prompt_tokens: native.at(-1)?.data['tokens_in'] });
});

test('the default maximum is 16 tokens', async () => {
  const { usage } = await complete({ prompt: 'The sea', ignore_eos: true });
  expect(usage.completion_tokens).toBe(16);
});

test('the choices of several prompts are in order, with the prompt as their beginning', async () => {
  const prompt = ['The old pond', 'A frog'];
  const { choices } = await complete({ prompt, n: 2, echo: true, max_tokens: 4, seed: 1 });
  expect(choices.map(({ index }) => index)).toEqual([0, 1, 2, 3]);
  expect(choices.map(({ text }) => prompt.findIndex((one) => text.startsWith(one)))).toEqual([0, 0, 1, 1]);
  const alone = await complete({ prompt: prompt[1], echo: true, max_tokens: 4, seed: 2 });
  expect(choices[3]?.text).toBe(alone.choices[0]?.text);
});

test('ids of tokens give the same output as their text', async () => {
  const greedy = { max_tokens: 6, temperature: 0, logprobs: 1 };
  const text = await complete({ prompt: 'The old pond', add_special_tokens: false, ...greedy });
  const { tokens } = (await (
    await worker.post('/tokenize', { prompt: 'The old pond', add_special_tokens: false })
  ).json()) as {
    tokens: number[];
  };
  const ids = await complete({ prompt: tokens, ...greedy });
  expect(ids.choices).toEqual(text.choices);
  const echoed = await complete({ prompt: [tokens], ...greedy, logprobs: null, echo: true });
  expect(echoed.choices[0]?.text).toBe(`The old pond${text.choices[0]?.text}`);
});

test('log-probabilities have one entry for each token, and offsets into the text', async () => {
  const { choices } = await complete({
    prompt: 'The old pond',
    max_tokens: 8,
    temperature: 0,
    logprobs: 2,
    ignore_eos: true,
  });
  const { text = '', logprobs } = choices[0] ?? {};
  const {
    tokens = [],
    token_logprobs: scores = [],
    top_logprobs: tops = [],
    text_offset: offsets = [],
  } = logprobs ?? {};
  expect(tokens).toHaveLength(8);
  for (const [at, token] of (tokens as string[]).entries()) {
    expect(text.slice(Number(offsets[at])).startsWith(token)).toBe(true);
    // Greedy: the chosen token is the likeliest one.
    const top = tops[at] as Record<string, number>;
    expect(top[token]).toBe(scores[at]);
    expect(Math.max(...Object.values(top))).toBe(scores[at]);
  }
});

test('the only token is reported also if it ends the sequence', async () => {
  const greedy = await complete({ prompt: 'The old pond', max_tokens: 200, temperature: 0, echo: true });
  expect(greedy.choices[0]?.finish_reason).toBe('stop');
  const { choices } = await complete({ prompt: greedy.choices[0]?.text, max_tokens: 1, temperature: 0, logprobs: 1 });
  expect(choices[0]).toMatchObject({ text: '', logprobs: { tokens: ['<|end|>'] }, finish_reason: 'stop' });
});

test('max_tokens 0 with echo gives the prompt', async () => {
  const { choices, usage } = await complete({ prompt: 'The sea', max_tokens: 0, echo: true });
  expect(choices).toEqual([{ index: 0, text: 'The sea', logprobs: null, finish_reason: 'length' }]);
  expect(usage.completion_tokens).toBe(0);
});

test('a stream has the text of the document, and the usage that vllm bench reads', async () => {
  // The body of `vllm bench serve`.
  const body = {
    ...{ model: 'haiku', prompt: 'The sea', temperature: 0, repetition_penalty: 1, max_tokens: 10, logprobs: null },
    ignore_eos: true,
  };
  const whole = await complete(body);
  const response = await worker.post(PATH, { ...body, stream: true, stream_options: { include_usage: true } });
  const frames = exactMessages(await response.text());
  expect(frames.pop()?.data).toBe('[DONE]');
  const chunks = frames.map(({ data }) => JSON.parse(data) as Answer);
  expect(chunks.map(({ choices }) => choices[0]?.text ?? '').join('')).toBe(whole.choices[0]?.text);
  expect(chunks.at(-1)).toMatchObject({ choices: [], usage: { completion_tokens: 10 } });
  expect(chunks.at(-2)?.choices[0]).toMatchObject({ text: '', finish_reason: 'length' });
});

test('ids beyond the vocabulary and a suffix are refused by name', async () => {
  for (const [body, param] of [
    [{ prompt: [1, 99_999] }, 'prompt'],
    [{ prompt: 'a', suffix: 'b' }, 'suffix'],
  ] as const) {
    const response = await worker.post(PATH, body);
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({ error: { param, type: 'invalid_request_error' } });
  }
});

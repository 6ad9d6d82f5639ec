/**
 * The requests of lm-evaluation-harness to a server, and its readings of the answers (its model types
 * `local-completions` and `local-chat-completions`, and its remote tokenizer). The log-likelihoods must be those
 * of the logits.
 */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { sharedWorker } from '../../support/shared-worker.ts';
import { type TestWorker, textOf } from '../../support/worker.ts';
import { ReferenceModel } from './log-likelihood.ts';

/** Choices of a completion, with the fields that the harness reads. */
interface Choice {
  readonly index: number;
  readonly text: string;
  readonly logprobs: {
    readonly token_logprobs: readonly (number | null)[];
    readonly top_logprobs: readonly (Readonly<Record<string, number>> | null)[];
  };
}

const SEED = 1234;
/** Tokens of a generation, and the id that ends it. */
const LENGTH = 12;
const END_ID = 3;
/** The largest difference between a log-likelihood and the one of the logits. */
const MOST = 1e-4;
/** Contexts and continuations of a task. */
const PAIRS = [
  ['The old pond', ' is silent'],
  ['Autumn wind', ' in the leaves, and rain'],
  ['A', ' frog'],
] as const;

let worker: TestWorker;
let reference: ReferenceModel;
beforeAll(async () => {
  [worker, reference] = await Promise.all([sharedWorker(), ReferenceModel.open()]);
});
afterAll(() => reference.close());

async function post<T>(path: string, body: object): Promise<T> {
  const response = await worker.post(path, body);
  expect(response.status, await response.clone().text()).toBe(200);
  return (await response.json()) as T;
}

/** The ids of a text, from the remote tokenizer. */
async function encode(prompt: string): Promise<number[]> {
  return (await post<{ tokens: number[] }>('/tokenize', { prompt, add_special_tokens: false })).tokens;
}

/** The request for log-likelihoods: whole texts as ids, and one token more that is not read. */
const scoring = (prompt: readonly (readonly number[])[]): object => ({
  model: 'haiku',
  prompt,
  temperature: 0,
  max_tokens: 1,
  logprobs: 1,
  seed: SEED,
  echo: true,
});

/** Sum of the log-probabilities behind the context, and true if each of their tokens was the most probable. */
function reading({ logprobs }: Choice, contextLength: number): { sum: number; isGreedy: boolean } {
  const own = logprobs.token_logprobs.slice(contextLength, -1).map(Number);
  const top = logprobs.top_logprobs.slice(contextLength, -1);
  return {
    sum: own.reduce((total, one) => total + one, 0),
    isGreedy: own.every((one, index) => one === Math.max(...Object.values(top[index] ?? {}))),
  };
}

/** Sends texts of ids in one request, and compares the readings with the logits. */
async function compare(texts: readonly { context: number[]; continuation: number[] }[]): Promise<boolean[]> {
  const prompts = texts.map(({ context, continuation }) => [...context, ...continuation]);
  const { choices } = await post<{ choices: Choice[] }>('/v1/completions', scoring(prompts));
  expect(choices).toHaveLength(texts.length);
  const greedy: boolean[] = [];
  for (const choice of choices.toSorted((a, b) => a.index - b.index)) {
    const { context = [] } = texts[choice.index] ?? {};
    const ids = prompts[choice.index] ?? [];
    expect(choice.logprobs.token_logprobs).toHaveLength(ids.length + 1);
    expect(choice.logprobs.top_logprobs).toHaveLength(ids.length + 1);
    const { sum, isGreedy } = reading(choice, context.length);
    const scores = await reference.score(ids);
    for (const [index, { logprob }] of scores.entries())
      expect(Math.abs(Number(choice.logprobs.token_logprobs[index + 1]) - logprob)).toBeLessThan(MOST);
    const behind = scores.slice(context.length - 1);
    const expected = behind.reduce((total, { logprob }) => total + logprob, 0);
    expect(Math.abs(sum - expected)).toBeLessThan(MOST);
    expect(isGreedy).toBe(behind.every(({ best }, index) => best === ids[context.length + index]));
    greedy.push(isGreedy);
  }
  return greedy;
}

test('the remote tokenizer: its tokens, its texts and its special tokens', async () => {
  const info = (await (await worker.get('/tokenizer_info')).json()) as Record<string, unknown>;
  expect(info).toMatchObject({ eos_token: '<|end|>', bos_token: '<|bos|>', pad_token: '<|pad|>' });
  expect(info['chat_template']).toEqual(expect.stringContaining('<|assistant|>'));
  const tokens = await encode('The old pond');
  expect(tokens.every(Number.isInteger)).toBe(true);
  expect(await post('/detokenize', { tokens })).toEqual({ prompt: 'The old pond' });
});

test('log-likelihoods of texts, several in one request', async () => {
  const texts = await Promise.all(
    PAIRS.map(async ([context, continuation]) => {
      const [whole, before] = await Promise.all([encode(context + continuation), encode(context)]);
      return { context: whole.slice(0, before.length), continuation: whole.slice(before.length) };
    }),
  );
  expect(await compare(texts)).toContain(false);
});

test('a continuation of the most probable tokens is greedy', async () => {
  const context = await encode('The old pond');
  const continuation: number[] = [];
  while (continuation.length < 6) continuation.push(await reference.best([...context, ...continuation]));
  const other = (continuation[5] ?? 0) === 100 ? 101 : 100;
  const texts = [
    { context, continuation },
    { context, continuation: [...continuation.slice(0, 5), other] },
  ];
  expect(await compare(texts)).toEqual([true, false]);
});

test('the same texts, again and beside texts with the same beginning, have the same log-likelihoods', async () => {
  const ids = await encode('The old pond is silent. A frog jumps into the sea, and the night is deep.');
  const texts = [ids, ids, ids.slice(0, 9), [...ids.slice(0, 9), 100], ids.slice(0, 2)];
  const pairs = texts.map((each) => ({ context: each.slice(0, 1), continuation: each.slice(1) }));
  const generated = await post<{ choices: unknown[] }>('/v1/completions', { prompt: ids, max_tokens: 2 });
  expect(generated.choices).toHaveLength(1);
  expect(await compare(pairs)).toEqual(await compare(pairs));
});

test('parts of characters: each token has a name of its own, and the reading is that of the logits', async () => {
  const ids = await encode('é 🐝 日本');
  expect(ids.length).toBeGreaterThan(8);
  await compare([{ context: ids.slice(0, 1), continuation: ids.slice(1) }]);
  const most = 20;
  const { choices } = await post<{ choices: Choice[] }>('/v1/completions', { ...scoring([ids]), logprobs: most });
  const tops = choices[0]?.logprobs.top_logprobs.slice(1) ?? [];
  expect(tops).toHaveLength(ids.length);
  for (const top of tops) expect(Object.keys(top ?? {}).length).toBeGreaterThanOrEqual(most);
});

test('a text that the model would end: the token of the end is reported, and is not read', async () => {
  const whole = await encode('The old pond');
  const ended = [...whole];
  for (let next = await reference.best(ended); next !== END_ID; next = await reference.best(ended)) ended.push(next);
  const { choices } = await post<{ choices: (Choice & { logprobs: { tokens: string[] } })[] }>(
    '/v1/completions',
    scoring([ended, [...ended, END_ID], [whole[0] ?? 0]]),
  );
  expect(choices[0]?.logprobs.tokens.at(-1)).toBe('<|end|>');
  expect(choices.map(({ logprobs }) => logprobs.token_logprobs.length)).toEqual([
    ended.length + 1,
    ended.length + 2,
    2,
  ]);
  await compare([{ context: whole, continuation: [...ended.slice(whole.length), END_ID] }]);
});

test('a long text, whose context is almost that of the model', async () => {
  const ids = (await encode('The old pond is silent. '.repeat(100))).slice(0, 500);
  expect(ids).toHaveLength(500);
  await compare([{ context: ids.slice(0, 400), continuation: ids.slice(400) }]);
});

test('generation until a stop string, from ids, in the order of the prompts', async () => {
  const prompt = await Promise.all(['The old pond', 'Autumn wind', 'A frog'].map(encode));
  const texts = await Promise.all(prompt.map(greedyText));
  const stop = texts[0]?.slice(4, 7) ?? '';
  const body = { prompt, model: 'haiku', max_tokens: LENGTH, temperature: 0, stop: [stop, '<|end|>'], seed: SEED };
  const { choices } = await post<{ choices: Choice[] }>('/v1/completions', body);
  const answers: string[] = [];
  for (const { index, text } of choices) answers[index] = text;
  expect(answers).toEqual(texts.map((text) => text.split(stop)[0]));
});

/** The text of the most probable tokens behind these ids, up to the end of the sequence. */
async function greedyText(prompt: readonly number[]): Promise<string> {
  const tokens: number[] = [];
  while (tokens.length < LENGTH) {
    const next = await reference.best([...prompt, ...tokens]);
    if (next === END_ID) break;
    tokens.push(next);
  }
  return (await post<{ prompt: string }>('/detokenize', { tokens })).prompt;
}

test('generation from messages', async () => {
  const messages = [{ role: 'user', content: 'The sea' }];
  const stop = ['never written'];
  const body = { messages, model: 'haiku', max_tokens: 12, temperature: 0, stop, seed: SEED };
  const { choices } = await post<{ choices: { index: number; message: { content: string } }[] }>(
    '/v1/chat/completions',
    body,
  );
  const events = await worker.execute({ job_id: 'same-as-lm-eval', messages, max_tokens: 12, temperature: 0 });
  expect(choices).toMatchObject([{ index: 0, message: { content: textOf(events) } }]);
});

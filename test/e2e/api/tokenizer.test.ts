/** The tokenizer routes, on a real worker, as lm-evaluation-harness uses them. */
import { beforeAll, describe, expect, test } from 'vitest';
import { MAX_IDS } from '../../../src/contract/tokenizer/request.ts';
import { sharedWorker } from '../../support/shared-worker.ts';
import type { TestWorker } from '../../support/worker.ts';

let worker: TestWorker;
beforeAll(async () => {
  worker = await sharedWorker();
});

interface Tokens {
  readonly tokens: number[];
  readonly count: number;
  readonly max_model_len: number;
  readonly token_strs?: readonly string[];
}

async function tokenize(body: object): Promise<Tokens> {
  const response = await worker.post('/tokenize', body);
  expect(response.status).toBe(200);
  return (await response.json()) as Tokens;
}

async function textOf(tokens: readonly number[]): Promise<string> {
  const response = await worker.post('/detokenize', { tokens });
  expect(response.status).toBe(200);
  return ((await response.json()) as { prompt: string }).prompt;
}

async function refused(path: string, body: object): Promise<{ message: string; param: string }> {
  const response = await worker.post(path, body);
  expect(response.status).toBe(400);
  const { error } = (await response.json()) as { error: { message: string; type: string; param: string } };
  expect(error.type).toBe('invalid_request_error');
  return error;
}

describe('/tokenize', () => {
  test('adds the special tokens to a prompt, unless the caller has written them', async () => {
    const text = 'The sea, the wind 🐝';
    const all = await tokenize({ prompt: text });
    const bare = await tokenize({ prompt: text, add_special_tokens: false });
    expect(all.tokens).toEqual([0, ...bare.tokens]);
    expect((await tokenize({ prompt: `<|bos|>${text}`, add_special_tokens: false })).tokens).toEqual(all.tokens);
    expect(all).toEqual({ tokens: all.tokens, count: all.tokens.length, max_model_len: 512 });
    expect(await textOf(bare.tokens)).toBe(text);
    expect(await textOf(all.tokens)).toBe(`<|bos|>${text}`);
  });

  test('returns the tokens as the vocabulary has them', async () => {
    const { token_strs } = await tokenize({ prompt: 'Write a haiku', return_token_strs: true });
    expect(token_strs).toEqual(['<|bos|>', 'Write', 'Ġa', 'Ġhaiku']);
  });

  test('renders messages as a job does', async () => {
    const messages = [
      { role: 'user', content: [{ type: 'text', text: 'Write a haiku' }] },
      { role: 'assistant', content: 'Waves' },
      { role: 'user', content: 'More' },
    ];
    const { tokens } = await tokenize({ messages });
    expect(await textOf(tokens)).toBe(
      '<|bos|><|user|>Write a haiku<|end|><|assistant|>Waves<|end|><|user|>More<|end|><|assistant|>',
    );
  });

  test('takes every form of a chat completion', async () => {
    const messages = [
      { role: 'developer', content: [{ type: 'input_text', text: 'Be brief' }] },
      { role: 'user', content: 'Write' },
      { role: 'assistant', content: [{ type: 'refusal', refusal: 'No' }], reasoning: 'Hm' },
      { role: 'user', content: 'More' },
    ];
    const body = {
      messages,
      tools: [{ type: 'web_search' }],
      enable_thinking: false,
      reasoning_effort: 'low',
    };
    const headers = { 'x-request-id': 'tokenize-chat' };
    const response = await worker.post('/tokenize', body, headers);
    expect(response.status).toBe(200);
    const { tokens } = (await response.json()) as Tokens;
    expect(await textOf(tokens)).toMatch(/Be brief.*Write.*No.*More/);
    const line = await worker.line('fields.ignored', (one) => one['correlation_id'] === 'tokenize-chat');
    expect(line['fields']).toBe('tools[0] (web_search)');
    const error = await refused('/tokenize', { messages, template: 'none' });
    expect(error.message).toContain('template');
  });

  test('takes an empty prompt, and a text that is longer than the context', async () => {
    expect((await tokenize({ prompt: '', add_special_tokens: false })).tokens).toEqual([]);
    const text = 'the sea and the wind '.repeat(3000);
    const { tokens, count } = await tokenize({ prompt: text, add_special_tokens: false });
    expect(count).toBeGreaterThan(10_000);
    expect(await textOf(tokens)).toBe(text);
  });

  test.each([
    [{}, 'prompt', 'prompt or messages is required, and not both'],
    [{ prompt: 'a', messages: [{ role: 'user', content: 'a' }] }, 'prompt', 'prompt or messages is required'],
    [{ prompt: 7 }, 'prompt', 'prompt must be a string, but is 7'],
    [{ prompt: 'a', add_generation_prompt: false }, 'add_generation_prompt', 'add_generation_prompt must be true'],
    [{ prompt: 'x'.repeat(131_073) }, 'prompt', 'prompt must have at most 131072 characters'],
    [
      { messages: [{ role: 'user', content: [{ type: 'image_url' }] }] },
      'messages[0].content[0]',
      'messages[0].content[0] must be text: this worker does not read parts of the type "image_url"',
    ],
  ])('%# refuses a body', async (body, param, message) => {
    const error = await refused('/tokenize', body);
    expect(error).toMatchObject({ param, message: expect.stringContaining(message) });
  });
});

describe('/detokenize', () => {
  test('keeps every character of ids that a text was divided into, wherever the divisions are', async () => {
    const text = '🐝🐝 é \u{FFFD} ñ\n\n';
    const { tokens } = await tokenize({ prompt: text, add_special_tokens: false });
    expect(await textOf(tokens)).toBe(text);
    expect(await textOf([])).toBe('');
  });

  test('takes as many ids as it says, and no more', async () => {
    const answer = await worker.post('/detokenize', { model: 'haiku', tokens: Array(MAX_IDS).fill(5), extra: [1] });
    expect(answer.status).toBe(200);
    const error = await refused('/detokenize', { tokens: Array(MAX_IDS + 1).fill(5) });
    expect(error.message).toContain(`tokens must have at most ${MAX_IDS} items`);
  });

  test.each([
    [{ tokens: [1, 2, 1024] }, 'tokens[2]', 'tokens[2] must be the id of a token, from 0 to 1023, but is 1024'],
    [{ tokens: [-1] }, 'tokens[0]', 'tokens[0] must be a whole number from 0 up, but is -1'],
    [{ tokens: [1, 'a'] }, 'tokens[1]', 'tokens[1] must be a whole number from 0 up'],
    [{ tokens: [1.5] }, 'tokens[0]', 'tokens[0] must be a whole number from 0 up, but is 1.5'],
    [{ tokens: 5 }, 'tokens', 'tokens must be an array'],
    [{}, 'tokens', 'tokens is required'],
  ])('refuses %j', async (body, param, message) => {
    expect(await refused('/detokenize', body)).toMatchObject({ param, message: expect.stringContaining(message) });
  });
});

test('/tokenizer_info has the special tokens and the chat template', async () => {
  const response = await worker.get('/tokenizer_info', { 'x-request-id': 'info-1' });
  expect(response.headers.get('x-request-id')).toBe('info-1');
  expect(await response.json()).toEqual({
    tokenizer_class: 'bpe',
    vocab_size: 1024,
    model_max_length: 512,
    eos_token: '<|end|>',
    bos_token: '<|bos|>',
    pad_token: '<|pad|>',
    unk_token: null,
    chat_template: expect.stringContaining('<|assistant|>'),
  });
  // As lm-evaluation-harness finds the id of a token.
  expect((await tokenize({ prompt: '<|end|>', add_special_tokens: false })).tokens).toEqual([3]);
});

test('an unknown field is narrated', async () => {
  await worker.post('/tokenize', { prompt: 'a', model: 'x', extra: 1 }, { 'x-request-id': 'tokenize-1' });
  const line = await worker.line('fields.ignored', (one) => one['correlation_id'] === 'tokenize-1');
  expect(line['fields']).toBe('extra, model');
});

test('a field that has an effect with messages only is narrated', async () => {
  const body = { prompt: 'a', template: 'x', tools: [{ type: 'web_search' }], enable_thinking: false };
  expect((await worker.post('/tokenize', body, { 'x-request-id': 'tokenize-2' })).status).toBe(200);
  const line = await worker.line('fields.ignored', (one) => one['correlation_id'] === 'tokenize-2');
  expect(line['fields']).toBe('tools, enable_thinking, template');
});

test('a key that could pollute a prototype is named', async () => {
  const bodies = ['{"prompt": "a", "__proto__": {}}', '{"prompt": "a", "x": {"constructor": {"prototype": 1}}}'];
  for (const body of bodies) {
    const { error } = (await (await worker.post('/tokenize', body)).json()) as { error: { message: string } };
    expect(error.message).toMatch(/^body must not have a key __proto__/);
  }
});

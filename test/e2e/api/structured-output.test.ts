/** Demanded forms of the output over real HTTP, with the embedded model: every dialect, and what refuses a form. */

import { beforeAll, describe, expect, test } from 'vitest';
import { messagesIn } from '../../../src/client/client.ts';
import { POEM, PROMPT, TOKENS, validValue } from '../../support/forms.ts';
import { sharedWorker } from '../../support/shared-worker.ts';
import { all, type StreamEvent, type TestWorker, textOf } from '../../support/worker.ts';

let worker: TestWorker;
beforeAll(async () => {
  worker = await sharedWorker();
});

let jobs = 0;
/** Runs a job to its end: its text and its stop reason. */
async function executed(body: object): Promise<{ text: string; reason: unknown; events: StreamEvent[] }> {
  jobs += 1;
  const events = await worker.execute({ job_id: `form-${jobs}`, prompt: PROMPT, max_tokens: TOKENS, ...body });
  return { text: textOf(events), reason: events.at(-1)?.data['stop_reason'], events };
}
async function posted<T>(path: string, body: object): Promise<T> {
  const response = await worker.post(path, body);
  expect({ status: response.status, body: response.ok || (await response.text()) }).toEqual({
    status: 200,
    body: true,
  });
  return (await response.json()) as T;
}

interface Chat {
  readonly choices: readonly {
    readonly index: number;
    readonly message: { readonly content: string };
    readonly finish_reason: string;
  }[];
}
const CHAT = '/v1/chat/completions';
const messages = [{ role: 'user', content: PROMPT }];
const chat = (more: object): Promise<Chat> => posted<Chat>(CHAT, { messages, max_tokens: TOKENS, ...more });
const poem = { type: 'json_schema', json_schema: { name: 'poem', schema: POEM } };

describe('/execute', () => {
  test.each([1, 2, 3, 4, 5, 6])('a schema, at any temperature: seed %d', async (seed) => {
    const { text, reason } = await executed({ schema: POEM, seed, temperature: seed / 3 });
    validValue(text, POEM);
    expect(reason).toBe('eos');
  });

  test('a recursive schema', async () => {
    const schema = {
      $ref: '#/$defs/tree',
      $defs: {
        tree: {
          type: 'object',
          properties: {
            name: { enum: ['leaf', 'branch'] },
            children: { type: 'array', items: { $ref: '#/$defs/tree' }, maxItems: 2 },
          },
          required: ['name'],
          additionalProperties: false,
        },
      },
    };
    for (const seed of [1, 2, 3]) validValue((await executed({ schema, seed, max_tokens: 160 })).text, schema);
  });

  test('true is any value of JSON; an object without rules is any object', async () => {
    validValue((await executed({ schema: true, seed: 3, max_tokens: 48 })).text, true);
    validValue((await executed({ schema: { type: 'object' }, seed: 4, max_tokens: 48 })).text, { type: 'object' });
  });

  test('an expression', async () => {
    for (const seed of [1, 2, 3]) {
      const { text, reason } = await executed({ regex: '20[0-9]{2}-(0[1-9]|1[0-2])-[0-3]?[0-9]é', seed });
      expect(text).toMatch(/^20[0-9]{2}-(0[1-9]|1[0-2])-[0-3]?[0-9]é$/);
      expect(reason).toBe('eos');
    }
  });

  test('a choice, also one that begins another one', async () => {
    const choice = ['the sea', 'the sea is calm', 'Łódź 🐝'];
    for (const seed of [1, 2, 3, 4]) {
      const { text, reason } = await executed({ choice, seed, temperature: 2 });
      expect(choice).toContain(text);
      expect(reason).toBe('eos');
    }
  });

  test('the same seed draws the same text', async () => {
    const body = { schema: POEM, seed: 11, temperature: 1 };
    expect((await executed(body)).text).toBe((await executed(body)).text);
  });

  test('a text without an end is closed before the maximum of tokens', async () => {
    const schema = {
      type: 'object',
      properties: { text: { type: 'string', minLength: 20 }, more: { type: 'array', items: { type: 'string' } } },
      required: ['text', 'more'],
      additionalProperties: false,
    };
    for (const seed of [1, 2, 3]) {
      const { text, reason } = await executed({ schema, seed, temperature: 2, max_tokens: 64 });
      validValue(text, schema);
      expect(reason).toBe('eos');
    }
  });

  test('a maximum below the shortest value cuts the output, and a narration warns', async () => {
    const { text, reason, events } = await executed({ schema: POEM, max_tokens: 3 });
    expect(() => JSON.parse(text) as unknown).toThrow();
    expect(reason).toBe('max_tokens');
    expect(all(events, 'narration').map(({ event }) => event)).toContain('grammar.incomplete');
  });

  test('min_tokens and ignore_eos do not continue a complete value', async () => {
    const { text, reason } = await executed({ choice: ['yes'], min_tokens: 30, ignore_eos: true });
    expect({ text, reason }).toEqual({ text: 'yes', reason: 'eos' });
  });

  test('log-probabilities are those of the model; a forbidden bias stays forbidden', async () => {
    const { text, events } = await executed({ choice: ['yes'], logprobs: 2, logit_bias: { 5: 100 } });
    expect(text).toBe('yes');
    const scores = all(events, 'token').map(({ logprob }) => Number(logprob));
    expect(scores.length).toBeGreaterThan(0);
    for (const score of scores) expect(score).toBeLessThan(0);
  });

  test('the narration reports the grammar, its reuse, and the tokens without a choice', async () => {
    const schema = { ...POEM, title: 'A schema of this test' };
    const [first, second] = [await executed({ schema, seed: 1 }), await executed({ schema, seed: 2 })];
    const compiled = ({ events }: typeof first) =>
      all(events, 'narration').filter(({ event }) => event === 'grammar.compiled');
    expect(compiled(first)).toMatchObject([{ grammar_states: expect.any(Number), cached_grammar: 'no' }]);
    expect(compiled(second)).toMatchObject([{ cached_grammar: 'yes' }]);
    const times = all(first.events, 'narration').find(({ event }) => event === 'time.explained');
    expect(Number(times?.['tokens_forced'])).toBeGreaterThan(0);
  });
});

describe('a chat', () => {
  test('of a schema', async () => {
    const [choice] = (await chat({ response_format: poem, seed: 5 })).choices;
    validValue(choice?.message.content ?? '', POEM);
    expect(choice?.finish_reason).toBe('stop');
  });

  test('of several outputs', async () => {
    const { choices } = await chat({ response_format: poem, n: 3, seed: 6, temperature: 1.5 });
    expect(choices).toHaveLength(3);
    for (const { message, finish_reason } of choices) {
      validValue(message.content, POEM);
      expect(finish_reason).toBe('stop');
    }
  });

  test('of any object', async () => {
    const [choice] = (await chat({ response_format: { type: 'json_object' }, max_tokens: 64, seed: 7 })).choices;
    validValue(choice?.message.content ?? '', { type: 'object' });
    expect(choice?.finish_reason).toBe('stop');
  });

  test.each([
    ['a schema', { response_format: poem }, POEM],
    ['any object', { response_format: { type: 'json_object' }, max_tokens: 64 }, { type: 'object' }],
  ])('as a stream: %s', async (_, more, schema) => {
    const response = await worker.post(CHAT, { messages, max_tokens: TOKENS, seed: 8, stream: true, ...more });
    const chunks = messagesIn(await response.text())
      .filter(({ data }) => data !== '[DONE]')
      .map(({ data }) => JSON.parse(data) as StreamChunk);
    const text = chunks.map(({ choices }) => choices[0]?.delta.content ?? '').join('');
    validValue(text, schema);
    expect(chunks.filter(({ choices }) => choices[0]?.delta.content).length).toBeGreaterThan(1);
    expect(chunks.at(-1)?.choices[0]?.finish_reason).toBe('stop');
  });

  test.each([
    ['guided_json', { guided_json: JSON.stringify(POEM) }],
    ['structured_outputs.json', { structured_outputs: { json: POEM } }],
    ['json_schema of llama-server', { json_schema: POEM }],
    ['response_format.schema', { response_format: { type: 'json_object', schema: POEM } }],
  ])('%s', async (_, more) => {
    validValue((await chat({ ...more, seed: 9 })).choices[0]?.message.content ?? '', POEM);
  });

  test('guided_regex and guided_choice', async () => {
    expect((await chat({ guided_regex: '[a-c]{3,9}' })).choices[0]?.message.content).toMatch(/^[a-c]{3,9}$/);
    expect((await chat({ guided_choice: ['calm', 'wild'] })).choices[0]?.message.content).toMatch(/^(?:calm|wild)$/);
  });
});

interface StreamChunk {
  readonly choices: readonly { readonly delta: { readonly content?: string }; readonly finish_reason: string | null }[];
}

describe('the other routes', () => {
  test('completions: prompts and outputs share a form', async () => {
    const { choices } = await posted<{ choices: { text: string; finish_reason: string }[] }>('/v1/completions', {
      prompt: ['The sea: ', 'The hill: '],
      n: 2,
      max_tokens: TOKENS,
      structured_outputs: { json: POEM },
      seed: 1,
    });
    expect(choices).toHaveLength(4);
    for (const { text, finish_reason } of choices) {
      validValue(text, POEM);
      expect(finish_reason).toBe('stop');
    }
  });

  test('Responses: the answer repeats the format', async () => {
    const format = { type: 'json_schema', name: 'poem', strict: true, schema: POEM };
    const body = { input: PROMPT, max_output_tokens: TOKENS, text: { format }, seed: 2 };
    interface Answer {
      readonly status: string;
      readonly output: readonly { readonly content: readonly { readonly text: string }[] }[];
      readonly text: unknown;
    }
    const { status, output, text } = await posted<Answer>('/v1/responses', body);
    validValue(output[0]?.content[0]?.text ?? '', POEM);
    expect({ status, text }).toEqual({ status: 'completed', text: { format } });
  });

  test.each(['output_config', 'output_format'])('Messages: %s', async (name) => {
    const format = { type: 'json_schema', schema: POEM };
    const body = { messages, max_tokens: TOKENS, seed: 3, [name]: name === 'output_config' ? { format } : format };
    const message = await posted<{ content: { text: string }[]; stop_reason: string }>('/v1/messages', body);
    validValue(message.content[0]?.text ?? '', POEM);
    expect(message.stop_reason).toBe('end_turn');
  });
});

describe('refused', () => {
  const refusedSchema = { type: 'object', properties: { a: { $dynamicRef: '#x' } } };

  test.each([
    ['/execute', { job_id: 'x', prompt: PROMPT, schema: refusedSchema }, 'schema.properties.a.$dynamicRef'],
    ['/execute', { job_id: 'x', prompt: PROMPT, schema: { type: 'texte' } }, 'schema.type'],
    ['/execute', { job_id: 'x', prompt: PROMPT, regex: 'a(?=b)' }, 'regex'],
    [
      CHAT,
      { messages, response_format: { type: 'json_schema', json_schema: { schema: refusedSchema } } },
      'response_format.json_schema.schema.properties.a.$dynamicRef',
    ],
    [CHAT, { messages, guided_regex: '[' }, 'guided_regex'],
    [
      '/v1/responses',
      { input: PROMPT, text: { format: { type: 'json_schema', schema: refusedSchema } } },
      'text.format.schema.properties.a.$dynamicRef',
    ],
    [
      '/v1/messages',
      { messages, max_tokens: 9, output_config: { format: { type: 'json_schema', schema: refusedSchema } } },
      'output_config.format.schema.properties.a.$dynamicRef',
    ],
  ])('%s: %j', async (path, body, field) => {
    const response = await worker.post(path, body);
    expect(response.status).toBe(400);
    expect(await response.text()).toContain(`${field} `);
  });

  test('a schema that no value meets, and one that is too complex', async () => {
    const none = await worker.post('/execute', { job_id: 'x', prompt: PROMPT, schema: false });
    expect([none.status, await none.text()]).toEqual([400, expect.stringContaining('schema')]);
    const guided_regex = '(a{1,900}b){1,900}';
    const complex = await worker.post(CHAT, { messages, guided_regex });
    expect([complex.status, await complex.json()]).toMatchObject([
      400,
      { error: { code: 'schema_too_complex', param: 'guided_regex', type: 'invalid_request_error' } },
    ]);
  });
});

/** The stream and the document of a chat, from hand-made events with every part of an output. */
import { beforeAll, describe, expect, test } from 'vitest';
import { ChatChunkEncoder } from '../../../src/http/openai/chat/chunk-encoder.ts';
import { ChatDocumentEncoder } from '../../../src/http/openai/chat/document-encoder.ts';
import type { JobEvent } from '../../../src/jobs/job-events.ts';
import { Tokenizer } from '../../../src/text/tokenizer/tokenizer.ts';
import { ERROR, NARRATION } from '../../jobs/events.ts';
import { haikuFiles } from '../../text/tokenizer/small-tokenizers.ts';
import { choiceEnd, content, dataOf, END_OF_JOB, HEAD, PROMPT, piece, STARTED_JOB, textOf } from './events.ts';

let tokens: Tokenizer;
beforeAll(async () => {
  tokens = await Tokenizer.open(haikuFiles);
});

type Options = Partial<ConstructorParameters<typeof ChatChunkEncoder>[0]>;
const stream = (more: Options = {}) =>
  new ChatChunkEncoder({ head: HEAD, narrates: false, tokens, options: undefined, keepAlive: 'off', ...more });
const document = (more: Partial<ConstructorParameters<typeof ChatDocumentEncoder>[0]> = {}) =>
  new ChatDocumentEncoder({ head: HEAD, narrates: false, tokens, choices: 1, scored: false, ...more });

const choice = (delta: object, more: object = {}) => ({
  index: 0,
  delta,
  logprobs: null,
  finish_reason: null,
  ...more,
});
const chunk = (...choices: object[]) => ({
  id: HEAD.id,
  object: 'chat.completion.chunk',
  created: HEAD.created,
  model: 'haiku',
  system_fingerprint: 'fp_1',
  choices,
});

/** The data of a keep-alive that the encoder makes now. */
const keptAlive = ({ keepAlive }: ChatChunkEncoder) => dataOf(typeof keepAlive === 'function' ? keepAlive() : '');

const PARTS: readonly JobEvent[] = [
  piece({ kind: 'reasoning', text: 'Hm' }),
  content('Well'),
  piece({ kind: 'call', index: 0, id: 'abcdefghi', name: 'look' }),
  piece({ kind: 'arguments', index: 0, text: '{"a":' }),
  piece({ kind: 'arguments', index: 0, text: '1}' }, { tokensOut: 5 }),
  choiceEnd({ toolCalls: 1, reasoningTokens: 1 }),
];
const JOB = [STARTED_JOB, PROMPT, ...PARTS, END_OF_JOB];
const USAGE = {
  prompt_tokens: 3,
  completion_tokens: 5,
  total_tokens: 8,
  prompt_tokens_details: { cached_tokens: 2 },
  completion_tokens_details: { reasoning_tokens: 1 },
};

describe('a stream', () => {
  test('has one chunk for each part, the role in the first one, and the name of a call before its arguments', () => {
    expect(dataOf(textOf(stream(), JOB))).toEqual([
      chunk(choice({ role: 'assistant', reasoning_content: 'Hm', reasoning: 'Hm' })),
      chunk(choice({ content: 'Well' })),
      chunk(
        choice({
          tool_calls: [{ index: 0, id: 'abcdefghi', type: 'function', function: { name: 'look', arguments: '' } }],
        }),
      ),
      chunk(choice({ tool_calls: [{ index: 0, function: { arguments: '{"a":' } }] })),
      chunk(choice({ tool_calls: [{ index: 0, function: { arguments: '1}' } }] })),
      chunk(choice({}, { finish_reason: 'tool_calls' })),
      '[DONE]',
    ]);
  });

  test('begins each choice with the role, also a choice without text or with a call first', () => {
    const events = [
      content('a', { choice: 1 }),
      piece({ kind: 'call', index: 0, id: 'abcdefghi', name: 'f' }),
      content('b', { choice: 1 }),
      choiceEnd({ choice: 2, reason: 'max_tokens' }),
    ];
    expect(dataOf(textOf(stream(), events))).toMatchObject([
      { choices: [{ index: 1, delta: { role: 'assistant', content: 'a' } }] },
      { choices: [{ index: 0, delta: { role: 'assistant', content: null } }] },
      { choices: [{ index: 1, delta: { content: 'b' } }] },
      { choices: [{ index: 2, delta: { role: 'assistant', content: '' }, finish_reason: 'length' }] },
    ]);
  });

  test('has the usage only if the client asks for it: in a last chunk, or in every chunk', () => {
    const last = dataOf(textOf(stream({ options: { include_usage: true } }), JOB));
    expect(last.slice(-2)).toEqual([{ ...chunk(), usage: USAGE }, '[DONE]']);
    expect(last.slice(0, -2).every((data) => !('usage' in (data as object)))).toBe(true);
    const all = dataOf(textOf(stream({ options: { continuous_usage_stats: true } }), JOB)).slice(0, -1);
    expect(all.map((data) => (data as { usage: object }).usage)).toEqual([
      ...Array(4).fill({ prompt_tokens: 3, completion_tokens: 1, total_tokens: 4 }),
      ...Array(2).fill({ prompt_tokens: 3, completion_tokens: 5, total_tokens: 8 }),
    ]);
  });

  test('carries the narration only if the client asks for it, in a chunk without text', () => {
    expect(textOf(stream(), [STARTED_JOB, NARRATION])).toBe('');
    expect(dataOf(textOf(stream({ narrates: true }), [STARTED_JOB, NARRATION]))).toEqual([
      { ...chunk(choice({ role: 'assistant', content: '' })), narration: NARRATION },
    ]);
  });

  test('begins with the role also if a narration or a keep-alive comes first, and names it once', () => {
    const call = piece({ kind: 'call', index: 0, id: 'abcdefghi', name: 'f' });
    const narrated = dataOf(textOf(stream({ narrates: true }), [STARTED_JOB, NARRATION, call, NARRATION]));
    const deltas = narrated.map((data) => (data as { choices: [{ delta: object }] }).choices[0].delta);
    expect(deltas).toEqual([{ role: 'assistant', content: '' }, { tool_calls: [expect.anything()] }, {}]);
    const quiet = stream({ keepAlive: 'chunk' });
    expect(keptAlive(quiet)).toMatchObject([{ choices: [{ delta: { role: 'assistant', content: '' } }] }]);
    expect(keptAlive(quiet)).toEqual([chunk(choice({}))]);
    expect(dataOf(textOf(quiet, [content('a')]))).toEqual([chunk(choice({ content: 'a' }))]);
  });

  test('has the usage of the moment also in a keep-alive and in a narration', () => {
    const encoder = stream({ narrates: true, keepAlive: 'chunk', options: { continuous_usage_stats: true } });
    textOf(encoder, [STARTED_JOB, PROMPT, content('a', { tokensOut: 4 })]);
    const usage = { prompt_tokens: 3, completion_tokens: 4, total_tokens: 7 };
    expect(keptAlive(encoder)).toMatchObject([{ usage }]);
    expect(dataOf(textOf(encoder, [NARRATION]))).toMatchObject([{ usage, narration: {} }]);
  });

  test('ends with the error of the job and the end mark', () => {
    expect(dataOf(textOf(stream({ options: { include_usage: true } }), [content('a'), ERROR])).slice(1)).toEqual([
      { error: { message: ERROR.message, type: 'invalid_request_error', param: null, code: 'cancelled' } },
      '[DONE]',
    ]);
  });

  test.each([
    ['off', undefined],
    ['comment', ': keep-alive\n\n'],
  ] as const)('has the keep-alive of --sse-keepalive %s', (keepAlive, text) => {
    expect(stream({ keepAlive }).keepAlive).toBe(text);
  });

  test('has a chunk without text as its keep-alive with --sse-keepalive chunk', () => {
    const begun = stream({ keepAlive: 'chunk' });
    textOf(begun, [content('a')]);
    expect(keptAlive(begun)).toEqual([chunk(choice({}))]);
  });

  test('stays in one line for clients that split at every Unicode line end', () => {
    const text = textOf(stream(), [content('a\u2028b\u0085c\nd')]);
    expect(text).not.toMatch(/[\u0085\u2028]/);
    expect(dataOf(text)).toMatchObject([{ choices: [{ delta: { content: 'a\u2028b\u0085c\nd' } }] }]);
  });
});

describe('log-probabilities', () => {
  /** A token whose text is a part of a character, and a special token. */
  const [half, end] = [0xe2, 3];
  const scored = content('a', {
    id: 69,
    logprob: -1,
    top: [{ id: end, logprob: -0.5 }],
    earlier: [{ id: half, logprob: -2, top: [] }],
  });

  test('have text and exact bytes of each token, in order, also of parts of characters', () => {
    const [data] = dataOf(textOf(stream(), [scored])) as [{ choices: [{ logprobs: object }] }];
    const form = tokens.formOf(half);
    expect(data.choices[0].logprobs).toEqual({
      content: [
        { token: form.text, logprob: -2, bytes: form.bytes, top_logprobs: [] },
        {
          ...{ token: tokens.formOf(69).text, logprob: -1, bytes: tokens.formOf(69).bytes },
          top_logprobs: [{ token: '<|end|>', logprob: -0.5, bytes: [...Buffer.from('<|end|>')] }],
        },
      ],
      refusal: null,
    });
  });

  test('are the same in a document', () => {
    const [data] = dataOf(textOf(stream(), [scored])) as [{ choices: [{ logprobs: object }] }];
    const whole = JSON.parse(textOf(document({ scored: true }), [scored, choiceEnd(), END_OF_JOB]));
    expect(whole.choices[0].logprobs).toEqual(data.choices[0].logprobs);
  });

  test('also have the tokens without a text after the last piece', () => {
    const ended = choiceEnd({ unreported: [{ id: end, logprob: -3, top: [{ id: 69, logprob: -4 }] }] });
    const trailing = { token: '<|end|>', logprob: -3, top_logprobs: [{ token: tokens.formOf(69).text, logprob: -4 }] };
    expect(dataOf(textOf(stream(), [scored, ended])).at(-1)).toMatchObject({
      choices: [{ logprobs: { content: [trailing], refusal: null }, finish_reason: 'stop' }],
    });
    const whole = JSON.parse(textOf(document({ scored: true }), [scored, ended, END_OF_JOB]));
    expect(whole.choices[0].logprobs.content).toHaveLength(3);
    expect(whole.choices[0].logprobs.content[2]).toMatchObject(trailing);
  });
});

describe('a document', () => {
  test('has the joined parts of each choice and the usage', () => {
    const events = [
      ...JOB.slice(0, -1),
      content('x', { choice: 1 }),
      content('y', { choice: 1 }),
      choiceEnd({ choice: 1, reason: 'max_tokens' }),
      END_OF_JOB,
    ];
    expect(JSON.parse(textOf(document({ choices: 2 }), events))).toEqual({
      ...chunk(),
      object: 'chat.completion',
      choices: [
        {
          index: 0,
          message: {
            role: 'assistant',
            content: 'Well',
            refusal: null,
            reasoning_content: 'Hm',
            reasoning: 'Hm',
            tool_calls: [{ id: 'abcdefghi', type: 'function', function: { name: 'look', arguments: '{"a":1}' } }],
          },
          logprobs: null,
          finish_reason: 'tool_calls',
        },
        {
          index: 1,
          message: { role: 'assistant', content: 'xy', refusal: null },
          logprobs: null,
          finish_reason: 'length',
        },
      ],
      usage: USAGE,
    });
  });

  test('has no content if there are only calls, and an empty one if there is nothing', () => {
    const call = piece({ kind: 'call', index: 0, id: 'abcdefghi', name: 'f' });
    const only = JSON.parse(textOf(document(), [call, choiceEnd({ toolCalls: 1 }), END_OF_JOB]));
    expect(only.choices[0].message.content).toBeNull();
    const nothing = JSON.parse(textOf(document(), [choiceEnd(), END_OF_JOB]));
    expect(nothing.choices[0].message).toEqual({ role: 'assistant', content: '', refusal: null });
  });

  test('has the narration as a list', () => {
    const text = textOf(document({ narrates: true }), [NARRATION, choiceEnd(), END_OF_JOB]);
    expect(JSON.parse(text).narration).toEqual([NARRATION]);
  });

  test('of a failed job is its error, with the status', () => {
    const encoder = document();
    expect(JSON.parse(textOf(encoder, [content('a'), { ...ERROR, code: 'VRAM_OOM', retry: 'elsewhere' }]))).toEqual({
      error: { message: ERROR.message, type: 'server_error', param: null, code: 'vram_oom' },
    });
    expect(encoder.status).toBe(503);
  });

  test('of a job that itself ended the engine has the status 500, and not 503', () => {
    const encoder = document();
    const text = textOf(encoder, [content('a'), { ...ERROR, code: 'ENGINE_LOST', retry: 'never' }]);
    expect([encoder.status, JSON.parse(text).error.code]).toEqual([500, 'engine_lost']);
  });
});

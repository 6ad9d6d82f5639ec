/** The stream and the document of completions, with the readings of clients. */
import { beforeAll, describe, expect, test } from 'vitest';
import { CompletionChunkEncoder } from '../../../src/http/openai/completions/chunk-encoder.ts';
import { CompletionDocumentEncoder } from '../../../src/http/openai/completions/document-encoder.ts';
import type { CompletionTokens } from '../../../src/http/openai/completions/scores.ts';
import type { JobEvent } from '../../../src/jobs/job-events.ts';
import { Tokenizer } from '../../../src/text/tokenizer/tokenizer.ts';
import { ERROR, NARRATION } from '../../jobs/events.ts';
import { haikuFiles } from '../../text/tokenizer/small-tokenizers.ts';
import { choiceEnd, content, dataOf, END_OF_JOB, HEAD, textOf } from './events.ts';

let tokens: CompletionTokens;
beforeAll(async () => {
  tokens = await Tokenizer.open(haikuFiles);
});

type Answer = ConstructorParameters<typeof CompletionDocumentEncoder>[0];
const answer = (more: Partial<Answer> = {}): Answer => ({
  head: { ...HEAD, id: 'cmpl-1' },
  narrates: false,
  tokens,
  inputs: [{ prompt: 'The sea', raw: true }],
  choices: 1,
  scored: false,
  echo: false,
  endIds: [],
  ...more,
});
const document = (more: Partial<Answer>, events: readonly JobEvent[]) =>
  JSON.parse(textOf(new CompletionDocumentEncoder(answer(more)), events));
const stream = (more: Partial<Answer>, events: readonly JobEvent[]) =>
  dataOf(textOf(new CompletionChunkEncoder({ ...answer(more), options: undefined, keepAlive: 'off' }), events));

const prompt = (index: number, ids: readonly number[]): JobEvent => ({ type: 'prompt', prompt: index, ids });
const formOf = (id: number): string => tokens.formOf(id).text;

/** An answer to lm-evaluation-harness: the context has one token, the continuation two. */
const LIKELIHOOD: readonly JobEvent[] = [
  prompt(0, [70, 71, 72]),
  { type: 'scores', prompt: 0, from: 1, scores: [{ id: 71, logprob: -1.25, top: [{ id: 71, logprob: -1.25 }] }] },
  { type: 'scores', prompt: 0, from: 2, scores: [{ id: 72, logprob: -3.5, top: [{ id: 99, logprob: -0.25 }] }] },
  choiceEnd({ reason: 'max_tokens', tokensOut: 1, unreported: [{ id: 3, logprob: -0.1, top: [] }] }),
  END_OF_JOB,
];

describe('echo with log-probabilities', () => {
  test('gives lm-evaluation-harness the likelihood of the continuation, and what is greedy', () => {
    const { choices } = document(
      { scored: true, echo: true, endIds: [3], inputs: [{ ids: [70, 71, 72] }] },
      LIKELIHOOD,
    );
    const { token_logprobs: logprobs, top_logprobs: tops } = choices[0].logprobs;
    const contextLength = 1;
    expect(logprobs.slice(contextLength, -1)).toEqual([-1.25, -3.5]);
    const greedy = tops
      .slice(contextLength, -1)
      .map(
        (top: Record<string, number>, at: number) => Math.max(...Object.values(top)) === logprobs[contextLength + at],
      );
    expect(greedy).toEqual([true, false]);
  });

  test('covers prompt and output; the first token has no log-probability', () => {
    const { choices } = document(
      { scored: true, echo: true, endIds: [3], inputs: [{ ids: [70, 71, 72] }] },
      LIKELIHOOD,
    );
    const [first, second, third] = [70, 71, 72].map(formOf) as [string, string, string];
    expect(choices).toEqual([
      {
        index: 0,
        text: first + second + third,
        logprobs: {
          tokens: [first, second, third, '<|end|>'],
          token_logprobs: [null, -1.25, -3.5, -0.1],
          top_logprobs: [null, { [second]: -1.25 }, { 'bytes:\\xa1': -0.25, [third]: -3.5 }, { '<|end|>': -0.1 }],
          text_offset: [0, first.length, (first + second).length, (first + second + third).length],
        },
        finish_reason: 'stop',
      },
    ]);
  });

  test('is the beginning of every choice of its prompt', () => {
    const inputs = [{ ids: [70] }, { ids: [71] }];
    const events = [
      prompt(0, [70]),
      prompt(1, [71]),
      ...[0, 1, 2, 3].map((choice) => content('!', { choice, id: 6, logprob: -1, top: [] })),
      ...[0, 1, 2, 3].map((choice) => choiceEnd({ choice })),
    ];
    const { choices } = document({ scored: true, echo: true, choices: 2, inputs }, [...events, END_OF_JOB]);
    expect(choices.map(({ text }: { text: string }) => text)).toEqual([70, 70, 71, 71].map((id) => `${formOf(id)}!`));
    expect(choices[3].logprobs.tokens).toEqual([formOf(71), formOf(6)]);
    const chunks = stream({ scored: true, echo: true, choices: 2, inputs }, events);
    expect(chunks[3]).toMatchObject({
      choices: [{ index: 3, text: `${formOf(71)}!`, logprobs: { tokens: [formOf(71), formOf(6)] } }],
    });
    expect(chunks[7]).toMatchObject({ choices: [{ index: 3, text: '', logprobs: null, finish_reason: 'stop' }] });
  });
});

describe('log-probabilities', () => {
  test('keep the larger one of two tokens with the same text, so that the maximum is exact', () => {
    const { isVisible, decode } = { isVisible: () => true, decode: () => 'x' };
    const same: CompletionTokens = { formOf: () => ({ text: '\u{FFFD}', bytes: [0xe2] }), isVisible, decode };
    const scored = content('x', {
      id: 1,
      logprob: -2,
      top: [
        { id: 2, logprob: -0.5 },
        { id: 1, logprob: -2 },
      ],
    });
    const { choices } = document({ tokens: same, scored: true }, [scored, choiceEnd(), END_OF_JOB]);
    expect(choices[0].logprobs.top_logprobs).toEqual([{ 'bytes:\\xe2': -0.5 }]);
    expect(choices[0].logprobs.token_logprobs).toEqual([-2]);
  });

  test('name the parts of characters by their bytes, and count each character once', () => {
    const bytes = [[0xe6], [0x97, 0xa5], [0xef, 0xbf, 0xbd], [0x21]];
    const parts: CompletionTokens = {
      formOf: (id) => ({ text: Buffer.from(bytes[id] ?? []).toString(), bytes: bytes[id] ?? [] }),
      isVisible: () => true,
      decode: () => '\u{FFFD}',
    };
    const events = [0, 1, 2, 3].map((id) =>
      content('', { id, logprob: -4, top: [0, 1, 2].map((other) => ({ id: other, logprob: -1 - other })) }),
    );
    const { choices } = document({ tokens: parts, scored: true }, [...events, choiceEnd(), END_OF_JOB]);
    const { tokens: names, top_logprobs: tops, text_offset: offsets } = choices[0].logprobs;
    expect(names).toEqual(['bytes:\\xe6', 'bytes:\\x97\\xa5', '\u{FFFD}', '!']);
    expect(tops[3]).toEqual({ 'bytes:\\xe6': -1, 'bytes:\\x97\\xa5': -2, '\u{FFFD}': -3, '!': -4 });
    expect(offsets).toEqual([0, 1, 1, 2]);
  });

  test('continue their offsets in the next chunk, in Unicode characters', () => {
    const emoji: CompletionTokens = {
      formOf: (id) => ({ text: id === 1 ? '🐸' : 'a', bytes: [] }),
      isVisible: (id) => id !== 3,
      decode: ([id]) => (id === 1 ? '🐸' : 'a'),
    };
    const events = [1, 3, 2].map((id) => content('', { id, logprob: -1, top: [] }));
    const chunks = stream({ tokens: emoji, scored: true }, events) as {
      choices: [{ logprobs: { text_offset: number[] } }];
    }[];
    expect(chunks.map(({ choices }) => choices[0].logprobs.text_offset)).toEqual([[0], [1], [1]]);
  });
});

test('a prompt of text is echoed as it was sent, and each choice has its own end', () => {
  const events = [prompt(0, [0, 70]), content(' is wide'), choiceEnd({ reason: 'stop_sequence' }), END_OF_JOB];
  expect(document({ echo: true }, events)).toMatchObject({
    object: 'text_completion',
    choices: [{ index: 0, text: 'The sea is wide', logprobs: null, finish_reason: 'stop' }],
  });
  expect(stream({ echo: true }, events)).toMatchObject([
    { choices: [{ text: 'The sea is wide', finish_reason: null }] },
    { choices: [{ text: '', finish_reason: 'stop' }] },
    '[DONE]',
  ]);
});

test('the only token counts as a stop if it ends the sequence, and as a limit otherwise', () => {
  const end = (id: number) => [
    choiceEnd({ reason: 'max_tokens', unreported: [{ id, logprob: -1, top: [] }] }),
    END_OF_JOB,
  ];
  expect(document({ scored: true, endIds: [3] }, end(3)).choices[0].finish_reason).toBe('stop');
  expect(document({ scored: true, endIds: [3] }, end(4)).choices[0].finish_reason).toBe('length');
});

test.each([
  ['elsewhere', 503],
  // The job itself has ended the engine: a proxy must not send it to another worker.
  ['never', 500],
] as const)('a document whose engine was lost, with the retry %s, has the status %i', (retry, status) => {
  const encoder = new CompletionDocumentEncoder(answer());
  const text = textOf(encoder, [prompt(0, [70]), { ...ERROR, code: 'ENGINE_LOST', retry }]);
  expect([encoder.status, JSON.parse(text).error.code]).toEqual([status, 'engine_lost']);
});

test('a keep-alive and a narration have the usage of the moment', () => {
  const encoder = new CompletionChunkEncoder({
    ...answer({ narrates: true }),
    options: { continuous_usage_stats: true },
    keepAlive: 'chunk',
  });
  textOf(encoder, [prompt(0, [5, 6]), content('a', { tokensOut: 4 })]);
  const usage = { prompt_tokens: 2, completion_tokens: 4, total_tokens: 6 };
  const { keepAlive } = encoder;
  expect(dataOf(typeof keepAlive === 'function' ? keepAlive() : '')).toMatchObject([{ usage }]);
  expect(dataOf(textOf(encoder, [NARRATION]))).toMatchObject([{ usage, narration: {} }]);
});

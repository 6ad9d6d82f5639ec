/** The form of a stream: headers, ids, names, order, and a text that is exactly its tokens. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Tokenizer } from '@huggingface/tokenizers';
import { beforeAll, describe, expect, test } from 'vitest';
import { embeddedModel } from '../../../src/model/folder.ts';
import { endings, lastOf, longJob } from '../../support/listener.ts';
import { sharedWorker } from '../../support/shared-worker.ts';
import { all, numberOf, type StreamEvent, type TestWorker, textOf } from '../../support/worker.ts';

let worker: TestWorker;
beforeAll(async () => {
  worker = await sharedWorker();
});

const json = (name: string): object => JSON.parse(readFileSync(join(embeddedModel(), name), 'utf8')) as object;
const tokenizer = new Tokenizer(json('tokenizer.json'), json('tokenizer_config.json'));
const decode = (ids: number[]): string =>
  ids.length === 0 ? '' : tokenizer.decode(ids, { skip_special_tokens: true, clean_up_tokenization_spaces: false });

interface Scored {
  readonly id: number;
  readonly logprob: number;
  readonly top: { readonly id: number; readonly logprob: number }[];
}

/** The tokens of a stream with log-probabilities, including those in `earlier` of a later event. */
function scoredOf(events: readonly StreamEvent[]): Scored[] {
  return all(events, 'token').flatMap((token) => [
    ...((token['earlier'] as Scored[] | undefined) ?? []),
    token as unknown as Scored,
  ]);
}

test('the answer is an event stream that no proxy may cache or change', async () => {
  const response = await worker.post('/execute', { job_id: 'headers', prompt: 'The sea', max_tokens: 1 });
  expect(response.status).toBe(200);
  expect(response.headers.get('content-type')).toMatch(/^text\/event-stream/);
  expect(response.headers.get('cache-control')).toBe('no-cache, no-transform');
  expect(response.headers.get('x-accel-buffering')).toBe('no');
  expect(response.headers.get('content-length')).toBeNull();
  const form = /^(?:id: \w+-\d+\nevent: [a-z]+\ndata: \{"type":"[a-z]+".*\}\n\n)+$/;
  expect(await response.text()).toMatch(form);
});

describe('a stream', () => {
  let events: StreamEvent[];
  beforeAll(async () => {
    events = await worker.execute(longJob('form', { min_tokens: 200, max_tokens: 200, logprobs: 0 }));
  });

  test('has ids without a gap and names that repeat their type', () => {
    expect(events.map(numberOf)).toEqual(events.map((_, index) => index));
    expect(events.map((event) => event.name)).toEqual(events.map((event) => event.data.type));
  });

  test('begins with started, which has the seed', () => {
    const { started_at, ...started } = events[0]?.data ?? { started_at: undefined };
    expect(started).toEqual({
      type: 'started',
      job_id: 'form',
      run_id: expect.stringMatching(/^[0-9a-z]{9}$/),
      model: 'haiku',
      seed: 1,
      worker_id: worker.lines[0]?.['worker_id'],
      correlation_id: expect.any(String),
    });
    expect(new Date(String(started_at)).toISOString()).toBe(started_at);
    expect(all(events, 'started')).toHaveLength(1);
  });

  test('ends with its one terminal event', () => {
    expect(endings(events)).toHaveLength(1);
    expect(lastOf(events)).toMatchObject({
      type: 'end',
      stop_reason: 'max_tokens',
      tokens_out: 200,
      tokens_in: expect.any(Number),
      cached_tokens: expect.any(Number),
      queue_ms: expect.any(Number),
      decode_time_ms: expect.any(Number),
      time_to_first_token_ms: expect.any(Number),
      seed: 1,
    });
    expect(lastOf(events)).not.toHaveProperty('stop_sequence_matched');
  });

  test('counts its token events without a gap, each with whole characters', () => {
    const tokens = all(events, 'token');
    expect(tokens.map((token) => token['i'])).toEqual(tokens.map((_, index) => index));
    for (const token of tokens) {
      expect(String(token['t'])).not.toBe('');
      expect(String(token['t']).isWellFormed()).toBe(true);
    }
  });

  test('has a token event per token, where a token is at least a character', () => {
    expect(scoredOf(events).length).toBeGreaterThanOrEqual(all(events, 'token').length);
    const solo = all(events, 'token').filter((token) => token['earlier'] === undefined);
    expect(solo.length).toBeGreaterThan(0.8 * all(events, 'token').length);
  });

  test('is exactly the decoding of its ids', () => {
    const ids = scoredOf(events).map((token) => token.id);
    expect(ids).toHaveLength(Number(lastOf(events)['tokens_out']));
    expect(textOf(events)).toBe(decode(ids));
  });

  test('arrives token by token, not all at once', () => {
    const tokens = events.filter((event) => event.data.type === 'token');
    const first = tokens[0]?.at ?? 0;
    const last = tokens.at(-1)?.at ?? 0;
    expect(last - first).toBeGreaterThan(0.3 * Number(lastOf(events)['decode_time_ms']));
  });

  test('sends metrics while it runs', async () => {
    const measured = await worker.execute(longJob('metrics'));
    const metrics = all(measured, 'metrics');
    expect(metrics.length).toBeGreaterThan(0);
    for (const one of metrics) {
      expect(one).toEqual({
        type: 'metrics',
        tokens_out: expect.any(Number),
        tokens_per_sec: expect.any(Number),
        time_to_first_token_ms: expect.any(Number),
        vram_bytes: 0,
        batch_size: 1,
      });
    }
    const times = measured.filter((event) => event.data.type === 'metrics').map((event) => event.at);
    for (const [index, at] of times.slice(1).entries()) expect(at - (times[index] ?? 0)).toBeGreaterThan(350);
  });
});

describe('log-probabilities', () => {
  test('are absent unless requested', async () => {
    const events = await worker.execute({ job_id: 'no-logprobs', prompt: 'The sea', max_tokens: 5 });
    for (const token of all(events, 'token')) expect(Object.keys(token).sort()).toEqual(['i', 't', 'type']);
  });

  test('0 scores the chosen tokens only', async () => {
    const events = await worker.execute({ job_id: 'logprobs-0', prompt: 'The sea', max_tokens: 8, logprobs: 0 });
    for (const token of scoredOf(events)) {
      expect(token.logprob).toBeLessThanOrEqual(0);
      expect(token.top).toEqual([]);
    }
  });

  test('3 add the three most likely tokens, best first; greedy takes the best', async () => {
    const events = await worker.execute({
      job_id: 'lp-3',
      prompt: 'The sea',
      max_tokens: 12,
      logprobs: 3,
      temperature: 0,
    });
    const scored = scoredOf(events);
    expect(scored.length).toBeGreaterThan(0);
    for (const token of scored) {
      expect(token.top).toHaveLength(3);
      const figures = token.top.map((one) => one.logprob);
      expect(figures).toEqual(figures.toSorted((a, b) => b - a));
      expect(token.top[0]).toEqual({ id: token.id, logprob: token.logprob });
      expect(figures.reduce((sum, figure) => sum + Math.exp(figure), 0)).toBeLessThanOrEqual(1.0001);
    }
  });

  test('do not change the text', async () => {
    const job = { prompt: 'The sea', seed: 3, max_tokens: 20 };
    const plain = await worker.execute({ ...job, job_id: 'plain' });
    const scored = await worker.execute({ ...job, job_id: 'scored', logprobs: 20 });
    expect(textOf(scored)).toBe(textOf(plain));
  });
});

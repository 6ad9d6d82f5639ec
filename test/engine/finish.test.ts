import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { SequenceRequest } from '../../src/protocol/messages.ts';
import { SAMPLING_NAMES } from '../../src/protocol/sampling.ts';
import { Bench, prompt, request } from './harness.ts';

const bench = new Bench({ slots: 2 });
afterAll(() => bench.engine.close());
afterEach(() => expect(bench.engine.cache.free).toBe(2));

/** The ids that greedy decoding draws for the prompt. */
let natural: number[];
beforeEach(async () => {
  natural = (await bench.run({ maxTokens: 20 })).ids;
});

describe('a sequence ends', () => {
  it('after max_tokens', async () => {
    for (const maxTokens of [1, 2, 7]) {
      const { ids, finish } = await bench.run({ maxTokens });
      expect(ids).toEqual(natural.slice(0, maxTokens));
      expect(finish.reason).toBe('max_tokens');
    }
  });

  it('at any of its end ids, which is not a token', async () => {
    const at = natural.findIndex((id, index) => index > 2 && natural.indexOf(id) === index);
    const { ids, finish } = await bench.run({ maxTokens: 20, endIds: [1023, natural[at]!, 1022] });
    expect(ids).toEqual(natural.slice(0, at));
    expect(finish.reason).toBe('eos');
    const first = await bench.run({ maxTokens: 20, endIds: [natural[0]!] });
    expect(first).toMatchObject({ ids: [], finish: { reason: 'eos' } });
  });

  it('not before min_tokens', async () => {
    const endIds = [natural[0]!, natural[1]!, natural[2]!];
    const { ids } = await bench.run({ maxTokens: 20, minTokens: 6, endIds });
    expect(ids.length).toBeGreaterThanOrEqual(6);
    expect(ids.slice(0, 6).filter((id) => endIds.includes(id))).toEqual([]);
  });

  it('exactly at the end of its context', async () => {
    const { ids, finish } = await bench.run({ prompt: prompt(200), maxTokens: 56 });
    expect(ids).toHaveLength(56);
    expect(finish.reason).toBe('max_tokens');
  });

  it('with the times in the queue, in prefill and in decoding', async () => {
    const { finish } = await bench.run({ maxTokens: 20 });
    expect(finish.timings.prefillMs).toBeGreaterThan(0);
    expect(finish.timings.decodeMs).toBeGreaterThan(0);
    expect(finish.timings.queueMs).toBeGreaterThanOrEqual(0);
  });
});

describe('cancel', () => {
  it('stops a running sequence, and frees its slot before the report', async () => {
    const asked = request({ maxTokens: 200 });
    const outcome = bench.submit(asked);
    let freeWhenReported = -1;
    await bench.afterTokens(asked.id, 3);
    bench.onReport = ({ sequences }) => {
      if (sequences.some(({ id, finish }) => id === asked.id && finish)) freeWhenReported = bench.engine.cache.free;
    };
    bench.engine.cancel(asked.id);
    const { ids, finish } = await outcome;
    expect(finish.reason).toBe('cancelled');
    expect(ids).toHaveLength(3);
    expect(freeWhenReported).toBe(2);
    bench.onReport = () => undefined;
  });

  it('stops a waiting sequence, which was never started', async () => {
    const running = [request({ maxTokens: 30 }), request({ maxTokens: 30 })].map((asked) => bench.submit(asked));
    const asked = request();
    const waiting = bench.submit(asked);
    bench.engine.cancel(asked.id);
    const { notes, ids, finish } = await waiting;
    expect(finish.reason).toBe('cancelled');
    expect(ids).toEqual([]);
    expect(notes).toEqual([{ note: 'queued', position: 1, etaMs: expect.any(Number) }]);
    for (const outcome of running) expect((await outcome).finish.reason).toBe('max_tokens');
  });

  it('stops in the middle of a long prompt', async () => {
    const long = new Bench({ slots: 1, context: 512, prefillChunk: 256 });
    const asked = request({ prompt: prompt(500), maxTokens: 4 });
    const outcome = long.submit(asked);
    long.onReport = ({ sequences }) => {
      if (sequences.some(({ notes }) => notes.some(({ note }) => note === 'prefill'))) long.engine.cancel(asked.id);
    };
    expect(await outcome).toMatchObject({ ids: [], finish: { reason: 'cancelled' } });
    const { cache } = long.engine;
    expect(cache.free).toBe(1);
    expect(cache.length(0)).toBeGreaterThan(0);
    expect(cache.length(0)).toBeLessThanOrEqual(256);
    long.engine.close();
  });

  it('is reported before the run of the next step, together with the sequence that gets the slot', async () => {
    const one = new Bench({ slots: 1 });
    const asked = request({ maxTokens: 200 });
    const cancelled = one.submit(asked);
    const next = request({ maxTokens: 3 });
    const waiting = one.submit(next);
    await one.afterTokens(asked.id, 3);
    const count = one.reports.length;
    one.engine.cancel(asked.id);
    await Promise.all([cancelled, waiting]);
    const [beforeRun, afterRun] = one.reports.slice(count);
    expect(beforeRun).toMatchObject({
      batch: 0,
      sequences: [{ id: asked.id, finish: { reason: 'cancelled' } }, { id: next.id }],
    });
    expect(beforeRun?.sequences[1]?.notes.at(-1)).toMatchObject({ note: 'started', slot: 0 });
    expect(afterRun).toMatchObject({ batch: 1, sequences: [{ id: next.id }] });
    one.engine.close();
  });

  it('of an unknown or finished sequence is ignored', async () => {
    bench.engine.cancel(987_654);
    const asked = request();
    await bench.submit(asked);
    bench.engine.cancel(asked.id);
    expect((await bench.run({ maxTokens: 2 })).ids).toEqual(natural.slice(0, 2));
  });
});

describe('a request that breaks a rule fails, and the engine continues', () => {
  const broken: [string, Partial<SequenceRequest>][] = [
    ['no ids', { prompt: [] }],
    ['outside the vocabulary', { prompt: [0, 1024] }],
    ['outside the vocabulary', { prompt: [-1] }],
    ['outside the vocabulary', { prompt: [1.5] }],
    ['maxTokens', { maxTokens: 0 }],
    ['do not fit the context of 256', { prompt: prompt(200), maxTokens: 57 }],
    ['minTokens', { minTokens: 9 }],
    ['endIds', { endIds: [0.5] }],
    ['logprobs', { logprobs: -1 }],
    ...(
      [
        ...SAMPLING_NAMES.flatMap((name) => [[name, Number.NaN] as const, [name, Number.POSITIVE_INFINITY] as const]),
        ['temperature', -1],
        ['topK', 1.5],
        ['topP', 1.1],
        ['minP', -0.1],
        ['repetitionPenalty', 0],
        ['seed', -1],
      ] as const
    ).map(([field, value]): [string, Partial<SequenceRequest>] => [
      field,
      { sampling: { ...request().sampling, [field]: value } },
    ]),
  ];

  it.each(broken)('%s', async (message, fields) => {
    const { finish } = await bench.run(fields);
    expect(finish).toMatchObject({ reason: 'failed', message: expect.stringContaining(message) });
    expect((await bench.run({ maxTokens: 2 })).ids).toEqual(natural.slice(0, 2));
  });

  it('a second request with the same id ends the first', async () => {
    const asked = request({ maxTokens: 100 });
    const outcome = bench.submit(asked);
    await bench.afterTokens(asked.id, 1);
    bench.engine.submit(asked);
    expect((await outcome).finish).toMatchObject({ reason: 'failed', message: expect.stringContaining('twice') });
  });
});

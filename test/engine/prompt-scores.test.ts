/**
 * The scores of a prompt: compared with a log-softmax in float64 over the logits of one run of the whole
 * prompt, for models with all kinds of caches and logits.
 */
import { afterAll, describe, expect, it } from 'vitest';
import { KvCache } from '../../src/engine/cache/kv-cache.ts';
import { checkRequest } from '../../src/engine/check-request.ts';
import { CostModel } from '../../src/engine/cost-model.ts';
import { MAX_SCORED_BYTES, MAX_SCORED_POSITIONS, type Run } from '../../src/engine/ort/session.ts';
import { Runner } from '../../src/engine/runner.ts';
import { argMax, Sampler } from '../../src/engine/sampling/sampler.ts';
import { Sequence } from '../../src/engine/sequence.ts';
import type { EngineOptions } from '../../src/protocol/loading.ts';
import type { PromptScore, SequenceRequest } from '../../src/protocol/messages.ts';
import { Bench, logitsOf, modelFile, onCpu, openSession, options, prompt, request } from './harness.ts';
import { REFERENCE } from './reference.ts';

const modelOf = (name: string): string => REFERENCE.find((one) => one.name.startsWith(name))!.file;

/** Runs a request, and collects its scores. Checks that they are consecutive from the second id on. */
async function scored(bench: Bench, asked: SequenceRequest) {
  const before = bench.reports.length;
  const outcome = await bench.submit(asked);
  const scores: PromptScore[] = [];
  let reports = 0;
  for (const { promptScores } of bench.reports.slice(before).flatMap(({ sequences }) => sequences)) {
    if (!promptScores) continue;
    expect(promptScores.from).toBe(scores.length + 1);
    scores.push(...promptScores.scores);
    reports++;
  }
  return { ...outcome, scores, reports };
}

/** Log-softmax in float64 of the logits after each id but the last, `[ids - 1][vocab]`. */
function reference(file: string, ids: readonly number[]): number[][] {
  const session = openSession(file, { capacity: 192, chunk: 192, keep: 192 });
  try {
    const { vocabSize } = session.signature;
    const logits = logitsOf(session, ids, ids.length);
    return ids.slice(1).map((_, index) => {
      const row = Array.from(logits.subarray(index * vocabSize, (index + 1) * vocabSize));
      const most = Math.max(...row);
      const logSum = Math.log(row.reduce((sum, logit) => sum + Math.exp(logit - most), 0));
      return row.map((logit) => logit - most - logSum);
    });
  } finally {
    session.close();
  }
}

const printable = (length: number): number[] =>
  Array.from({ length }, (_, index) => 32 + ((index * index + 7 * index) % 90));

describe.each([
  ['the embedded model', modelFile, prompt(150, 9)],
  ...['position-ids', 'mixed', 'fp16', 'q4f16', 'concat/', 'concat-fp16', 'concat-asked', 'combined'].map(
    (name) => [name, modelOf(name), printable(150)] as const,
  ),
] as const)('the scores of %s', (_, file, ids) => {
  const open = (overrides: Partial<EngineOptions> = {}): Bench =>
    new Bench({ ...options, ...onCpu(file), slots: 2, context: 192, ...overrides });

  it('equal the log-softmax of the logits, whatever the chunks', async () => {
    const expected = reference(file, ids);
    let first: PromptScore[] | undefined;
    // The attention of this model is float16 matrix products, whose rounding depends on their size.
    const chunks = file.includes('concat-fp16') ? ([256] as const) : (['auto', 64, 7, 2] as const);
    for (const prefillChunk of chunks) {
      const bench = open({ prefillChunk });
      const { scores, reports } = await scored(bench, request({ prompt: ids, promptLogprobs: 5, maxTokens: 3 }));
      bench.engine.close();
      expect(scores.map(({ id }) => id)).toEqual(ids.slice(1));
      for (const [index, { id, logprob, top }] of scores.entries()) {
        const row = expected[index]!;
        expect(Math.abs(logprob - row[id]!)).toBeLessThan(1e-5);
        const best = row.map((value, at) => [value, at] as const).sort((a, b) => b[0] - a[0] || a[1] - b[1]);
        expect(top.map((one) => one.id)).toEqual(best.slice(0, 5).map(([, at]) => at));
        for (const [rank, one] of top.entries()) expect(Math.abs(one.logprob - best[rank]![0])).toBeLessThan(1e-5);
      }
      if (prefillChunk !== 'auto') expect(reports).toBeGreaterThanOrEqual(Math.ceil(150 / prefillChunk));
      first ??= scores;
      expect(scores).toEqual(first);
    }
  });

  it('do not change the output, and leave a slot that later prompts reuse', async () => {
    const bench = open();
    const plain = await bench.run({ prompt: ids, maxTokens: 8 });
    const one = await scored(bench, request({ prompt: ids, promptLogprobs: 0, maxTokens: 8 }));
    expect(one.ids).toEqual(plain.ids);
    expect(one.finish.cachedTokens).toBe(0);
    expect(one.scores.every(({ top }) => top.length === 0)).toBe(true);
    const continued = [...ids, ...one.ids.slice(0, -1), 40, 41];
    const later = await bench.run({ prompt: continued, maxTokens: 4 });
    const cold = open();
    expect(later.finish.cachedTokens).toBe(ids.length + 7);
    expect(later.ids).toEqual((await cold.run({ prompt: continued, maxTokens: 4 })).ids);
    for (const each of [bench, cold]) each.engine.close();
  });
});

describe('a request for scores', () => {
  const bench = new Bench({ slots: 2 });
  afterAll(() => bench.engine.close());

  it('of a prompt with one id has none, and a prompt of two ids has one', async () => {
    const one = await scored(bench, request({ prompt: [5], promptLogprobs: 3 }));
    expect([one.scores.length, one.ids.length]).toEqual([0, 8]);
    const two = await scored(bench, request({ prompt: [5, 6], promptLogprobs: 20 }));
    expect(two.scores).toHaveLength(1);
    expect(two.scores[0]!.top).toHaveLength(20);
  });

  it('says with its first alternative which id is the arg-max', async () => {
    const ids = prompt(40, 3);
    const session = openSession();
    const logits = logitsOf(session, ids, ids.length);
    const { vocabSize } = session.signature;
    const { scores } = await scored(bench, request({ prompt: ids, promptLogprobs: 1 }));
    const greedy = scores.map((_, at) => argMax(logits.subarray(at * vocabSize, (at + 1) * vocabSize)));
    expect(scores.map(({ top }) => top[0]!.id)).toEqual(greedy);
    session.close();
  });

  it('is refused for more than 20 alternatives', () => {
    const limits = { vocabSize: 1024, idLimit: 1024, context: 256 };
    expect(checkRequest(request({ promptLogprobs: 20 }), limits)).toBeUndefined();
    expect(checkRequest(request({ promptLogprobs: 21 }), limits)).toBe('promptLogprobs must be 0 to 20, not 21');
    expect(checkRequest(request({ promptLogprobs: -1 }), limits)).toContain('-1');
  });

  it('reports while it runs, between the tokens of its neighbour', async () => {
    const small = new Bench({ slots: 2, context: 256, prefillChunk: 16 });
    const neighbour = request({ prompt: prompt(3), maxTokens: 250 });
    const running = small.submit(neighbour);
    await small.afterTokens(neighbour.id, 3);
    const asked = request({ prompt: prompt(200, 4), promptLogprobs: 2, maxTokens: 1 });
    const { scores, reports } = await scored(small, asked);
    expect(scores).toHaveLength(199);
    expect(reports).toBeGreaterThanOrEqual(13);
    const largest = small.reports.flatMap(({ sequences }) => sequences.map(({ promptScores }) => promptScores));
    expect(Math.max(...largest.map((one) => one?.scores.length ?? 0))).toBeLessThanOrEqual(16);
    expect((await running).ids).toHaveLength(250);
    small.engine.close();
  });

  it('can be cancelled before its last chunk', async () => {
    const small = new Bench({ slots: 1, context: 256, prefillChunk: 16 });
    const asked = request({ prompt: prompt(240, 5), promptLogprobs: 1 });
    small.onReport = ({ sequences }) => {
      if (sequences.some(({ promptScores }) => promptScores)) small.engine.cancel(asked.id);
    };
    const { finish, scores } = await scored(small, asked);
    expect(finish.reason).toBe('cancelled');
    expect(scores.length).toBeLessThan(239);
    small.engine.close();
  });
});

it('a score needs valid logits, and an id of probability 0 has -9999', () => {
  const sampler = new Sampler(8);
  const logits = Float32Array.from([0, 1, 2, 3, 4, 5, 6, Number.NEGATIVE_INFINITY]);
  expect(sampler.score(logits, 7, 8)).toMatchObject({ id: 7, logprob: -9999 });
  expect(sampler.score(logits, 7, 8).top).toHaveLength(7);
  expect(() => sampler.score(logits.with(2, Number.NaN), 1, 1)).toThrow('id 2 is NaN');
});

it('a model that gives the logits of one position only runs once for each id', () => {
  const session = openSession(modelFile, { rows: 1, capacity: 32, chunk: 32, keep: 17 });
  const tokens: number[] = [];
  const single = new Proxy(session, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name, target);
      if (name === 'reserveScores') return () => 1;
      if (name !== 'run') return typeof value === 'function' ? value.bind(target) : value;
      return (run: Run) => {
        tokens.push(run.tokens);
        return target.run(run);
      };
    },
  });
  const cache = new KvCache({ slots: 1, capacity: 32 });
  const runner = new Runner(single, cache, new CostModel(), () => 0);
  const sequence = new Sequence(request({ prompt: prompt(5), promptLogprobs: 0 }), 0);
  const input = { ids: sequence.input, salt: '', whole: true };
  sequence.start(cache.begin(cache.take(input)!, input), 0, 0);
  const results = [...runner.run({ prefill: [{ sequence, start: 0, count: 5 }], decode: [] })];
  expect(results.map(([, , scored]) => scored)).toEqual([1, 2, 3, 4, undefined]);
  expect(tokens).toEqual([1, 1, 1, 1, 1]);
  session.close();
});

it('a session allocates the logits of scores at the first request, within the bounds', () => {
  const session = openSession(modelFile, { rows: 3, capacity: 600, chunk: 600, keep: 17 });
  const { vocabSize } = session.signature;
  expect(session.logits.length).toBe((17 + 3) * vocabSize);
  expect(session.scoredPositions).toBe(MAX_SCORED_POSITIONS);
  expect(MAX_SCORED_POSITIONS * vocabSize * 4).toBeLessThanOrEqual(MAX_SCORED_BYTES);
  expect(session.reserveScores()).toBe(MAX_SCORED_POSITIONS);
  const { logits } = session;
  expect(logits.length).toBe((MAX_SCORED_POSITIONS + 3) * vocabSize);
  session.reserveScores();
  expect(session.logits).toBe(logits);
  session.close();
});

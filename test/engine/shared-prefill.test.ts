/**
 * Sequences with the same prompt: the prompt is computed once, and its keys and values are copied. The ids are
 * those of a sequence that computes its prompt alone.
 */
import { afterAll, describe, expect, it } from 'vitest';
import type { EngineOptions } from '../../src/protocol/loading.ts';
import type { SequenceRequest } from '../../src/protocol/messages.ts';
import { Bench, modelFile, onCpu, openSession, options, prompt, request } from './harness.ts';
import { REFERENCE } from './reference.ts';

const modelOf = (name: string): string => REFERENCE.find((one) => one.name.startsWith(name))!.file;
const printable = (length: number): number[] =>
  Array.from({ length }, (_, index) => 32 + ((index * index + 7 * index) % 90));

/** Requests with one prompt and different seeds; all but the first are copies of the first. */
function group(count: number, asked: Parameters<typeof request>[0]): SequenceRequest[] {
  const [first, ...others] = Array.from({ length: count }, (_, seed) =>
    request({ ...asked, sampling: { temperature: 1, ...asked?.sampling, seed } }),
  );
  return [first!, ...others.map((other) => ({ ...other, copyOf: first!.id }))];
}

const withoutCopy = ({ copyOf, ...asked }: SequenceRequest): SequenceRequest => ({
  ...asked,
  id: asked.id + 1_000_000,
});

const MODELS = [
  ['the embedded model', modelFile, prompt(120, 9)],
  ...['position-ids', 'fp16', 'mixed', 'concat/', 'concat-fp16', 'combined', 'shared-caches', 'without-attention'].map(
    (name) => [name, modelOf(name), printable(120)] as const,
  ),
] as const;

describe.each(MODELS)('copies of a prompt of %s', (_, file, ids) => {
  const open = (overrides: Partial<EngineOptions> = {}): Bench =>
    new Bench({ ...options, ...onCpu(file), slots: 4, context: 192, ...overrides });

  it('draw the ids of sequences that compute the prompt', async () => {
    const together = open();
    const alone = open({ slots: 1 });
    const asked = group(4, { prompt: ids, maxTokens: 20 });
    const outcomes = await Promise.all(asked.map((one) => together.submit(one)));
    for (const [index, one] of asked.entries()) {
      const expected = await alone.submit(withoutCopy({ ...one, prompt: ids }));
      expect(outcomes[index]!.ids).toEqual(expected.ids);
      // Empties the slot for the next one.
      await alone.run({ prompt: [33, 34, 35], maxTokens: 1 });
    }
    expect(outcomes.map(({ finish }) => finish.cachedTokens)).toEqual([0, 118, 118, 118]);
    for (const { notes } of outcomes.slice(1))
      expect(notes.find(({ note }) => note === 'started')).toMatchObject({ cachedTokens: 118 });
    for (const bench of [together, alone]) bench.engine.close();
  });

  it('have the same logits to the bit', () => {
    const session = openSession(file, { rows: 3, capacity: 192, chunk: 192, keep: 2 });
    const { vocabSize } = session.signature;
    /** Computes the ids from `start` on in a row, and returns the logits after the last one. */
    const compute = (first: number, start: number): Float32Array => {
      for (const [index, id] of ids.slice(start).entries()) session.ids[index] = BigInt(id);
      const tokens = ids.length - start;
      const rows = { first, count: 1 };
      const written = session.run({ rows, lengths: [ids.length], tokens, logitsAt: 0, keep: 1 });
      return session.logits.slice((written - 1) * vocabSize, written * vocabSize);
    };
    const whole = compute(0, 0);
    session.copyRow(0, 2, ids.length - 2);
    const copied = compute(2, ids.length - 2);
    if (file.includes('concat-fp16')) {
      // Its rounding depends on the division of a prompt, also without a copy.
      expect(Math.max(...copied.map((logit, id) => Math.abs(logit - whole[id]!)))).toBeLessThan(0.05);
    } else expect(copied).toEqual(whole);
    // The original has not changed: a copy of it is the same again.
    session.copyRow(0, 1, ids.length - 2);
    expect(compute(1, ids.length - 2)).toEqual(copied);
    session.close();
  });
});

describe('a copy', () => {
  const bench = new Bench({ slots: 4, context: 256, prefillChunk: 16 });
  afterAll(() => bench.engine.close());
  let salt = 100;
  /** A prompt of its own, with the ids that it gives alone. */
  const fresh = async (count: number, length = 200) => {
    const ids = prompt(length, salt++);
    const asked = group(count, { prompt: ids, maxTokens: 6 });
    const alone = new Bench({ slots: 1, context: 256, prefillChunk: 16 });
    const expected: number[][] = [];
    for (const one of asked) expected.push((await alone.submit(withoutCopy(one))).ids);
    alone.engine.close();
    return { asked, expected };
  };
  /** Calls `act` once, after the first chunk of a prompt. */
  const afterChunk = (id: number, act: () => void): void => {
    bench.onReport = ({ sequences }) => {
      if (!sequences.some((one) => one.id === id && one.notes.some(({ note }) => note === 'prefill'))) return;
      bench.onReport = () => undefined;
      act();
    };
  };
  const started = (id: number): number =>
    bench.reports.findIndex(({ sequences }) =>
      sequences.some((one) => one.id === id && one.notes.some(({ note }) => note === 'started')),
    );

  it('starts when the prompt of its original is computed, and computes two ids', async () => {
    const { asked, expected } = await fresh(3);
    const outcomes = await Promise.all(asked.map((one) => bench.submit(one)));
    expect(outcomes.map(({ ids }) => ids)).toEqual(expected);
    const firstToken = bench.reports.findIndex(({ sequences }) =>
      sequences.some(({ id, tokens }) => id === asked[0]!.id && tokens.length > 0),
    );
    for (const { id } of asked.slice(1)) expect(started(id)).toBeGreaterThan(firstToken);
    expect(outcomes.map(({ notes }) => notes.filter(({ note }) => note === 'prefill').length)).toEqual([
      expect.any(Number),
      0,
      0,
    ]);
  });

  it('of a paused original starts at once, and computes the rest of the prompt', async () => {
    const { asked, expected } = await fresh(2);
    afterChunk(asked[0]!.id, () => bench.engine.pause(asked[0]!.id, true));
    const [first, second] = asked.map((one) => bench.submit(one));
    const copy = await second!;
    expect(copy.ids).toEqual(expected[1]);
    expect(copy.finish.cachedTokens).toBeGreaterThan(0);
    expect(copy.finish.cachedTokens).toBeLessThan(198);
    bench.engine.pause(asked[0]!.id, false);
    expect((await first!).ids).toEqual(expected[0]);
  });

  it('of a cancelled original computes the rest of the prompt, once for all copies', async () => {
    const { asked, expected } = await fresh(4);
    afterChunk(asked[0]!.id, () => bench.engine.cancel(asked[0]!.id));
    const [first, ...copies] = await Promise.all(asked.map((one) => bench.submit(one)));
    expect(first!.finish.reason).toBe('cancelled');
    expect(copies.map(({ ids }) => ids)).toEqual(expected.slice(1));
    const [rest, ...others] = copies.map(({ finish }) => finish.cachedTokens);
    expect(rest).toBeLessThan(198);
    expect(others).toEqual([198, 198]);
  });

  it('can be cancelled and paused while it waits', async () => {
    const { asked, expected } = await fresh(3);
    const [first, second, third] = asked.map(({ id }) => id);
    afterChunk(first!, () => {
      bench.engine.cancel(second!);
      bench.engine.pause(third!, true);
    });
    const outcomes = asked.map((one) => bench.submit(one));
    expect((await outcomes[1]!).finish).toMatchObject({ reason: 'cancelled', cachedTokens: 0 });
    expect((await outcomes[0]!).ids).toEqual(expected[0]);
    expect(bench.engine.cache.free).toBe(3);
    bench.engine.pause(third!, false);
    expect((await outcomes[2]!).ids).toEqual(expected[2]);
    expect(bench.engine.cache.free).toBe(4);
  });

  it('of an unknown sequence, of itself or of a later one computes its prompt', async () => {
    const { asked, expected } = await fresh(2);
    const [a, b] = asked as [SequenceRequest, SequenceRequest];
    expect((await bench.submit({ ...a, copyOf: 999_999_999 })).ids).toEqual(expected[0]);
    const other = await fresh(2);
    const [c, d] = other.asked as [SequenceRequest, SequenceRequest];
    const outcomes = [
      { ...b, copyOf: b.id },
      { ...c, copyOf: d.id },
      { ...d, copyOf: c.id },
    ].map((one) => bench.submit(one));
    expect((await Promise.all(outcomes)).map(({ ids }) => ids)).toEqual([expected[1], ...other.expected]);
  });

  it('waits for a slot like any other sequence, and then reuses the prompt', async () => {
    const { asked, expected } = await fresh(7);
    const outcomes = await Promise.all(asked.map((one) => bench.submit(one)));
    expect(outcomes.map(({ ids }) => ids)).toEqual(expected);
    expect(outcomes.slice(1).map(({ finish }) => finish.cachedTokens)).toEqual(Array(6).fill(198));
  });

  it('that wants scores computes its whole prompt', async () => {
    const { asked, expected } = await fresh(2);
    const [first, second] = await Promise.all(
      [asked[0]!, { ...asked[1]!, promptLogprobs: 0 }].map((one) => bench.submit(one)),
    );
    expect([first!.ids, second!.ids]).toEqual(expected);
    expect(second!.finish.cachedTokens).toBe(0);
    const scores = bench.reports.flatMap(({ sequences }) =>
      sequences.flatMap(({ id, promptScores }) => (id === asked[1]!.id ? (promptScores?.scores ?? []) : [])),
    );
    expect(scores).toHaveLength(199);
  });

  it('fails with an invalid id of its original', async () => {
    expect((await bench.run({ copyOf: -1 })).finish).toMatchObject({
      reason: 'failed',
      message: expect.stringContaining('copyOf'),
    });
  });
});

describe('an unrelated sequence', () => {
  it('copies the common prefix of a prompt from a busy slot, and draws its own ids', async () => {
    const bench = new Bench({ slots: 2, context: 256 });
    const shared = prompt(100, 300);
    // The slots contain other prompts.
    await Promise.all([301, 302].map((salt) => bench.run({ prompt: prompt(40, salt), maxTokens: 1 })));
    const busy = request({ prompt: [...shared, 5, 6, 7], maxTokens: 100 });
    const running = bench.submit(busy);
    await bench.afterTokens(busy.id, 3);
    const other = { prompt: [...shared, 8, 9], maxTokens: 20 };
    const { ids, finish, notes } = await bench.run(other);
    const alone = new Bench({ slots: 1, context: 256 });
    expect(finish.cachedTokens).toBe(100);
    expect(notes[0]).toMatchObject({ note: 'started', cachedTokens: 100 });
    expect(ids).toEqual((await alone.run(other)).ids);
    expect((await running).ids).toEqual((await alone.run({ ...busy, id: 5_000_000 })).ids);
    for (const each of [bench, alone]) each.engine.close();
  });
});

/** Sequences on the embedded model that share less memory than they need: they draw the ids of sequences alone. */
import { afterAll, describe, expect, it } from 'vitest';
import type { Sampling } from '../../src/protocol/sampling.ts';
import { Bench, equalCosts, type Outcome, prompt } from './harness.ts';

const alone = new Bench({ slots: 1 });
afterAll(() => alone.engine.close());

const SEEDED: Partial<Sampling> = { temperature: 1, topK: 40, seed: 11, frequencyPenalty: 0.5 };
const asked = (salt: number) => ({ prompt: prompt(60, salt), maxTokens: 150, sampling: { ...SEEDED, seed: salt } });

/** Memory of so many whole rows of 256 tokens. */
const rowsOf = (rows: number): number => rows * alone.engine.facts.cacheBytesPerToken * 256;

const named = ({ notes }: Outcome, name: string) => notes.filter(({ note }) => note === name);

describe('sixteen sequences with memory for one and a half', () => {
  it('draw the ids that each draws alone, and never hold more than the budget', async () => {
    const crowded = new Bench({ slots: 16, cacheMemory: rowsOf(1.5) });
    const { cacheBudgetBytes } = crowded.engine.facts;
    let most = 0;
    crowded.onReport = ({ cache }) => {
      most = Math.max(most, cache?.usedBytes ?? 0);
    };
    const salts = Array.from({ length: 16 }, (_, index) => index + 1);
    const outcomes = await Promise.all(salts.map((salt) => crowded.run(asked(salt))));
    expect(most).toBeGreaterThan(0);
    expect(most).toBeLessThanOrEqual(cacheBudgetBytes);
    expect(outcomes.flatMap((outcome) => named(outcome, 'preempted')).length).toBeGreaterThan(0);
    for (const outcome of outcomes)
      expect(named(outcome, 'started')).toHaveLength(named(outcome, 'preempted').length + 1);
    for (const [index, salt] of salts.entries())
      expect(outcomes[index]!.ids).toEqual((await alone.run(asked(salt))).ids);
    crowded.engine.close();
  });
});

describe('prompts with one beginning', () => {
  equalCosts();

  const shared = prompt(120, 3);
  const twin = (end: number) => ({ prompt: [...shared, 5 + end, 6 + end], maxTokens: 12, sampling: SEEDED });

  it('are computed once, also if they are sent together', async () => {
    const bench = new Bench({ slots: 8 });
    const outcomes = await Promise.all([1, 2, 3, 4, 5, 6].map((end) => bench.run(twin(end))));
    expect(outcomes.map(({ finish }) => finish.cachedTokens)).toEqual([0, 120, 120, 120, 120, 120]);
    for (const [index, { ids }] of outcomes.entries()) expect(ids).toEqual((await alone.run(twin(index + 1))).ids);
    bench.engine.close();
  });

  it('are found again after other prompts had all slots', async () => {
    const bench = new Bench({ slots: 1, cacheMemory: rowsOf(4) });
    await bench.run(twin(1));
    for (const salt of [20, 21, 22]) await bench.run({ prompt: prompt(100, salt), maxTokens: 2 });
    const { finish, notes } = await bench.run(twin(2));
    expect(finish.cachedTokens).toBe(120);
    expect(notes[0]).toMatchObject({ copiedFrom: { running: false }, savedMs: expect.any(Number) });
    bench.engine.close();
  });

  it('share nothing if their salts differ', async () => {
    const bench = new Bench({ slots: 4 });
    const outcomes = [];
    for (const cacheSalt of ['a', 'b', 'a', '']) outcomes.push(await bench.run({ ...twin(1), cacheSalt }));
    expect(outcomes.map(({ finish }) => finish.cachedTokens)).toEqual([0, 0, 120, 0]);
    bench.engine.close();
  });
});

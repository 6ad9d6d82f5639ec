import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { Bench, continueGreedily, logitsOf, openPoisonable, prompt, request } from './harness.ts';

const { session, poison } = openPoisonable();
const bench = new Bench({ slots: 4 });
afterAll(() => {
  session.close();
  bench.engine.close();
});

describe('decoding', () => {
  it('draws the arg-max of the logits in each step', async () => {
    for (const length of [1, 3, 40]) {
      const { ids } = await bench.run({ prompt: prompt(length, 1), maxTokens: 24 });
      expect(ids).toEqual(continueGreedily(session, prompt(length, 1), 24));
    }
  });

  it('computes the same logits for a prompt in chunks as in one run', () => {
    const ids = prompt(200, 2);
    const whole = logitsOf(session, ids);
    let start = 0;
    for (const count of [7, 1, 64, 100, 28]) {
      for (let index = 0; index < count; index++) session.ids[index] = BigInt(ids[start + index]!);
      start += count;
      const rows = { first: 2, count: 1 };
      const written = session.run({ rows, lengths: [start], tokens: count, logitsAt: 0, keep: 1 });
      if (start === ids.length) {
        const { vocabSize } = session.signature;
        const last = session.logits.slice((written - 1) * vocabSize, written * vocabSize);
        const difference = Math.max(...last.map((logit, id) => Math.abs(logit - whole[id]!)));
        // A chunk of one id uses another kernel: 4e-6 apart.
        expect(difference).toBeLessThan(1e-4);
      }
    }
    expect(start).toBe(200);
  });

  it('starts after the ids that the slot already contains, and draws the same ids', async () => {
    const shared = prompt(60, 3);
    const cold = await new Bench({ slots: 1 }).run({ prompt: [...shared, 9, 4], maxTokens: 16 });
    const warm = new Bench({ slots: 1 });
    await warm.run({ prompt: [...shared, 8, 7], maxTokens: 5 });
    const reused = await warm.run({ prompt: [...shared, 9, 4], maxTokens: 16 });
    expect(cold.finish.cachedTokens).toBe(0);
    expect(reused.finish.cachedTokens).toBe(60);
    expect(reused.notes[0]).toMatchObject({ note: 'started', slot: 0, cachedTokens: 60, divergedAt: 60 });
    expect(reused.ids).toEqual(cold.ids);
  });

  it('keeps the generated ids for the next turn of a conversation', async () => {
    const one = new Bench({ slots: 1 });
    const first = prompt(20, 4);
    const { ids } = await one.run({ prompt: first, maxTokens: 10 });
    const second = await one.run({ prompt: [...first, ...ids, 11, 12], maxTokens: 10 });
    // The last id was drawn, but was never the input of a run.
    expect(second.finish.cachedTokens).toBe(29);
    expect(second.ids).toEqual(continueGreedily(session, [...first, ...ids, 11, 12], 10));
  });

  it('computes only the last two ids of a repeated prompt', async () => {
    const one = new Bench({ slots: 1 });
    const first = await one.run({ prompt: prompt(30, 5) });
    const again = await one.run({ prompt: prompt(30, 5) });
    expect(again.finish.cachedTokens).toBe(28);
    expect(again.ids).toEqual(first.ids);
  });

  it.each([
    ['greedy', { temperature: 0 }],
    ['seeded', { temperature: 0.9, topP: 0.95 }],
    ['seeded, with penalties', { temperature: 0.8, topK: 40, repetitionPenalty: 1.2, frequencyPenalty: 0.3 }],
  ])('draws the same ids for sixteen sequences together as for each alone: %s', async (_, sampling) => {
    const many = new Bench({ slots: 16 });
    const alone = new Bench({ slots: 1 });
    const [asked = []] = fc.sample(
      fc.array(
        fc.record({
          prompt: fc.array(fc.integer({ min: 3, max: 1023 }), { minLength: 1, maxLength: 120 }),
          maxTokens: fc.integer({ min: 1, max: 80 }),
          seed: fc.nat(),
        }),
        { minLength: 16, maxLength: 16 },
      ),
      1,
    );
    const requests = asked.map(({ seed, ...rest }) => ({ ...rest, sampling: { ...sampling, seed } }));
    const together = await Promise.all(requests.map((each) => many.run(each)));
    for (const [index, each] of requests.entries()) {
      expect(together[index]!.ids, `sequence ${index}`).toEqual((await alone.run(each)).ids);
    }
    expect(Math.max(...many.reports.map((report) => report.batch))).toBeGreaterThan(8);
    many.engine.close();
    alone.engine.close();
  });

  it('reads only those parts of the cache that it has written', () => {
    const ids = prompt(12, 6);
    const before = continueGreedily(session, ids, 12);
    poison();
    expect(continueGreedily(session, ids, 12)).toEqual(before);
    expect(logitsOf(session, ids).some(Number.isNaN)).toBe(false);
  });

  it('decodes past a poisoned row between two others', async () => {
    const { engine, ...rest } = await threeRowsWithAGap();
    expect(rest.outer).toEqual(rest.expected);
    expect(rest.kept).toBe(rest.innerLength);
    engine.close();
  });

  it('runs a long prompt in chunks between the steps of its neighbours', async () => {
    const small = new Bench({ slots: 2, context: 512, prefillChunk: 256 });
    const neighbour = request({ prompt: prompt(3), maxTokens: 200 });
    const running = small.submit(neighbour);
    await small.afterTokens(neighbour.id, 5);
    const long = await small.run({ prompt: prompt(500, 7), maxTokens: 2 });
    const chunks = long.notes.filter((note) => note.note === 'prefill');
    // The number of chunks depends on the speed: a chunk takes a quarter of a second at most.
    expect(chunks.length).toBeGreaterThan(0);
    for (const [index, { done, total, etaMs }] of chunks.entries()) {
      expect(total).toBe(500);
      expect(done).toBeGreaterThan(chunks[index - 1]?.done ?? 0);
      expect(done).toBeLessThan(500);
      expect(etaMs).toBeGreaterThan(0);
    }
    const between = small.reports.filter((report) => report.batch === 2 && report.sequences.length === 2);
    expect(between.length).toBeGreaterThan(2);
    expect((await running).ids).toHaveLength(200);
    small.engine.close();
  });
});

/** Slots 0 and 2 decode while slot 1 between them is idle and contains a prompt, which must survive. */
async function threeRowsWithAGap() {
  const three = new Bench({ slots: 3 });
  const prompts = [prompt(10, 20), prompt(15, 21), prompt(20, 22)];
  const limits = [40, 2, 40];
  const [left, inner, right] = await Promise.all(
    prompts.map((each, index) => three.run({ prompt: each, maxTokens: limits[index]! })),
  );
  const longer = [...prompts[1]!, ...inner!.ids.slice(0, 1), 5, 6];
  const again = await three.run({ prompt: longer });
  return {
    engine: three.engine,
    outer: [left!.ids, right!.ids, again.ids],
    expected: [
      continueGreedily(session, prompts[0]!, 40),
      continueGreedily(session, prompts[2]!, 40),
      continueGreedily(session, longer, 8),
    ],
    kept: again.finish.cachedTokens,
    innerLength: 16,
  };
}

import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { RunCost } from '../../../src/engine/cost-model.ts';
import { MAX_DRAFT, PromptLookup } from '../../../src/engine/drafts/prompt-lookup.ts';
import type { Sampling } from '../../../src/protocol/sampling.ts';
import { sampleSize } from '../../support/sample.ts';
import { Bench, equalCosts, prompt, type request } from '../harness.ts';

/** The costs of a machine on which longer runs cost little more. */
function cheap(): RunCost {
  const cost = new RunCost();
  cost.note(1, 10);
  cost.note(17, 11);
  return cost;
}

describe('a draft', () => {
  it('is the ids after the last earlier occurrence of the last three ids', () => {
    expect(new PromptLookup([1, 2, 3, 4, 5, 9, 1, 2, 3, 6, 7, 1, 2, 3]).propose(4, cheap())).toEqual([6, 7, 1, 2]);
  });

  it('is the ids after the last earlier occurrence of two ids, if three never occurred', () => {
    expect(new PromptLookup([8, 2, 3, 4, 5, 1, 2, 3]).propose(2, cheap())).toEqual([4, 5]);
  });

  it('repeats a period that is shorter than the draft', () => {
    expect(new PromptLookup([7, 7, 7]).propose(5, cheap())).toEqual([7, 7, 7, 7, 7]);
    expect(new PromptLookup([1, 2, 1, 2, 1, 2]).propose(5, cheap())).toEqual([1, 2, 1, 2, 1]);
  });

  it('is empty if the last ids are new, if no more ids are allowed, and if there are fewer than three ids', () => {
    expect(new PromptLookup([1, 2, 3, 4]).propose(9, cheap())).toEqual([]);
    expect(new PromptLookup([1, 2, 1, 2]).propose(0, cheap())).toEqual([]);
    expect(new PromptLookup([1, 2, 1, 2]).propose(-1, cheap())).toEqual([]);
    expect(new PromptLookup([1]).propose(9, cheap())).toEqual([]);
  });

  it('has the length that saves most time', () => {
    const dear = new RunCost();
    for (const tokens of [1, 2, 4, 8, 17]) dear.note(tokens, 10 * tokens);
    const repeated = [1, 2, 3, 1, 2, 3];
    expect(new PromptLookup(repeated).propose(99, dear)).toEqual([]);
    const free = new RunCost();
    free.note(1, 10);
    free.note(17, 10);
    expect(new PromptLookup(repeated).propose(99, free)).toHaveLength(MAX_DRAFT);
  });

  it('is empty after rejected drafts, and is tried again later', () => {
    const cost = new RunCost();
    for (const tokens of [1, 2, 4, 8, 17]) cost.note(tokens, 10 + 4 * tokens);
    const drafts = new PromptLookup([1, 2, 3, 1, 2, 3]);
    let wrong = 0;
    for (; drafts.propose(8, cost).length > 0 && wrong < 50; wrong++) drafts.learn(8, 0);
    expect(wrong).toBeGreaterThan(0);
    expect(wrong).toBeLessThan(20);
    let quiet = 0;
    for (; drafts.propose(8, cost).length === 0 && quiet < 1000; quiet++) drafts.push(3);
    expect(quiet).toBeGreaterThan(0);
    expect(quiet).toBeLessThan(1000);
    for (let right = 0; right < 5; right++) drafts.learn(8, 8);
    expect(drafts.propose(8, cost)).toHaveLength(8);
    expect(drafts).toMatchObject({ drafted: 8 * (wrong + 5), accepted: 40 });
  });
});

const plain = new Bench({ slots: 1, context: 512 });
const drafting = new Bench({ slots: 1, context: 512, speculation: 'auto' });
afterAll(() => {
  plain.engine.close();
  drafting.engine.close();
});

describe('decoding with drafts', () => {
  equalCosts();

  it('is on if runs of one token and runs of several tokens round alike', () => {
    expect(drafting.engine.facts.speculation).toBe(true);
    expect(drafting.engine.facts.runDifference).toBeLessThan(1e-5);
    expect(plain.engine.facts.speculation).toBe(false);
  });

  const repeated = Array.from({ length: 120 }, (_, index) => 5 + (index % 6));
  const cases: [string, Parameters<typeof request>[0]][] = [
    ['a prompt that repeats itself', { prompt: repeated, maxTokens: 100 }],
    ['a prompt that does not', { prompt: prompt(40, 3), maxTokens: 100 }],
    ['no more tokens than requested', { prompt: repeated, maxTokens: 3 }],
    ['one token', { prompt: repeated, maxTokens: 1 }],
    ['a full context', { prompt: repeated, maxTokens: 512 - 120 }],
    ['a seed', { prompt: repeated, maxTokens: 100, sampling: { temperature: 0.7, topP: 0.9, seed: 7 } }],
    ['a low temperature', { prompt: repeated, maxTokens: 100, sampling: { temperature: 0.1, seed: 8 } }],
    [
      'penalties',
      {
        prompt: repeated,
        maxTokens: 60,
        sampling: { repetitionPenalty: 1.1, frequencyPenalty: 0.2, presencePenalty: 0.1 },
      },
    ],
    ['log-probabilities', { prompt: repeated, maxTokens: 30, logprobs: 3 }],
  ];
  it.each(cases)('gives the ids of plain decoding: %s', async (_, overrides) => {
    const expected = await plain.run(overrides);
    const { ids, tokens, finish } = await drafting.run(overrides);
    expect(ids).toEqual(expected.ids);
    expect(finish.reason).toBe(expected.finish.reason);
    for (const [index, token] of tokens.entries()) {
      expect(token.top?.map(({ id }) => id)).toEqual(expected.tokens[index]?.top?.map(({ id }) => id));
      if (token.logprob !== undefined) expect(token.logprob).toBeCloseTo(expected.tokens[index]?.logprob ?? 0, 3);
    }
  });

  it('gives the ids of plain decoding: random requests, with end ids in drafts', async () => {
    const sampling = fc.record({
      temperature: fc.constantFrom(0, 0, 0.3, 1),
      topP: fc.constantFrom(1, 0.9),
      seed: fc.integer({ min: 0, max: 2 ** 31 }),
    }) satisfies fc.Arbitrary<Partial<Sampling>>;
    const overrides = fc.record({
      prompt: fc
        .array(fc.array(fc.integer({ min: 3, max: 60 }), { minLength: 1, maxLength: 8 }), {
          minLength: 1,
          maxLength: 4,
        })
        .map((parts) => [...parts, ...parts, ...parts].flat()),
      maxTokens: fc.integer({ min: 1, max: 50 }),
      minTokens: fc.constantFrom(0, 1),
      endIds: fc.constantFrom([], [5, 17, 23, 42]),
      sampling,
    });
    await fc.assert(
      fc.asyncProperty(overrides, async (each) => {
        const expected = await plain.run(each);
        const outcome = await drafting.run(each);
        expect(outcome.ids).toEqual(expected.ids);
        expect(outcome.finish.reason).toBe(expected.finish.reason);
      }),
      { numRuns: sampleSize(60, 10) },
    );
  });

  it('reports drafted and accepted ids, and generates several tokens in one step', async () => {
    const { finish } = await drafting.run({ prompt: repeated, maxTokens: 60 });
    expect(finish.drafted).toBeGreaterThan(0);
    expect(finish.accepted).toBeGreaterThan(0);
    expect(finish.accepted).toBeLessThanOrEqual(finish.drafted);
    const most = Math.max(...drafting.reports.flatMap(({ sequences }) => sequences.map(({ tokens }) => tokens.length)));
    expect(most).toBeGreaterThan(1);
    expect((await plain.run({ prompt: repeated, maxTokens: 60 })).finish).toMatchObject({ drafted: 0, accepted: 0 });
  });

  it('leaves a slot that the next turn of a conversation can use', async () => {
    const { ids } = await drafting.run({ prompt: repeated, maxTokens: 40 });
    const next = { prompt: [...repeated, ...ids, 30, 31], maxTokens: 20 };
    const again = await drafting.run(next);
    expect(again.finish.cachedTokens).toBe(repeated.length + ids.length - 1);
    expect(again.ids).toEqual((await plain.run(next)).ids);
  });

  it('gives the ids of plain decoding if the chunks of prompts are shorter than a draft', async () => {
    const narrow = new Bench({ slots: 1, context: 512, prefillChunk: 2, speculation: 'on' });
    const { ids, finish } = await narrow.run({ prompt: repeated, maxTokens: 60 });
    expect(finish.accepted).toBeGreaterThan(0);
    expect(ids).toEqual((await plain.run({ prompt: repeated, maxTokens: 60 })).ids);
    narrow.engine.close();
  });

  it('stops when another sequence starts', async () => {
    const two = new Bench({ slots: 2, context: 512, speculation: 'on' });
    const [a, b] = await Promise.all([
      two.run({ prompt: repeated, maxTokens: 80 }),
      two.run({ prompt: prompt(20, 9), maxTokens: 80 }),
    ]);
    expect(a.ids).toEqual((await plain.run({ prompt: repeated, maxTokens: 80 })).ids);
    expect(b.ids).toEqual((await plain.run({ prompt: prompt(20, 9), maxTokens: 80 })).ids);
    const together = two.reports.filter(({ batch }) => batch === 2).flatMap(({ sequences }) => sequences);
    expect(Math.max(...together.map(({ tokens }) => tokens.length))).toBe(1);
    two.engine.close();
  });
});

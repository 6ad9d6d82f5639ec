/** Sequences that continue the output of an earlier one, on the embedded model, which computes with floats. */
import { afterAll, describe, expect, it } from 'vitest';
import type { SequenceRequest } from '../../src/protocol/messages.ts';
import type { Sampling } from '../../src/protocol/sampling.ts';
import { choice, END, haikuVocabulary, idsFrom, literal, numbers, person, textOf } from './grammars.ts';
import { Bench, equalCosts, type Outcome, prompt, request } from './harness.ts';

const plain = new Bench({ slots: 4 });
const drafting = new Bench({ slots: 1, speculation: 'on' });
for (const { engine } of [plain, drafting]) engine.setVocabulary(haikuVocabulary);
afterAll(() => {
  for (const { engine } of [plain, drafting]) engine.close();
});

type Rules = Partial<Omit<SequenceRequest, 'sampling'>> & { readonly sampling?: Partial<Sampling> };

const SEEDED: Partial<Sampling> = { temperature: 1, topP: 0.95, topK: 40, seed: 7 };

/** Rules of the draw; each of them depends on the ids before. */
const RULES: Readonly<Record<string, Rules>> = {
  greedy: {},
  seeded: { sampling: SEEDED },
  'min-p': { sampling: { temperature: 1.2, minP: 0.05, seed: 99 } },
  penalties: { sampling: { ...SEEDED, repetitionPenalty: 1.3, frequencyPenalty: 0.7, presencePenalty: 0.4 } },
  'greedy with penalties': { sampling: { repetitionPenalty: 1.2, frequencyPenalty: 1, presencePenalty: 0.5 } },
  'a logit bias': { logitBias: [[17, 3]], sampling: SEEDED },
  'a minimum length': { minTokens: 20, endIds: [END], sampling: SEEDED },
  'end ids': { endIds: [END, ...idsFrom(' s')], sampling: SEEDED },
  'log-probabilities': { logprobs: 3, sampling: SEEDED },
  'a record': { grammar: person, maxTokens: 40, endIds: [END], sampling: { temperature: 1, seed: 3 } },
  'an array': { grammar: numbers, maxTokens: 30, endIds: [END], sampling: { temperature: 1, seed: 5 } },
  'an array, and penalties': {
    grammar: numbers,
    maxTokens: 30,
    sampling: { temperature: 1, seed: 5, frequencyPenalty: 1 },
  },
  'fixed texts': { grammar: choice('the old pond', 'the old frog'), maxTokens: 20 },
};

/** The rest of an output after its first `cut` ids. */
const rest = ({ tokens, finish }: Outcome, cut: number) => ({
  ids: tokens.slice(cut).map(({ id }) => id),
  reason: finish.reason,
  incomplete: 'incomplete' in finish,
});

describe('a continued sequence', () => {
  it.each(Object.entries(RULES))('ends like the undisturbed one, cut at every position: %s', async (_, rules) => {
    const asked = { prompt: prompt(20, 4), maxTokens: 32, ...rules };
    const whole = await plain.run(asked);
    expect(whole.ids.length).toBeGreaterThan(2);
    for (let cut = 1; cut <= whole.ids.length; cut += 1) {
      const continued = whole.ids.slice(0, cut);
      const outcome = await plain.run({ ...asked, continued });
      expect({ cut, ...rest(outcome, 0) }).toEqual({ cut, ...rest(whole, cut) });
    }
  });

  it('has the log-probabilities of the undisturbed one', async () => {
    const asked = { prompt: prompt(20, 5), maxTokens: 24, logprobs: 4, sampling: SEEDED };
    const whole = await plain.run(asked);
    for (let cut = 1; cut < whole.ids.length; cut += 1) {
      const { tokens } = await plain.run({ ...asked, continued: whole.ids.slice(0, cut) });
      for (const [index, { logprob, top }] of tokens.entries()) {
        const expected = whole.tokens[cut + index];
        expect(logprob).toBeCloseTo(expected?.logprob ?? Number.NaN, 4);
        expect(top?.map(({ id }) => id)).toEqual(expected?.top?.map(({ id }) => id));
      }
    }
  });

  it('draws as before while other sequences run, and in chunks', async () => {
    const small = new Bench({ slots: 4, prefillChunk: 16 });
    const asked = { prompt: prompt(100, 6), maxTokens: 48, sampling: SEEDED };
    const whole = await plain.run(asked);
    const beside = [1, 2, 3].map((salt) => small.run({ prompt: prompt(30, salt), maxTokens: 150 }));
    for (const cut of [1, 17, 40]) {
      const { ids, notes } = await small.run({ ...asked, continued: whole.ids.slice(0, cut) });
      expect(ids).toEqual(whole.ids.slice(cut));
      const prefill = notes.filter(({ note }) => note === 'prefill');
      for (const note of prefill) expect(note).toMatchObject({ total: 100 + cut });
    }
    await Promise.all(beside);
    small.engine.close();
  });

  it('does not score its prompt again', async () => {
    const asked = { prompt: prompt(12, 7), maxTokens: 8, promptLogprobs: 2 };
    const whole = await plain.run(asked);
    const reported = plain.reports.length;
    const { ids } = await plain.run({ ...asked, continued: whole.ids.slice(0, 3) });
    expect(ids).toEqual(whole.ids.slice(3));
    expect(plain.reports.slice(reported).some(({ sequences }) => sequences.some((one) => one.promptScores))).toBe(
      false,
    );
  });

  it('ends at once if the output is complete', async () => {
    const limited = await plain.run({ maxTokens: 3, continued: [9, 8, 7] });
    expect(limited).toMatchObject({ ids: [], finish: { reason: 'max_tokens' } });
    const asked = { grammar: literal('the pond'), maxTokens: 20 };
    const whole = await plain.run(asked);
    const matched = await plain.run({ ...asked, continued: whole.ids });
    expect(matched).toMatchObject({ ids: [], finish: { reason: 'eos', forced: 0 } });
  });

  it('counts the forced tokens of its own', async () => {
    const asked = { grammar: literal('the old pond'), maxTokens: 20 };
    const whole = await plain.run(asked);
    const { finish } = await plain.run({ ...asked, continued: whole.ids.slice(0, 2) });
    expect(finish.forced).toBe(whole.ids.length - 2);
  });

  it('that its grammar does not allow fails, and nothing else does', async () => {
    const beside = plain.run({ maxTokens: 60 });
    const grammar = literal('the pond');
    const { finish } = await plain.run({ grammar, maxTokens: 20, continued: idsFrom('f').slice(0, 1) });
    expect(finish).toMatchObject({
      reason: 'not_continuable',
      message: expect.stringMatching(/grammar does not allow/),
    });
    expect((await beside).ids).toHaveLength(60);
    expect(textOf((await plain.run({ grammar, maxTokens: 20 })).ids)).toBe('the pond');
  });

  it.each([
    [{ maxTokens: 2, continued: [1, 2, 3] }, /continued must have at most maxTokens \(2\) ids, not 3/],
    [{ continued: [4, 1_000_000] }, /continued has an id outside the vocabulary of \d+: 1000000/],
    [{ continued: [4, -1] }, /continued has an id outside the vocabulary of \d+: -1/],
    [{ continued: [4, 5], endIds: [5] }, /continued has an end id: 5/],
  ])('with invalid ids fails: %o', async (asked, message) => {
    const { finish } = await plain.run(asked);
    expect(finish).toMatchObject({ reason: 'failed', message: expect.stringMatching(message) });
  });

  it('can be cancelled, and gives back its slot', async () => {
    const asked = request({ maxTokens: 200, continued: [5, 6, 7] });
    const outcome = plain.submit(asked);
    await plain.afterTokens(asked.id, 4);
    plain.engine.cancel(asked.id);
    expect((await outcome).finish.reason).toBe('cancelled');
    expect(plain.engine.cache.free).toBe(4);
  });
});

describe('a continued sequence with drafts', () => {
  equalCosts();

  it('ends like the undisturbed one', async () => {
    const asked = { prompt: [0, ...Array.from({ length: 30 }, (_, index) => 20 + (index % 5))], maxTokens: 40 };
    const whole = await drafting.run(asked);
    expect(whole.finish.drafted).toBeGreaterThan(0);
    for (const cut of [1, 2, 10, 25, 39]) {
      const { ids } = await drafting.run({ ...asked, continued: whole.ids.slice(0, cut) });
      expect(ids).toEqual(whole.ids.slice(cut));
    }
  });
});

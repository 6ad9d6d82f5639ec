/** Sequences with a grammar on the embedded model. */
import { afterAll, describe, expect, it } from 'vitest';
import { packProgram } from '../../src/grammar/packed-program.ts';
import type { SequenceGrammar, SequenceRequest } from '../../src/protocol/messages.ts';
import type { Sampling } from '../../src/protocol/sampling.ts';
import {
  choice,
  END,
  grammarOf,
  haikuVocabulary,
  idsFrom,
  literal,
  NUMBERS,
  numbers,
  PERSON,
  person,
  textOf,
} from './grammars.ts';
import { Bench, equalCosts, logitsOf, openSession, prompt, request } from './harness.ts';

const session = openSession();
const plain = new Bench({ slots: 4, speculation: 'off' });
const drafting = new Bench({ slots: 4, speculation: 'on' });
for (const { engine } of [plain, drafting]) engine.setVocabulary(haikuVocabulary);
afterAll(() => {
  session.close();
  for (const { engine } of [plain, drafting]) engine.close();
});

const seeds = [1, 2, 3, 4, 5];
const drawn = (seed: number): Partial<Sampling> => ({ temperature: 1, seed });
/** The output of a grammar, drawn with temperature 1. */
const outputs = async (grammar: SequenceGrammar, more: Partial<Omit<SequenceRequest, 'sampling'>> = {}) =>
  Promise.all(
    seeds.map((seed) =>
      plain.run({ grammar, maxTokens: 100, prompt: prompt(12, seed), ...more, sampling: drawn(seed) }),
    ),
  );

describe('an output with a grammar', () => {
  it.each([
    ['a record', person, PERSON],
    ['an array', numbers, NUMBERS],
  ])('matches, and ends as soon as it is complete: %s', async (_, grammar, expression) => {
    for (const endIds of [[END], []])
      for (const { ids, finish } of await outputs(grammar, { endIds })) {
        expect(textOf(ids)).toMatch(expression);
        expect(finish).toMatchObject({ reason: 'eos' });
        expect(finish).not.toHaveProperty('incomplete');
      }
  });

  it('counts the tokens without a choice: all tokens of one text, and not all of a record', async () => {
    const one = await plain.run({ grammar: literal('{"frog":true}'), maxTokens: 40 });
    expect(textOf(one.ids)).toBe('{"frog":true}');
    expect(one.finish.forced).toBe(one.ids.length);
    const other = await plain.run({ grammar: person, maxTokens: 40 });
    expect(other.finish.forced).toBeGreaterThan(0);
    expect(other.finish.forced).toBeLessThan(other.ids.length);
    expect((await plain.run()).finish).not.toHaveProperty('forced');
  });

  it('ends with `eos` at its last allowed token, and is incomplete with fewer', async () => {
    const grammar = literal('{"frog":true}');
    const { ids } = await plain.run({ grammar, maxTokens: 40 });
    const exact = await plain.run({ grammar, maxTokens: ids.length });
    expect(exact.ids).toEqual(ids);
    expect(exact.finish.reason).toBe('eos');
    const short = await plain.run({ grammar, maxTokens: ids.length - 1 });
    expect(short.ids).toEqual(ids.slice(0, -1));
    expect(short.finish).toMatchObject({ reason: 'max_tokens', incomplete: true });
  });

  it('has no token if the grammar has the empty text only', async () => {
    const { ids, finish } = await plain.run({ grammar: literal(''), maxTokens: 4, minTokens: 2, endIds: [END] });
    expect(ids).toEqual([]);
    expect(finish).toMatchObject({ reason: 'eos', forced: 0 });
  });

  it('may end after a complete text only, by the choice of the model', async () => {
    const grammar = choice('a', 'a frog', 'a frog sat');
    const bias = (value: number) => ({ logitBias: [[END, value]] as const });
    for (const { ids, finish } of await outputs(grammar, { endIds: [END], ...bias(100) })) {
      expect(textOf(ids)).toBe('a');
      expect(finish.reason).toBe('eos');
    }
    for (const { ids } of await outputs(grammar, { endIds: [END], ...bias(-100) }))
      expect(textOf(ids)).toBe('a frog sat');
  });

  it('continues if it can, without end ids and below minTokens', async () => {
    const grammar = choice('a', 'a frog');
    for (const { ids, finish } of await outputs(grammar)) {
      expect(textOf(ids)).toBe('a frog');
      expect(finish.reason).toBe('eos');
    }
    for (const { ids } of await outputs(grammar, { endIds: [END], minTokens: 50 })) expect(textOf(ids)).toBe('a frog');
  });

  it('ends after a complete text if a longer one does not fit its limit of tokens', async () => {
    const grammar = choice('a', 'a frog sat on the stone and sang to the moon of the pond');
    for (const endIds of [[], [END]])
      for (const { ids, finish } of await outputs(grammar, { endIds, maxTokens: 4, minTokens: 3 })) {
        expect(textOf(ids)).toBe('a');
        expect(finish.reason).toBe('eos');
      }
  });

  it('ends below minTokens if only an end id can follow: a token of the grammar that is one', async () => {
    const grammar = grammarOf((builder) => {
      const items = [builder.add({ kind: 'literal', text: 'a' }), builder.add({ kind: 'token', id: END })];
      const whole = builder.add({ kind: 'sequence', items });
      return builder.add({ kind: 'choice', items: [items[0] ?? 0, whole] });
    });
    for (const minTokens of [0, 4]) {
      const { ids, finish } = await plain.run({ grammar, endIds: [END], minTokens, maxTokens: 8 });
      expect(textOf(ids)).toBe('a');
      expect(finish.reason).toBe('eos');
    }
  });

  it('ends after a complete text if no end id has a logit', async () => {
    const grammar = choice('a', 'a frog sat on the stone and sang to the moon of the pond');
    const { ids, finish } = await plain.run({ grammar, endIds: [1 << 20], maxTokens: 4 });
    expect(textOf(ids)).toBe('a');
    expect(finish.reason).toBe('eos');
  });

  it('follows the logit bias among the allowed ids', async () => {
    const against = (letter: string) => idsFrom(letter).map((id) => [id, -100] as const);
    const grammar = choice('Ann', 'Bob');
    for (const { ids } of await outputs(grammar, { logitBias: against('A') })) expect(textOf(ids)).toBe('Bob');
    for (const { ids } of await outputs(grammar, { logitBias: against('B') })) expect(textOf(ids)).toBe('Ann');
  });

  it('reports the log-probabilities of the model, not those of the grammar', async () => {
    const start = prompt(9, 3);
    const { tokens, ids } = await plain.run({ prompt: start, grammar: person, maxTokens: 60, logprobs: 2 });
    expect(ids.length).toBeGreaterThan(5);
    for (const [index, { id, logprob, top }] of tokens.entries()) {
      const logits = logitsOf(session, [...start, ...ids.slice(0, index)]);
      const most = Math.max(...logits);
      const sum = most + Math.log(logits.reduce((total, logit) => total + Math.exp(logit - most), 0));
      expect(logprob).toBeCloseTo((logits[id] ?? 0) - sum, 3);
      expect(top?.[0]?.logprob).toBeCloseTo(most - sum, 3);
    }
  });

  it('is incomplete if it is cancelled', async () => {
    const asked = request({ grammar: literal('x'.repeat(200)), maxTokens: 220 });
    const outcome = plain.submit(asked);
    await plain.afterTokens(asked.id, 2);
    plain.engine.cancel(asked.id);
    expect((await outcome).finish).toMatchObject({ reason: 'cancelled', incomplete: true });
  });

  it('continues after a pause', async () => {
    const expected = await plain.run({ grammar: person, maxTokens: 60, sampling: drawn(8) });
    const asked = request({ grammar: person, maxTokens: 60, sampling: drawn(8) });
    const outcome = plain.submit(asked);
    await plain.afterTokens(asked.id, 2);
    plain.engine.pause(asked.id, true);
    expect(textOf((await plain.run({ grammar: numbers, maxTokens: 60 })).ids)).toMatch(NUMBERS);
    plain.engine.pause(asked.id, false);
    expect((await outcome).ids).toEqual(expected.ids);
  });
});

describe('several sequences with a grammar', () => {
  it('in one batch get the ids that each gets alone', async () => {
    const grammars = [person, numbers, choice('Ann', 'Bob'), undefined];
    const asked = grammars.map((grammar, index) => ({
      prompt: prompt(10, index),
      maxTokens: 40,
      ...(grammar && { grammar }),
      sampling: drawn(index),
    }));
    const alone = [];
    for (const each of asked) alone.push(await plain.run(each));
    const from = plain.reports.length;
    const together = await Promise.all(asked.map((each) => plain.run(each)));
    expect(together.map(({ ids }) => ids)).toEqual(alone.map(({ ids }) => ids));
    expect(together.map(({ finish }) => finish.forced)).toEqual(alone.map(({ finish }) => finish.forced));
    expect(Math.max(...plain.reports.slice(from).map(({ batch }) => batch))).toBe(4);
  });
});

describe('drafts with a grammar', () => {
  equalCosts();
  const cases: [string, Partial<Omit<SequenceRequest, 'sampling'>> & { sampling?: Partial<Sampling> }][] = [
    ['greedy', { grammar: person }],
    ['an array', { grammar: numbers, endIds: [END] }],
    ['a prompt that repeats itself', { grammar: person, prompt: [...prompt(12), ...prompt(12), ...prompt(12)] }],
    ['penalties', { grammar: person, sampling: { temperature: 0.8, repetitionPenalty: 1.3, presencePenalty: 0.5 } }],
    ['an end by choice', { grammar: choice('a', 'a frog', 'a frog sat'), endIds: [END] }],
    ['a limit of tokens', { grammar: person, maxTokens: 9 }],
    ...[5, 6, 8, 10].map((maxTokens): [string, object] => [
      `an array that has to end, ${maxTokens} tokens`,
      { grammar: numbers, maxTokens, sampling: drawn(maxTokens) },
    ]),
    ['log-probabilities', { grammar: person, logprobs: 1 }],
    ['a long text', { grammar: literal('{"one":1,"two":2,"three":3,"four":4,"five":5,"six":6}') }],
    ...seeds.map((seed): [string, object] => [`seed ${seed}`, { grammar: person, sampling: drawn(seed) }]),
  ];
  it.each(cases)('give the output of plain decoding: %s', async (_, asked) => {
    const expected = await plain.run({ maxTokens: 80, ...asked });
    const { ids, tokens, finish } = await drafting.run({ maxTokens: 80, ...asked });
    expect(ids).toEqual(expected.ids);
    const { reason, forced, incomplete } = expected.finish as typeof finish;
    expect(finish).toMatchObject({ reason, forced, ...(incomplete && { incomplete }) });
    for (const [index, { logprob }] of tokens.entries())
      if (logprob !== undefined) expect(logprob).toBeCloseTo(expected.tokens[index]?.logprob ?? 0, 3);
  });

  it('are the forced ids, which need fewer steps and do not count as drafted', async () => {
    const grammar = literal('{"one":1,"two":2,"three":3,"four":4,"five":5,"six":6}');
    await drafting.run({ prompt: prompt(40, 2), maxTokens: 2 });
    const from = drafting.reports.length;
    const { ids, finish } = await drafting.run({ grammar, maxTokens: 100 });
    const steps = drafting.reports
      .slice(from)
      .filter(({ sequences }) => sequences.some(({ tokens }) => tokens.length > 0));
    expect(steps.length).toBeLessThan(ids.length / 2);
    expect(finish).toMatchObject({ drafted: 0, accepted: 0, forced: ids.length });
  });

  it('leave a slot that the next turn can use', async () => {
    const first = await drafting.run({ prompt: prompt(20, 6), grammar: person, maxTokens: 60 });
    const next = { prompt: [...prompt(20, 6), ...first.ids, 30, 31], maxTokens: 12 };
    const again = await drafting.run(next);
    expect(again.finish.cachedTokens).toBeGreaterThanOrEqual(20 + first.ids.length - 1);
    expect(again.ids).toEqual((await plain.run(next)).ids);
  });
});

describe('a grammar that cannot be used', () => {
  it('fails its sequence without a vocabulary, and no other', async () => {
    const bare = new Bench({ slots: 1 });
    const { finish } = await bare.run({ grammar: person });
    expect(finish).toMatchObject({ reason: 'failed', message: expect.stringContaining('before the vocabulary') });
    expect((await bare.run()).finish.reason).toBe('max_tokens');
    bare.engine.close();
  });

  it.each([
    ['a root', { nodes: [], root: 0 }, 'no node 0'],
    ['a child', { nodes: [{ kind: 'sequence', items: [7] }], root: 0 }, 'no node 7'],
    ['a token', { nodes: [{ kind: 'token', id: 1 << 20 }], root: 0 }, 'outside the vocabulary'],
  ] as const)('fails its sequence if %s does not exist', async (_, program, message) => {
    const { finish } = await plain.run({ grammar: { key: message, program: packProgram(program) } });
    expect(finish).toMatchObject({ reason: 'failed', message: expect.stringContaining(message) });
  });

  it('fails its sequence if the only allowed id is an end id', async () => {
    const [id = 0] = idsFrom('{').filter((one) => textOf([one]) === '{');
    const grammar = grammarOf((builder) => builder.add({ kind: 'literal', text: '{' }));
    const { finish } = await plain.run({ grammar, endIds: [id] });
    expect(finish).toMatchObject({
      reason: 'failed',
      message: expect.stringContaining('no id that the grammar allows'),
    });
  });
});

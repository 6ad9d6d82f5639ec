/** Masks of grammars in the sampler, compared with logits that are excluded one by one. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Constraint } from '../../../src/engine/sampling/constraint.ts';
import { Random } from '../../../src/engine/sampling/random.ts';
import { Sampler } from '../../../src/engine/sampling/sampler.ts';
import { Sequence } from '../../../src/engine/sequence.ts';
import { Grammar } from '../../../src/grammar/matching/grammar.ts';
import { Vocabulary } from '../../../src/grammar/matching/vocabulary.ts';
import { unpackProgram } from '../../../src/grammar/packed-program.ts';
import { choice, vocabularyOf } from '../grammars.ts';
import { request } from '../harness.ts';

/** Neither a multiple of 32 nor of 64. */
const VOCAB = 333;
const ENDS = [7, 64, 332];
const sampler = new Sampler(VOCAB);
/** The text of an id is one character, so a choice of texts allows exactly the ids of their first characters. */
const FIRST = 0x4e00;
const charOf = (id: number): string => String.fromCodePoint(FIRST + id);
const vocabulary = new Vocabulary(vocabularyOf(VOCAB, (id) => Buffer.from(charOf(id))));

/** A sequence whose grammar allows these ids, and an end if `complete`. */
function constrained(ids: readonly number[], complete: boolean, asked: Parameters<typeof request>[0] = {}): Sequence {
  const texts = ids.map((id) => charOf(id));
  const { program } = choice(...texts, ...(complete ? [''] : []));
  return new Sequence(
    request(asked),
    0,
    new Constraint(new Grammar(unpackProgram(program), vocabulary), 8, () => undefined),
  );
}

const logits = fc
  .array(fc.integer({ min: -60, max: 60 }), { minLength: VOCAB, maxLength: VOCAB })
  .map((tenths) => Float32Array.from(tenths, (tenth) => tenth / 10));
const asked = fc.record({
  sampling: fc.record({
    temperature: fc.constantFrom(0, 0.7, 1),
    topK: fc.constantFrom(0, 3, 40),
    topP: fc.constantFrom(1, 0.8),
    minP: fc.constantFrom(0, 0.1),
    presencePenalty: fc.constantFrom(0, 1),
    seed: fc.nat(),
  }),
  endIds: fc.constantFrom([], ENDS),
  minTokens: fc.constantFrom(0, 1),
  logitBias: fc.constantFrom([], [[3, 50] as const, [64, -20] as const]),
});
const allowed = fc.oneof(
  fc.uniqueArray(fc.nat(VOCAB - 1), { minLength: 1, maxLength: 5 }),
  fc.uniqueArray(fc.nat(VOCAB - 1), { minLength: 60, maxLength: VOCAB }),
);

describe('a mask', () => {
  it('draws the id that is drawn if all other logits are -Infinity', () => {
    fc.assert(
      fc.property(logits, allowed, fc.boolean(), asked, (row, ids, complete, settings) => {
        const sequence = constrained(ids, complete, settings);
        const mayEnd = complete && settings.minTokens === 0;
        const isAllowed = (id: number): boolean => (settings.endIds.includes(id) ? mayEnd : ids.includes(id));
        const possible = row.map((logit, id) => (isAllowed(id) ? logit : Number.NEGATIVE_INFINITY));
        fc.pre(possible.some((logit) => logit > Number.NEGATIVE_INFINITY));
        const plain = new Sequence(request({ ...settings, minTokens: 0 }), 0);
        expect(sampler.sample(row, sequence).id).toBe(sampler.sample(possible, plain).id);
      }),
      { numRuns: 400 },
    );
  });

  it('takes one random number for each token, also for a token without a choice', () => {
    for (const ids of [[5], [5, 9], Array.from({ length: 200 }, (_, id) => id)]) {
      const sequence = constrained(ids, false, { sampling: { temperature: 1, seed: 3 } });
      const beside = Random.seeded(3);
      sampler.sample(new Float32Array(VOCAB), sequence);
      beside.uniform();
      expect(sequence.random.uniform()).toBe(beside.uniform());
    }
  });

  it('does not change the reported log-probabilities', () => {
    const row = Float32Array.from({ length: VOCAB }, (_, id) => Math.sin(id));
    const free = sampler.sample(row, new Sequence(request({ logprobs: 4 }), 0));
    for (const ids of [[5], [5, 9]]) {
      const { id, logprob, top } = sampler.sample(row, constrained(ids, false, { logprobs: 4 }));
      expect(ids).toContain(id);
      expect(top).toEqual(free.top);
      const sum = Math.log(row.reduce((total, logit) => total + Math.exp(logit), 0));
      expect(logprob).toBeCloseTo((row[id] ?? 0) - sum, 4);
    }
  });
});

describe('logits without an id that the grammar allows', () => {
  const row = (value: number): Float32Array => new Float32Array(VOCAB).fill(1).fill(value, 5, 10);
  it.each([
    ['one id', [5]],
    ['a few ids', [5, 6]],
  ])('throw an error about the grammar: %s', (_, ids) => {
    expect(() => sampler.sample(row(Number.NEGATIVE_INFINITY), constrained(ids, false))).toThrow(
      'no id that the grammar allows can be drawn',
    );
    expect(() => sampler.sample(row(Number.NaN), constrained(ids, false))).toThrow('the logit of id 5 is NaN');
  });

  it('do not matter for the ids that it does not allow', () => {
    expect(sampler.sample(row(Number.NaN), constrained([20], false)).id).toBe(20);
    expect(sampler.sample(row(Number.NaN), constrained([20, 21], false)).id).toBe(20);
    const many = Array.from({ length: 200 }, (_, id) => id + 100);
    expect(sampler.sample(row(Number.NaN), constrained(many, false)).id).toBe(100);
  });
});

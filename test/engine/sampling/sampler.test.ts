import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Random } from '../../../src/engine/sampling/random.ts';
import { type SampledSequence, Sampler } from '../../../src/engine/sampling/sampler.ts';
import { Sequence } from '../../../src/engine/sequence.ts';
import type { Sampling } from '../../../src/protocol/sampling.ts';
import { request } from '../harness.ts';

const VOCAB = 48;

/** Logits between -6 and 6, some of them equal. */
const logitsArbitrary = fc
  .array(fc.integer({ min: -60, max: 60 }), { minLength: VOCAB, maxLength: VOCAB })
  .map((tenths) => Float32Array.from(tenths, (tenth) => tenth / 10));

function sequence(
  sampling: Partial<Sampling>,
  more: Parameters<typeof request>[0] = {},
  output: number[] = [],
): Sequence {
  const made = new Sequence(request({ maxTokens: 100, sampling: { temperature: 1, ...sampling }, ...more }), 0);
  for (const id of output) made.accept({ id }, 0);
  return made;
}

/** The filters in plain JavaScript with sorting: id → probability. */
function exact(logits: Float32Array, { temperature, topK, topP, minP }: Sampling): Map<number, number> {
  const most = Math.max(...logits);
  let left = Array.from(logits, (logit, id) => ({ id, weight: Math.exp((logit - most) / temperature), logit }));
  left.sort((a, b) => b.logit - a.logit || a.id - b.id);
  if (topK > 0) left = left.slice(0, topK);
  const total = left.reduce((sum, { weight }) => sum + weight, 0);
  let reached = 0;
  left = left.filter(({ weight }, index) => {
    const wanted = topP >= 1 || index === 0 || reached < topP * total - 1e-12;
    reached += weight;
    return wanted;
  });
  left = left.filter(({ weight }) => weight >= minP * left[0]!.weight);
  const kept = left.reduce((sum, { weight }) => sum + weight, 0);
  return new Map(left.map(({ id, weight }) => [id, weight / kept]));
}

/** Relative frequencies of many draws. */
function frequencies(
  sampler: Sampler,
  logits: Float32Array,
  drawing: SampledSequence,
  draws: number,
): Map<number, number> {
  const counts = new Map<number, number>();
  for (let draw = 0; draw < draws; draw++) {
    const { id } = sampler.sample(logits, drawing);
    counts.set(id, (counts.get(id) ?? 0) + 1 / draws);
  }
  return counts;
}

const sampler = new Sampler(VOCAB);
const ramp = Float32Array.from({ length: VOCAB }, (_, id) => Math.sin(id * 1.7) * 3);

describe('the draw', () => {
  const settings: [string, Partial<Sampling>][] = [
    ['no filter', {}],
    ['temperature 0.5', { temperature: 0.5 }],
    ['temperature 2', { temperature: 2 }],
    ['top-k', { topK: 5 }],
    ['top-p', { topP: 0.7 }],
    ['min-p', { minP: 0.2 }],
    ['all of them', { temperature: 0.8, topK: 12, topP: 0.9, minP: 0.05 }],
  ];

  it.each(settings)('follows the exact distribution: %s', (_, setting) => {
    const drawing = sequence({ seed: 7, ...setting });
    const wanted = exact(ramp, drawing.request.sampling);
    const draws = 40_000;
    const seen = frequencies(sampler, ramp, drawing, draws);
    expect([...seen.keys()].filter((id) => !wanted.has(id))).toEqual([]);
    let chiSquare = 0;
    for (const [id, probability] of wanted)
      chiSquare += (((seen.get(id) ?? 0) - probability) ** 2 / probability) * draws;
    // Mean + 5 standard deviations of the statistic; the seed is fixed.
    const freedom = Math.max(1, wanted.size - 1);
    expect(chiSquare).toBeLessThan(freedom + 5 * Math.sqrt(2 * freedom));
  });

  it.each(settings.slice(1))('follows another distribution without the parameter: %s', (_, setting) => {
    const drawing = sequence({ seed: 7, ...setting });
    const plain = exact(ramp, { ...drawing.request.sampling, temperature: 1, topK: 0, topP: 1, minP: 0 });
    const seen = frequencies(sampler, ramp, drawing, 5000);
    const distance = [...plain].reduce(
      (sum, [id, probability]) => sum + Math.abs(probability - (seen.get(id) ?? 0)),
      0,
    );
    expect(distance).toBeGreaterThan(0.1);
  });

  it('keeps exactly the ids that sorting keeps', () => {
    fc.assert(
      fc.property(
        logitsArbitrary,
        fc.record({
          temperature: fc.constantFrom(0.05, 0.3, 0.7, 1, 1.5),
          topK: fc.integer({ min: 0, max: 20 }),
          topP: fc.constantFrom(0, 0.1, 0.5, 0.9, 0.99, 1),
          minP: fc.constantFrom(0, 0.01, 0.1, 0.5),
        }),
        (logits, setting) => {
          const drawing = sequence(setting);
          const wanted = exact(logits, drawing.request.sampling);
          let cumulative = 0;
          for (const [id, probability] of [...wanted].sort(([a], [b]) => a - b)) {
            if (probability > 1e-9) {
              const fixed = { ...drawing, request: drawing.request, random: fixedAt(cumulative + probability / 2) };
              expect(sampler.sample(logits, { ...fixed, ...rest(drawing) }).id).toBe(id);
            }
            cumulative += probability;
          }
        },
      ),
      { seed: 1, numRuns: 300 },
    );
  });

  it('takes the likeliest id with top-k 1, top-p 0, min-p 1 or a tiny temperature', () => {
    const likeliest = ramp.indexOf(Math.max(...ramp));
    for (const setting of [{ topK: 1 }, { topP: 0 }, { minP: 1 }, { temperature: 1e-6 }, { temperature: 5e-324 }])
      expect(frequencies(sampler, ramp, sequence(setting), 50)).toEqual(new Map([[likeliest, expect.closeTo(1)]]));
  });

  it('repeats with the same seed and differs with another seed', () => {
    const draw = (seed: number): number[] => {
      const drawing = sequence({ seed });
      return Array.from({ length: 30 }, () => sampler.sample(ramp, drawing).id);
    };
    expect(draw(5)).toEqual(draw(5));
    expect(draw(5)).not.toEqual(draw(6));
    expect(draw(2 ** 53 - 1)).not.toEqual(draw(2 ** 52 - 1));
  });

  it('takes one number of the generator per token', () => {
    for (const temperature of [0, 1]) {
      const drawing = sequence({ temperature, topK: 3, topP: 0.9, seed: 3 });
      const beside = Random.seeded(3);
      sampler.sample(ramp, drawing);
      beside.uniform();
      expect(drawing.random.uniform()).toBe(beside.uniform());
    }
  });
});

describe('logits without an id to draw', () => {
  it.each([
    ['NaN', [1, Number.NaN, 2]],
    ['NaN first', [Number.NaN, 1, 2]],
    ['Infinity', [1, Number.POSITIVE_INFINITY, 2]],
    ['-Infinity', Array(3).fill(Number.NEGATIVE_INFINITY)],
  ])('throw an error that names the logit: %s', (name, values) => {
    for (const temperature of [0, 1]) {
      const small = new Sampler(3);
      const reason = new RegExp(`^use other weights \\(--dtype\\).*${name.split(' ')[0]}$`);
      const drawn = () => small.sample(Float32Array.from(values as number[]), sequence({ temperature }));
      expect(drawn).toThrow(reason);
      expect(drawn).toThrow(
        expect.objectContaining({
          messageOfOneDtype: expect.stringMatching(/^use another file of the model, or another --device: /),
        }),
      );
    }
  });

  it('are not those where at least one id is finite', () => {
    const half = ramp.map((logit, id) => (id % 2 ? Number.NEGATIVE_INFINITY : logit));
    const seen = frequencies(sampler, half, sequence({ temperature: 1.5, topP: 0.99 }), 2000);
    expect([...seen.keys()].filter((id) => id % 2)).toEqual([]);
  });
});

describe('penalties', () => {
  const logits = Float32Array.from({ length: VOCAB }, (_, id) => (id < 10 ? 1 - id / 10 : -1));
  const greedy = (sampling: Partial<Sampling>, prompt: number[], output: number[]): number =>
    sampler.sample(logits, sequence({ temperature: 0, ...sampling }, { prompt }, output)).id;

  it('divide a positive logit that occurred in prompt or output', () => {
    expect(greedy({ repetitionPenalty: 1.2 }, [20], [0])).toBe(1);
    expect(greedy({ repetitionPenalty: 1.2 }, [0, 0, 0], [])).toBe(1);
    expect(greedy({ repetitionPenalty: 1.05 }, [0, 0, 0], [0, 0])).toBe(0);
    expect(greedy({}, [0], [0])).toBe(0);
  });

  it('multiply a negative logit that occurred', () => {
    const negative = Float32Array.from([-1, -1.1, -3]);
    const drawing = sequence({ temperature: 0, repetitionPenalty: 1.2 }, { prompt: [0] });
    expect(new Sampler(3).sample(negative, drawing).id).toBe(1);
  });

  it('never make a finite logit infinite, and never hide an infinite logit', () => {
    const drawing = sequence({ temperature: 0, repetitionPenalty: 1e-300 }, { prompt: [0, 1] });
    expect(new Sampler(3).sample(Float32Array.from([1, 2, 3]), drawing).id).toBe(0);
    expect(() => new Sampler(3).sample(Float32Array.from([Number.POSITIVE_INFINITY, 2, 3]), drawing)).toThrow(
      'Infinity',
    );
  });

  it('for frequency count every occurrence in the output, and none in the prompt', () => {
    expect(greedy({ frequencyPenalty: 0.06 }, [20], [0])).toBe(0);
    expect(greedy({ frequencyPenalty: 0.06 }, [20], [0, 0])).toBe(1);
    expect(greedy({ frequencyPenalty: 2 }, [0, 0, 0], [])).toBe(0);
    expect(greedy({ frequencyPenalty: -1 }, [20], [5])).toBe(5);
  });

  it('for presence count an id of the output once, and no id of the prompt', () => {
    expect(greedy({ presencePenalty: 0.06 }, [20], [0, 0, 0])).toBe(0);
    expect(greedy({ presencePenalty: 0.15 }, [20], [0])).toBe(1);
    expect(greedy({ presencePenalty: 2 }, [0], [])).toBe(0);
  });

  it('apply before the temperature', () => {
    const drawing = sequence({ temperature: 2, presencePenalty: 1, seed: 4 }, {}, [3]);
    const changed = ramp.map((logit, id) => (id === 3 ? logit - 1 : logit));
    const wanted = exact(changed, drawing.request.sampling);
    expect(frequencies(sampler, ramp, drawing, 40_000).get(3)).toBeCloseTo(wanted.get(3)!, 2);
  });

  it('do not change the logits of the caller', () => {
    const copy = ramp.slice();
    sampler.sample(
      ramp,
      sequence({ repetitionPenalty: 2, presencePenalty: 1 }, { prompt: [1], minTokens: 9, endIds: [2] }),
    );
    expect(ramp).toEqual(copy);
  });

  it('keep the lowest id on a tie', () => {
    expect(new Sampler(4).sample(Float32Array.from([1, 3, 3, 2]), sequence({ temperature: 0 })).id).toBe(1);
  });
});

describe('log-probabilities', () => {
  it('are the log-softmax of the raw logits, best first', () => {
    const sum = Math.log(ramp.reduce((total, logit) => total + Math.exp(logit), 0));
    const drawing = sequence({ temperature: 0.5, topK: 3, presencePenalty: 3 }, { logprobs: 5, prompt: [1] }, [4]);
    const { id, logprob, top } = sampler.sample(ramp, drawing);
    expect(logprob).toBeCloseTo(ramp[id]! - sum, 5);
    const sorted = Array.from(ramp, (logit, index) => ({ id: index, logprob: logit - sum }))
      .sort((a, b) => b.logprob - a.logprob)
      .slice(0, 5);
    expect(top!.map((entry) => entry.id)).toEqual(sorted.map((entry) => entry.id));
    for (const [index, entry] of top!.entries()) expect(entry.logprob).toBeCloseTo(sorted[index]!.logprob, 5);
  });

  it('are absent unless they are requested', () => {
    expect(sampler.sample(ramp, sequence({}))).toEqual({ id: expect.any(Number) });
    expect(sampler.sample(ramp, sequence({}, { logprobs: 0 }))).toEqual({
      id: expect.any(Number),
      logprob: expect.any(Number),
      top: [],
    });
  });
});

/** A generator that always gives the same number. */
function fixedAt(uniform: number): Random {
  const random = new Random([1, 2, 3, 4]);
  random.uniform = () => uniform;
  return random;
}
const rest = ({ endIds, belowMinTokens, occurrences }: Sequence) => ({
  endIds,
  belowMinTokens: belowMinTokens,
  occurrences,
});

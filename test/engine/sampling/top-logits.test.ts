/** Draws from the best logits, compared with draws from all logits. */
import { describe, expect, it } from 'vitest';
import { Occurrences } from '../../../src/engine/sampling/penalties.ts';
import { Random } from '../../../src/engine/sampling/random.ts';
import { type SampledSequence, Sampler } from '../../../src/engine/sampling/sampler.ts';
import { drawsFromTop, type TopLogits } from '../../../src/engine/sampling/top-logits.ts';
import { NEUTRAL, type Sampling } from '../../../src/protocol/sampling.ts';

/** Rows of logits, and draws from each. */
const [ROWS, DRAWS] = [6000, 4];
const COUNT = 65;
const SIZES = [3, 20, 64, 65, 66, 100, 300, 1000, 4096, 50_000] as const;
const samplers = new Map(SIZES.map((size) => [size as number, new Sampler(size)]));
const samplerOf = (size: number): Sampler => samplers.get(size) ?? new Sampler(size);

/** Random inputs, always the same for a seed. */
class Inputs {
  readonly #random: Random;

  constructor(seed: number) {
    this.#random = Random.seeded(seed);
  }

  unit(): number {
    return this.#random.next() / 2 ** 32;
  }

  whole(below: number): number {
    return Math.floor(this.unit() * below);
  }

  one<T>(of: readonly T[]): T {
    return of[this.whole(of.length)] as T;
  }

  normal(): number {
    return Math.sqrt(-2 * Math.log(1 - this.unit())) * Math.cos(2 * Math.PI * this.unit());
  }
}

type Logit = (inputs: Inputs) => number;
const DISTRIBUTIONS: Readonly<Record<string, Logit>> = {
  normal: (inputs) => 3 * inputs.normal(),
  peaky: (inputs) => 2 * inputs.normal() + (inputs.unit() < 0.002 ? 8 + 4 * inputs.unit() : 0),
  // As in a language model: a few ids have most of the probability.
  tailed: (inputs) => 2 * inputs.normal() - 4 * Math.log(inputs.unit() + 1e-5),
  halves: (inputs) => Math.round(64 * (2 * inputs.normal() + 14)) / 64,
  'few values': (inputs) => Math.round(2 * inputs.normal()),
  equal: () => -1.5,
  zeros: (inputs) => inputs.one([0, -0, -0, 1e-30, -20]),
  'with -Infinity': (inputs) => (inputs.unit() < 0.5 ? Number.NEGATIVE_INFINITY : 3 * inputs.normal()),
};
/** The distributions of logits in models: a draw that the best logits cannot decide should be rare. */
const USUAL = ['peaky', 'tailed'];

/** The best logits in an order that a device could choose, and a sum with the rounding of a device. */
function topOf(logits: Float32Array, inputs: Inputs): TopLogits {
  const order = Array.from(logits.keys(), (id) => ({ id, logit: logits[id] ?? 0, among: inputs.unit() }));
  order.sort((a, b) => b.logit - a.logit || a.among - b.among);
  const best = order.slice(0, COUNT);
  // TopK of CUDA has taken numbers for equal that are 1e-5 apart.
  const last = order.find(({ logit }, index) => index >= COUNT && (best.at(-1)?.logit ?? 0) - logit < 1e-5);
  if (last && inputs.unit() < 0.5) best.splice(-1, 1, last);
  const largest = best[0]?.logit ?? 0;
  const sum = logits.reduce((total, logit) => total + Math.exp(logit - largest), 0);
  return {
    values: Float32Array.from(best, ({ logit }) => logit),
    ids: Int32Array.from(best, ({ id }) => id),
    sum: Math.fround(sum * (1 + 5e-5 * (2 * inputs.unit() - 1))),
  };
}

const FILTERS: readonly ((inputs: Inputs) => Partial<Sampling>)[] = [
  () => ({ temperature: 0 }),
  (inputs) => ({ topK: inputs.one([1, 2, 20, 40, 63, 64]) }),
  (inputs) => ({ topK: 1 + inputs.whole(64), topP: inputs.unit() }),
  (inputs) => ({ topK: inputs.one([20, 50, 64]), topP: 0.9, minP: inputs.unit() / 10 }),
  (inputs) => ({ topP: inputs.one([0, 0.5, 0.8, 0.9, 0.95, inputs.unit()]) }),
  (inputs) => ({ minP: inputs.one([0.01, 0.05, 0.1, 0.5, 1, inputs.unit()]) }),
  (inputs) => ({ topP: 0.9 + inputs.unit() / 10, minP: inputs.unit() / 5 }),
  (inputs) => ({ topK: 65 + inputs.whole(200), minP: inputs.unit() / 5 }),
];

function drawing(sampling: Partial<Sampling>, more: Partial<SampledSequence> = {}): SampledSequence {
  const all = { ...NEUTRAL, seed: 1, ...sampling };
  const common = { endIds: new Set<number>(), belowMinTokens: false, occurrences: undefined };
  return { request: { sampling: all }, ...common, random: Random.seeded(all.seed), ...more };
}

describe('a draw from the best logits', () => {
  it('is the draw from all logits, or none, with the same random numbers', { timeout: 600_000 }, () => {
    const inputs = new Inputs(20);
    const names = Object.keys(DISTRIBUTIONS);
    const counts = { usual: 0, decided: 0, drawn: 0 };
    for (let row = 0; row < ROWS; row++) {
      const name = inputs.one(names);
      // Most of the time of a case is the sorting of its logits.
      const size = inputs.unit() < 0.99 ? inputs.one(SIZES.slice(0, -2)) : inputs.one(SIZES);
      const logits = Float32Array.from({ length: size }, () => DISTRIBUTIONS[name]!(inputs));
      const top = topOf(logits, inputs);
      const sampler = samplerOf(size);
      for (let draw = 0; draw < DRAWS; draw++) {
        const temperature = inputs.one([1, 1, 0.3, 0.6, 0.7, 1.3, 2, 0.01, 1e-38]);
        const filter = inputs.one(FILTERS);
        const sampling = { temperature, seed: inputs.whole(2 ** 32), ...filter(inputs) };
        const ends = new Set(inputs.unit() < 0.2 ? [...top.ids.slice(0, 1), inputs.whole(size), size + 7] : []);
        const more = { endIds: ends, belowMinTokens: ends.size > 0 };
        const [some, whole] = [drawing(sampling, more), drawing(sampling, more)];
        const found = sampler.sampleTop(top, some);
        if (USUAL.includes(name) && size >= 300 && temperature <= 1 && temperature >= 0.3) {
          counts.usual += 1;
          if (found) counts.decided += 1;
        }
        if (!found) {
          expect(some.random.next()).toBe(Random.seeded(sampling.seed).next());
          continue;
        }
        counts.drawn += 1;
        const context = `${name} ${size} ${JSON.stringify(sampling)}`;
        expect(`${context}: ${found.id}`).toBe(`${context}: ${sampler.sample(logits, whole).id}`);
        expect(some.random.next()).toBe(whole.random.next());
      }
    }
    expect(counts.drawn).toBeGreaterThan((ROWS * DRAWS) / 2);
    expect(counts.decided / counts.usual).toBeGreaterThan(0.85);
  });

  it('decides nearly all draws that models and clients use', () => {
    const inputs = new Inputs(21);
    const usual: readonly Partial<Sampling>[] = [
      { temperature: 0 },
      { topK: 20, topP: 0.8, temperature: 0.7 },
      { topK: 64, topP: 0.95 },
      { topP: 0.9, temperature: 0.6 },
      { topP: 0.9 },
      { minP: 0.05 },
    ];
    const decided = usual.map(() => 0);
    const rows = 100;
    for (let row = 0; row < rows; row++) {
      const logits = Float32Array.from({ length: 4096 }, () => DISTRIBUTIONS['tailed']!(inputs));
      const top = topOf(logits, inputs);
      for (const [index, sampling] of usual.entries())
        if (samplerOf(4096).sampleTop(top, drawing(sampling))) decided[index] = (decided[index] ?? 0) + 1;
    }
    expect(Math.min(...decided)).toBeGreaterThan(0.9 * rows);
  });

  const ramp = Float32Array.from({ length: 300 }, (_, id) => ((id * 7919) % 300) / 30);
  const sampler = samplerOf(300);
  const best = topOf(ramp, new Inputs(1));
  const greedy = drawing({ temperature: 0 });

  it.each([
    ['penalties', { occurrences: new Occurrences() }],
    ['log-probabilities', { request: { ...greedy.request, logprobs: 0 } }],
    ['a logit bias', { request: { ...greedy.request, logitBias: [[1, 2]] } }],
    ['no filter', drawing({})],
    ['a top-k of as many as are known', drawing({ topK: COUNT })],
    ['top-p after such a top-k', drawing({ topK: COUNT, topP: 0.5, minP: 0.5 })],
  ] as [string, Partial<SampledSequence>][])('needs all logits with %s', (_, more) => {
    const sequence = { ...greedy, ...more };
    expect(drawsFromTop(sequence, COUNT)).toBe(false);
    expect(sampler.sampleTop(best, sequence)).toBeUndefined();
  });

  it('leaves invalid numbers to the draw from all logits', () => {
    const wrong = (change: Partial<Record<'value' | 'id' | 'sum', number>>): TopLogits => ({
      values: best.values.with(3, change.value ?? best.values[3] ?? 0),
      ids: best.ids.with(3, change.id ?? best.ids[3] ?? 0),
      sum: change.sum ?? best.sum,
    });
    expect(sampler.sampleTop(wrong({}), greedy)).toEqual(sampler.sample(ramp, greedy));
    for (const value of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, -3.4028234663852886e38, 1000])
      expect(sampler.sampleTop(wrong({ value }), greedy)).toBeUndefined();
    for (const id of [-1, 300]) expect(sampler.sampleTop(wrong({ id }), greedy)).toBeUndefined();
    for (const sum of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 0, best.sum / 4])
      expect(sampler.sampleTop(wrong({ sum }), greedy)).toBeUndefined();
  });

  it('counts logits far below the largest one if a high temperature gives them weight', () => {
    // At temperature 100, the 2 970 small logits have a weight of e^-8 each, and 3 % of the weight together.
    const far = Float32Array.from({ length: 3000 }, (_, id) => (id % 100 === 0 ? 800 : Math.sin(id) / 100));
    const top = topOf(far, new Inputs(4));
    const sampler = samplerOf(3000);
    for (let seed = 0; seed < 100; seed++) {
      const sequence = () => drawing({ topP: 0.85, temperature: 100, seed });
      const { id } = sampler.sample(far, sequence());
      expect([undefined, id]).toContain(sampler.sampleTop(top, sequence())?.id);
    }
    expect(sampler.sampleTop(top, drawing({ topP: 0.85 }))).toBeDefined();
  });

  it('allows for the rounding of a sum over a large vocabulary', () => {
    // A device has rounded the sum of 262 144 equal weights by 5.6e-5.
    const size = 2 ** 18;
    const logits = new Float32Array(size).fill(-6).fill(0, 0, 30);
    const total = 30 + (size - 30) * Math.exp(-6);
    const values = logits.slice(0, COUNT);
    const ids = Int32Array.from(values.keys());
    // The 21st id remains, but only just.
    const topP = (20 * (1 + 2e-5)) / total;
    const sampler = samplerOf(size);
    const decides = (sum: number, p: number) => sampler.sampleTop({ values, ids, sum }, drawing({ topP: p }));
    expect(decides(total * (1 - 1e-4), topP)).toBeUndefined();
    expect(decides(total * (1 - 1e-4), topP * 1.02)).toEqual(sampler.sample(logits, drawing({ topP: topP * 1.02 })));
  });

  it('does not decide between equal logits of which some may be unknown', () => {
    const steps = Float32Array.from({ length: 300 }, (_, id) => (id % 10 === 0 ? 2 : id % 10 < 4 ? 1 : 0));
    const top = topOf(steps, new Inputs(2));
    // 30 logits of 2, then 35 of 90 logits of 1.
    for (const [topK, isDecided] of [
      [1, true],
      [29, true],
      [30, true],
      [31, false],
      [64, false],
    ] as const)
      expect(sampler.sampleTop(top, drawing({ topK })) !== undefined, `top-k ${topK}`).toBe(isDecided);
    const equal = topOf(new Float32Array(300), new Inputs(3));
    expect(sampler.sampleTop(equal, greedy)).toBeUndefined();
    // The list has the whole vocabulary.
    const few = topOf(new Float32Array(64), new Inputs(3));
    expect(samplerOf(64).sampleTop(few, greedy)).toEqual({ id: 0 });
  });

  it('draws no end id below min_tokens', () => {
    const [first = 0, second = 0] = best.ids;
    const more = { endIds: new Set([first]), belowMinTokens: true };
    expect(sampler.sampleTop(best, drawing({ temperature: 0 }, more))).toEqual({ id: second });
    expect(sampler.sampleTop(best, drawing({ temperature: 0 }, { ...more, belowMinTokens: false }))).toEqual({
      id: first,
    });
  });
});

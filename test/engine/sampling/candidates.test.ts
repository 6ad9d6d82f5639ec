/**
 * Compares the filters and their WebAssembly passes with plain JavaScript that sorts, on logits of many
 * shapes and vocabularies of odd sizes.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Candidates } from '../../../src/engine/sampling/candidates.ts';
import { GROUP, Kernels } from '../../../src/engine/sampling/kernels.ts';
import { Random } from '../../../src/engine/sampling/random.ts';
import { argMax } from '../../../src/engine/sampling/sampler.ts';
import { sampleSize } from '../../support/sample.ts';

const LARGEST = 3.4028234663852886e38;
/** More than the error of a float32 weight, 1.3e-7 + 92 · 9e-8. */
const TOLERANCE = 1e-5;

const gaussian = (random: Random): number =>
  Math.sqrt(-2 * Math.log(1 - random.uniform())) * Math.cos(2 * Math.PI * random.uniform());

/** Shapes of logits: each function draws one logit. */
const SHAPES: Readonly<Record<string, (random: Random) => number>> = {
  random: (random) => gaussian(random) * 3,
  flat: (random) => 7 + random.uniform() * 1e-5,
  equal: () => -2.5,
  peaked: (random) => (random.uniform() < 0.03 ? 15 : 0) + gaussian(random) * 2,
  tied: (random) => Math.floor(random.uniform() * 4) / 2,
  masked: (random) => (random.uniform() < 0.8 ? Number.NEGATIVE_INFINITY : gaussian(random)),
  huge: (random) => (random.uniform() * 2 - 1) * LARGEST,
  tiny: (random) => (random.uniform() < 0.5 ? -1 : 1) * Math.floor(random.uniform() * 9) * 1.4e-45,
  nested: (random) => (random.uniform() < 0.5 ? 1 : -1) * 10 ** -Math.floor(random.uniform() * 40),
};

const SIZES = [1, 2, 3, 4, 5, 15, 16, 17, 63, 64, 65, 127, 128, 129, 1000, 4097];

const logitsArbitrary = fc
  .record({
    shape: fc.constantFrom(...Object.keys(SHAPES)),
    size: fc.constantFrom(...SIZES),
    seed: fc.nat(),
  })
  .map(({ shape, size, seed }) => {
    const random = Random.seeded(seed);
    const logits = Float32Array.from({ length: size }, () => SHAPES[shape]!(random));
    // At least one id can be drawn.
    const place = Math.floor(random.uniform() * size);
    if (logits[place] === Number.NEGATIVE_INFINITY) logits[place] = 1;
    return logits;
  });

const temperatureArbitrary = fc.constantFrom(1e-40, 0.05, 0.8, 1, 3, 1000);

/**
 * One instance per size for all rows, because data of the previous row in memory must not affect the next.
 */
const made = new Map<number, Candidates>();
function candidatesOf(logits: Float32Array, temperature = 1): Candidates {
  const candidates = made.get(logits.length) ?? new Candidates(logits.length);
  made.set(logits.length, candidates);
  candidates.logits.set(logits);
  expect(candidates.argMax()).toBe(argMax(logits));
  candidates.setTemperature(temperature);
  return candidates;
}

interface Entry {
  readonly id: number;
  readonly logit: number;
  readonly weight: number;
}

/** All ids that can be drawn with their exact weights, likeliest first, lowest id first among equals. */
function ranked(logits: Float32Array, temperature: number): Entry[] {
  const most = logits[argMax(logits)]!;
  return Array.from(logits, (logit, id) => ({
    id,
    logit,
    weight: Math.exp((logit - most) / Math.max(temperature, 1e-37)),
  }))
    .filter(({ logit }) => logit > Number.NEGATIVE_INFINITY)
    .sort((a, b) => b.logit - a.logit || a.id - b.id);
}

const idsOf = (entries: readonly { readonly id: number }[]): number[] =>
  entries.map(({ id }) => id).sort((a, b) => a - b);
const sumOf = (entries: readonly Entry[]): number => entries.reduce((sum, { weight }) => sum + weight, 0);

/**
 * The entries of `left` that `candidates` has kept. Checks that these are the likeliest, in the order of ids.
 */
function kept(candidates: Candidates, left: readonly Entry[]): Entry[] {
  const entries = candidates.entries();
  const likeliest = left.slice(0, entries.length);
  expect(entries.map(({ id }) => id)).toEqual(idsOf(likeliest));
  expect(entries.map(({ logit }) => logit + 0)).toEqual(entries.map(({ id }) => candidates.logits[id]! + 0));
  return likeliest;
}

describe('the filters keep the ids that sorting keeps', () => {
  it('applied one after the other', () => {
    fc.assert(
      fc.property(
        logitsArbitrary,
        temperatureArbitrary,
        fc.constantFrom(0, 1, 2, 7, 64, 65, 500),
        fc.constantFrom(0, 0.1, 0.5, 0.95, 0.999, 1),
        fc.constantFrom(0, 1e-30, 0.05, 0.5, 1),
        (logits, temperature, topK, topP, minP) => {
          const candidates = candidatesOf(logits, temperature);
          let left = ranked(logits, temperature);
          if (topK > 0) {
            candidates.keepTopK(topK);
            expect(candidates.entries()).toHaveLength(Math.min(topK, left.length));
            left = kept(candidates, left);
          }
          if (topP < 1) {
            const limit = topP * sumOf(left);
            candidates.keepTopP(topP);
            left = kept(candidates, left);
            expect(sumOf(left)).toBeGreaterThanOrEqual(limit * (1 - TOLERANCE));
            if (left.length > 1) expect(sumOf(left.slice(0, -1))).toBeLessThan(limit * (1 + TOLERANCE));
            if (topP === 0) expect(left).toHaveLength(1);
          }
          if (minP > 0) {
            const before = left;
            candidates.keepMinP(minP);
            left = kept(candidates, left);
            expect(left.every(({ weight }) => weight >= minP * (1 - TOLERANCE))).toBe(true);
            expect(before.slice(left.length).every(({ weight }) => weight < minP * (1 + TOLERANCE))).toBe(true);
          }
          expect(left.length).toBeGreaterThan(0);
        },
      ),
      { numRuns: sampleSize(2000, 200) },
    );
  });

  it('for equal logits, the lowest ids of a vocabulary of 128 256', () => {
    const logits = new Float32Array(128_256).fill(3);
    const candidates = candidatesOf(logits);
    candidates.keepTopP(0.25);
    expect(candidates.entries().map(({ id }) => id)).toEqual(Array.from({ length: 32_064 }, (_, id) => id));
    candidatesOf(logits).keepTopK(1000);
    expect(candidates.entries().map(({ id }) => id)).toEqual(Array.from({ length: 1000 }, (_, id) => id));
  });

  it('for top-k 1 … vocabulary, with 0 and -0 as equals', () => {
    const logits = Float32Array.from([-0, 1, 0, -0, 0, -1, Number.NEGATIVE_INFINITY, 1e-45, -1e-45]);
    const order = [1, 7, 0, 2, 3, 4, 8, 5];
    for (let k = 1; k <= logits.length; k++) {
      const candidates = candidatesOf(logits);
      candidates.keepTopK(k);
      expect(idsOf(candidates.entries())).toEqual(order.slice(0, k).sort((a, b) => a - b));
    }
  });
});

describe('the draw', () => {
  it('takes the id whose share of the sum contains the number', () => {
    fc.assert(
      fc.property(
        logitsArbitrary,
        temperatureArbitrary,
        fc.constantFrom('row', 'top-k', 'top-p', 'min-p'),
        fc.boolean(),
        fc.oneof(fc.constantFrom(0, 0.5, 1 - 2 ** -53), fc.double({ min: 0, max: 1 - 2 ** -53, noNaN: true })),
        (logits, temperature, rule, asked, uniform) => {
          const candidates = candidatesOf(logits, temperature);
          if (asked) candidates.logSum();
          let left = ranked(logits, temperature);
          if (rule === 'top-k') candidates.keepTopK(100);
          if (rule === 'top-p') candidates.keepTopP(0.9);
          if (rule === 'min-p') candidates.keepMinP(0.01);
          if (rule !== 'row') left = kept(candidates, left);
          const id = candidates.draw(uniform);
          const own = left.find((entry) => entry.id === id);
          const target = uniform * sumOf(left);
          const before = sumOf(left.filter((entry) => entry.id < id));
          expect(own!.weight).toBeGreaterThan(0);
          expect(before).toBeLessThanOrEqual(target + sumOf(left) * TOLERANCE);
          expect(before + own!.weight).toBeGreaterThanOrEqual(target - sumOf(left) * TOLERANCE);
        },
      ),
      { numRuns: sampleSize(2000, 200) },
    );
  });

  it('never takes an id of weight 0', () => {
    const logits = new Float32Array(300).fill(Number.NEGATIVE_INFINITY);
    logits[70] = 0;
    logits[71] = 1;
    logits[200] = -1e6;
    for (const uniform of [0, 0.2, 0.3, 1 - 2 ** -53]) {
      const wanted = uniform < 0.25 ? 70 : 71;
      expect(candidatesOf(logits).draw(uniform)).toBe(wanted);
      const listed = candidatesOf(logits);
      listed.keepTopK(3);
      expect(listed.draw(uniform)).toBe(wanted);
    }
  });

  it('never takes an id of weight 0 if rounding leaves the sum short of the number', () => {
    // Weights 1, 2^-53 and 0: the sum is 1 if they are added one by one, and more if they are added by lanes.
    const logits = new Float32Array(GROUP).fill(-200).fill(-53, 0, 41);
    logits[0] = 0;
    expect(candidatesOf(logits, Math.LOG2E).draw(1 - 2 ** -53)).toBe(40);
  });
});

describe('argMax', () => {
  it('returns -1 if a logit is NaN or Infinity, or all are -Infinity', () => {
    const broken = fc.constantFrom(Number.NaN, Number.POSITIVE_INFINITY);
    fc.assert(
      fc.property(logitsArbitrary, broken, fc.nat(), (logits, wrong, salt) => {
        candidatesOf(logits).logits[salt % logits.length] = wrong;
        expect(made.get(logits.length)!.argMax()).toBe(-1);
      }),
      { numRuns: 300 },
    );
    expect(new Candidates(70).argMax()).toBe(-1);
  });
});

describe('a weight', () => {
  const kernels = new Kernels(GROUP);
  const { passes, candidates } = kernels;
  const weightOf = (value: number, most = 0, scale = 1): number => {
    candidates.values[0] = value;
    passes.weigh(candidates.values.byteOffset, 1, most, scale, candidates.weights.byteOffset);
    return candidates.weights[0]!;
  };

  it('is 2^((value - most) · scale) to the documented precision', () => {
    for (let gap = 0; gap <= 92; gap += 0.0137) {
      const value = Math.fround(-gap);
      expect(Math.abs(weightOf(value) / 2 ** value - 1)).toBeLessThan(1.3e-7);
      const [most, scale] = [Math.fround(15.3), Math.LOG2E / 0.8];
      const other = Math.fround(most - gap / scale);
      const exponent = (other - most) * scale;
      if (exponent > -92)
        expect(Math.abs(weightOf(other, most, scale) / 2 ** exponent - 1)).toBeLessThan(1.3e-7 + 9e-8 * gap);
    }
  });

  it('is exactly 1 for the likeliest, and 0 below 2^-92', () => {
    expect(weightOf(0)).toBe(1);
    expect(weightOf(-92)).toBe(2 ** -92);
    expect(weightOf(-92.001)).toBe(0);
    expect(weightOf(Number.NEGATIVE_INFINITY)).toBe(0);
  });
});

/** The table of sampling parameters: every row is consistent, and every part of a row is used. */
import { describe, expect, it } from 'vitest';
import { samplingFields, samplingIn } from '../../src/contract/sampling-fields.ts';
import {
  describeRange,
  engineRangeOf,
  GREEDY,
  isInRange,
  NEUTRAL,
  type Range,
  SAMPLING,
  SAMPLING_NAMES,
  type SamplingParameter,
  WARM_UP,
} from '../../src/protocol/sampling.ts';

const rows: readonly SamplingParameter[] = SAMPLING_NAMES.map((name) => SAMPLING[name]);
const FIELDS: Readonly<Record<string, { safeParse(value: unknown): { success: boolean } }>> = samplingFields();
const EDGES = [-3, -2.001, -2, -1, -5e-324, 0, 5e-324, 0.5, 1, 1.5, 2, 2.001, 3, 2 ** 53 - 1, 2 ** 53, 1e308];

describe.each(rows)('$field', (row) => {
  const { field, range, neutral, warmUp, stage } = row;

  it('as a field of a request accepts the numbers of its range', () => {
    const taken = EDGES.filter((value) => FIELDS[field]?.safeParse(value).success);
    expect(taken).toEqual(EDGES.filter((value) => isInRange(value, range)));
    for (const value of [Number.NaN, Number.POSITIVE_INFINITY, '1', null])
      expect(FIELDS[field]?.safeParse(value).success).toBe(false);
  });

  it('is accepted by the engine wherever a request may give it', () => {
    for (const value of EDGES.filter((edge) => isInRange(edge, range)))
      expect(isInRange(value, engineRangeOf(row))).toBe(true);
  });

  it('has a neutral value and a warm-up value in its range', () => {
    expect(isInRange(warmUp, range)).toBe(true);
    if (neutral !== undefined) expect(isInRange(neutral, range)).toBe(true);
  });

  it('runs its rule in the warm-up', () => {
    if (stage === 'penalty' || stage === 'filter') expect(warmUp).not.toBe(neutral);
  });
});

describe('the constants', () => {
  it('give every parameter a value; only a seed has no neutral one', () => {
    expect(Object.keys(GREEDY).sort()).toEqual([...SAMPLING_NAMES].sort());
    expect(Object.keys(WARM_UP)).toEqual(SAMPLING_NAMES);
    expect(Object.keys(NEUTRAL)).toEqual(SAMPLING_NAMES.filter((name) => name !== 'seed'));
    expect(GREEDY).toEqual({ ...NEUTRAL, temperature: 0, seed: 0 });
  });
});

describe('the sampling of a body', () => {
  it('has the parameters that the body gives, under the names of the engine', () => {
    expect(samplingIn({ top_p: 0.5, seed: 0, min_p: undefined })).toEqual({ topP: 0.5, seed: 0 });
    const all = Object.fromEntries(SAMPLING_NAMES.map((name) => [SAMPLING[name].field, WARM_UP[name]]));
    expect(samplingIn(all)).toEqual(WARM_UP);
  });
});

describe('a range as text', () => {
  it.each<[Range, string]>([
    [{ min: 0, max: 2 }, 'a number from 0 to 2'],
    [{ min: 0 }, 'a number from 0 up'],
    [{ min: 0, whole: true }, 'a whole number from 0 up'],
    [{ min: 0, max: 9, whole: true }, 'a whole number from 0 to 9'],
    [{ min: 0, exclusiveMin: true, max: 2 }, 'a number above 0 and up to 2'],
    [{ min: 0, exclusiveMin: true }, 'a number above 0'],
  ])('%j is "%s"', (range, text) => {
    expect(describeRange(range)).toBe(text);
  });
});

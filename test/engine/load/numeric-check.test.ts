/** The checks of a device, with sessions that compute wrong as real drivers did, or could. */
import { describe, expect, it } from 'vitest';
import { longestCorrectRun, type RunsIds, roundingBetweenRuns } from '../../../src/engine/load/numeric-check.ts';
import { openSession } from '../harness.ts';

const VOCABULARY = 32;

/** A session whose logits are a function of all ids so far; `spoilt` changes them by the length of the run. */
function session(spoilt: (logit: number, tokens: number) => number): RunsIds {
  const ids = new BigInt64Array(1024);
  const logits = new Float32Array(VOCABULARY);
  const row: number[] = [];
  return {
    signature: {
      vocabSize: VOCABULARY,
      keep: { name: 'num_logits_to_keep', shape: [] },
    } as unknown as RunsIds['signature'],
    ids,
    logits,
    run: ({ lengths: [length = 0], tokens }) => {
      row.length = length - tokens;
      row.push(...Array.from(ids.subarray(0, tokens), Number));
      const sum = row.reduce((total, id, index) => (total * 31 + id * (index + 1)) % 1009, 7);
      for (const id of logits.keys()) logits[id] = spoilt(Math.sin(sum * (id + 1)), tokens);
      return 1;
    },
  };
}

describe('a device is trusted with', () => {
  it('the wanted run, if all runs agree', () => {
    expect(
      longestCorrectRun(
        session((logit) => logit),
        1024,
        512,
      ),
    ).toBe(512);
    expect(
      longestCorrectRun(
        session((logit) => logit),
        40,
        512,
      ),
    ).toBe(512);
    expect(
      longestCorrectRun(
        session((logit) => logit),
        1024,
        7,
      ),
    ).toBe(7);
  });

  it('the wanted run, if runs differ by rounding', () => {
    expect(
      longestCorrectRun(
        session((logit, tokens) => logit * (1 + tokens * 1e-5)),
        1024,
        512,
      ),
    ).toBe(512);
  });

  it('the longest correct run', () => {
    expect(
      longestCorrectRun(
        session((logit, tokens) => (tokens >= 32 ? -logit : logit)),
        1024,
        512,
      ),
    ).toBe(16);
    expect(
      longestCorrectRun(
        session((logit, tokens) => (tokens >= 40 ? -logit : logit)),
        1024,
        512,
      ),
    ).toBe(32);
    // Correct for a short prompt in one run, wrong for a long one.
    expect(
      longestCorrectRun(
        session((logit, tokens) => (tokens > 200 ? -logit : logit)),
        1024,
        512,
      ),
    ).toBe(128);
  });
});

describe('a device is refused that computes', () => {
  it.each([
    [
      'other logits for one id alone',
      (logit: number, tokens: number) => (tokens === 1 ? logit + 1 : logit),
      /another token alone .* % apart/,
    ],
    ['no numbers', () => Number.NaN, /no logits at all/],
    [
      'no numbers for one id alone',
      (logit: number, tokens: number) => (tokens === 1 ? Number.NaN : logit),
      /no logits at all/,
    ],
    ['nothing but zeros', () => 0, /no logits at all/],
    ['infinities', () => Number.POSITIVE_INFINITY, /no logits at all/],
  ] as const)('%s', (_, spoilt, message) => {
    expect(() => longestCorrectRun(session(spoilt), 1024, 512)).toThrow(message);
  });
});

it('the CPU computes the embedded model correctly in runs of any length', () => {
  const real = openSession();
  expect(longestCorrectRun(real, 256, 256)).toBe(256);
  expect(roundingBetweenRuns(real, 256)).toBeLessThan(1e-4);
  real.close();
});

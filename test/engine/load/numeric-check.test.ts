/**
 * The numeric check of a device, with sessions that compute incorrectly in measured and in hypothetical ways.
 */
import { describe, expect, it } from 'vitest';
import {
  type CheckedSession,
  logitsOfPrompt,
  longestCorrectRun,
  roundingBetweenRuns,
} from '../../../src/engine/load/numeric-check.ts';
import { openSession } from '../harness.ts';

const VOCABULARY = 32;

/**
 * A session whose logits are a function of all ids in the row. `spoil` changes each logit, by the number of
 * tokens of the run.
 */
function session(spoil: (logit: number, tokens: number) => number, idLimit = VOCABULARY): CheckedSession {
  const ids = new BigInt64Array(1024);
  const logits = new Float32Array(VOCABULARY);
  const row: number[] = [];
  return {
    signature: {
      vocabSize: VOCABULARY,
      keep: { name: 'num_logits_to_keep', shape: [] },
    } as unknown as CheckedSession['signature'],
    idLimit,
    ids,
    logits,
    run: ({ lengths: [length = 0], tokens }) => {
      row.length = length - tokens;
      row.push(...Array.from(ids.subarray(0, tokens), Number));
      const sum = row.reduce((total, id, index) => (total * 31 + id * (index + 1)) % 1009, 7);
      for (const id of logits.keys()) logits[id] = spoil(Math.sin(sum * (id + 1)), tokens);
      return 1;
    },
  };
}

it('refuses a model whose logits are all 0', () => {
  const check = () =>
    roundingBetweenRuns(
      session(() => 0),
      64,
    );
  expect(check).toThrow(expect.objectContaining({ reason: { code: 'no_logits' } }));
});

describe('the longest correct run is', () => {
  it('the requested length if all runs agree', () => {
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

  it('the requested length if runs differ by rounding only', () => {
    expect(
      longestCorrectRun(
        session((logit, tokens) => logit * (1 + tokens * 1e-5)),
        1024,
        512,
      ),
    ).toBe(512);
  });

  it('the longest length with correct logits', () => {
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
    // Incorrect only in a run that is not longer than the attention window.
    expect(
      longestCorrectRun(
        session((logit, tokens) => (tokens === 32 ? -logit : logit)),
        1024,
        512,
      ),
    ).toBe(16);
    // Correct for a short prompt in one run, incorrect for a long prompt in one run.
    expect(
      longestCorrectRun(
        session((logit, tokens) => (tokens > 200 ? -logit : logit)),
        1024,
        512,
      ),
    ).toBe(128);
  });
});

describe('a device is refused if it gives', () => {
  it.each([
    [
      'other logits for one id alone',
      (logit: number, tokens: number) => (tokens === 1 ? logit + 1 : logit),
      { code: 'computes_wrong', difference: expect.any(Number) },
    ],
    ['no numbers', () => Number.NaN, { code: 'computes_wrong' }],
    [
      'no numbers for one id alone',
      (logit: number, tokens: number) => (tokens === 1 ? Number.NaN : logit),
      { code: 'computes_wrong' },
    ],
    ['only zeros', () => 0, { code: 'computes_wrong' }],
    ['infinities', () => Number.POSITIVE_INFINITY, { code: 'computes_wrong' }],
  ])('%s', (_, spoil, reason) => {
    expect(() => longestCorrectRun(session(spoil), 1024, 512)).toThrow(expect.objectContaining({ reason }));
  });
});

it('every check runs ids that the embedding has, if the logits have more', () => {
  const rows = 20;
  const checked = session((logit) => logit, rows);
  const ran: bigint[] = [];
  const counted: CheckedSession = {
    ...checked,
    run: (work) => {
      ran.push(...checked.ids.subarray(0, work.tokens));
      return checked.run(work);
    },
  };
  longestCorrectRun(counted, 1024, 512);
  roundingBetweenRuns(counted, 1024);
  logitsOfPrompt(counted, 1024);
  expect(new Set(ran)).toEqual(new Set(Array.from({ length: rows }, (_, id) => BigInt(id))));
});

it('the CPU computes the embedded model correctly in runs of any length', () => {
  const real = openSession();
  expect(longestCorrectRun(real, 256, 256)).toBe(256);
  expect(roundingBetweenRuns(real, 256)).toBeLessThan(1e-4);
  real.close();
});

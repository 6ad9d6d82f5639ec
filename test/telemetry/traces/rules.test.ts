/** The rules of OTLP for answers, and those of the samplers. */
import { randomBytes } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { backoffMs, retryAfterMs, verdictOf } from '../../../src/telemetry/traces/retry.ts';
import { isSampled, SAMPLERS } from '../../../src/telemetry/traces/sampler.ts';

const answer = (status: number, body = '', retryAfter?: string) => ({ status, retryAfter, body });

describe('an answer', () => {
  test.each([429, 502, 503, 504])('with status %d is tried again', (status) => {
    expect(verdictOf(answer(status))).toMatchObject({ verdict: 'retry', waitMs: undefined });
    expect(verdictOf(answer(status, '', '7'))).toMatchObject({ verdict: 'retry', waitMs: 7000 });
  });

  test.each([301, 400, 401, 404, 413, 500, 501])('with status %d is given up', (status) => {
    expect(verdictOf(answer(status, '', '7'))).toEqual({ verdict: 'failed', reason: `HTTP status ${status}` });
  });

  test.each([
    ['', 0],
    ['{}', 0],
    ['no JSON', 0],
    ['null', 0],
    ['{"partialSuccess":{}}', 0],
    ['{"partialSuccess":{"rejectedSpans":"3","errorMessage":"too old"}}', 3],
    ['{"partialSuccess":{"rejectedSpans":3}}', 3],
    ['{"partialSuccess":{"rejectedSpans":-1}}', 0],
    ['{"partialSuccess":{"rejectedSpans":"many"}}', 0],
  ])('with status 200 and body %s rejects %d spans', (body, rejected) => {
    expect(verdictOf(answer(200, body))).toMatchObject({ verdict: 'taken', rejected });
  });
});

test('Retry-After is a number of seconds or a date; anything else counts as absent', () => {
  const now = Date.parse('2026-11-30T12:00:00Z');
  expect(retryAfterMs('120', now)).toBe(120_000);
  expect(retryAfterMs('Mon, 30 Nov 2026 12:00:05 GMT', now)).toBe(5000);
  expect(retryAfterMs('Mon, 30 Nov 2026 11:00:00 GMT', now)).toBe(0);
  expect(retryAfterMs('soon', now)).toBeUndefined();
  expect(retryAfterMs(undefined, now)).toBeUndefined();
});

test('the waits between attempts double up to 16 seconds, less at most a half', () => {
  expect([1, 2, 3, 4, 5, 6, 40].map((attempt) => backoffMs(attempt, 0))).toEqual([
    1000, 2000, 4000, 8000, 16_000, 16_000, 16_000,
  ]);
  expect(backoffMs(1, 1)).toBe(500);
});

describe('a sampler', () => {
  const id = '4bf92f3577b34da6a3ce929d0e0e4736';

  test.each(SAMPLERS)('%s follows the parent only if its name says so', (name) => {
    const sampler = { name, ratio: 0 };
    const follows = name.startsWith('parentbased_');
    const own = name.endsWith('always_on');
    expect(isSampled(sampler, id)).toBe(own);
    expect(isSampled(sampler, id, true)).toBe(follows || own);
    expect(isSampled(sampler, id, false)).toBe(!follows && own);
  });

  test('takes the share of the ratio, by the rule of OTEP 235', () => {
    const ids = Array.from({ length: 4000 }, () => randomBytes(16).toString('hex'));
    const count = (ratio: number): number =>
      ids.filter((one) => isSampled({ name: 'traceidratio', ratio }, one)).length;
    expect([count(0), count(1)]).toEqual([0, 4000]);
    expect(count(0.25)).toBeGreaterThan(800);
    expect(count(0.25)).toBeLessThan(1200);
    // The boundary of OTEP 235: the last 56 bits, compared with (1 − ratio) · 2⁵⁶.
    const half = { name: 'traceidratio', ratio: 0.5 } as const;
    expect(isSampled(half, `${'f'.repeat(18)}80000000000000`)).toBe(true);
    expect(isSampled(half, `${'f'.repeat(18)}7fffffffffffff`)).toBe(false);
  });
});

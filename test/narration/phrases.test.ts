/** Numbers as text: bytes, times, estimates, plurals. */
import { describe, expect, test } from 'vitest';
import {
  count,
  formatBytes,
  formatEta,
  formatMs,
  formatSeconds,
  roundTo,
  withReason,
} from '../../src/narration/phrases.ts';

describe('bytes have three significant digits and a decimal unit', () => {
  test.each([
    [0, '0 B'],
    [999, '999 B'],
    [999.7, '1.00 kB'],
    [1000, '1.00 kB'],
    [12_345, '12.3 kB'],
    [999_499, '999 kB'],
    [999_999, '1.00 MB'],
    [3_522_260, '3.52 MB'],
    [123_456_789, '123 MB'],
    [187_000_000, '187 MB'],
    [4_200_000_000, '4.20 GB'],
    [22_100_000_000, '22.1 GB'],
    [999.9e9, '1.00 TB'],
    [10 ** 15, '1000 TB'],
  ])('%d bytes are %s', (bytes, text) => expect(formatBytes(bytes)).toBe(text));
});

test.each([
  [0, '0 ms'],
  [999.4, '999 ms'],
  [999.6, '1.00 s'],
  [41_230, '41.23 s'],
])('a time of %d ms is %s', (ms, text) => expect(formatMs(ms)).toBe(text));

test('a time limit has whole seconds', () => expect(formatSeconds(30_000)).toBe('30 s'));

test.each([
  [49, 'a moment'],
  [1234.5, 'about 1.2 s'],
  [59_960, 'about 1 min'],
])('an estimate of %d ms is %s', (ms, text) => expect(formatEta(ms)).toBe(text));

test('times of a list share one unit', () => expect([roundTo('ms', 1499.6), roundTo('s', 1499.6)]).toEqual([1500, 1]));

test('one is singular, every other number is plural', () => {
  expect([0, 1, 2].map((n) => count(n, 'token'))).toEqual(['0 tokens', '1 token', '2 tokens']);
});

describe('a sentence with its whole reason', () => {
  const reason = 'use --slots 3: the model needs more memory than is free on the device';

  test('continues the reason where the sentence was cut', () => {
    expect(withReason('Model loader cannot open haiku: use --slots 3: the model…', reason)).toBe(
      `Model loader cannot open haiku: ${reason}`,
    );
  });

  test('has the reason after a sentence that was cut before it', () => {
    expect(withReason('Model loader cannot open a…', reason)).toBe(`Model loader cannot open a… Reason: ${reason}`);
  });

  test('stays as it is if it has the whole reason, or none, or was not cut', () => {
    expect(withReason(`It failed: ${reason}`, reason)).toBe(`It failed: ${reason}`);
    expect(withReason('It failed…', undefined)).toBe('It failed…');
    expect(withReason('It failed', reason)).toBe('It failed');
  });
});

/** The wait that a server asks for, in all forms of the headers. */
import { expect, test } from 'vitest';
import { waitOf } from '../../../src/model/hub/network/wait-headers.ts';

const NOW = Date.parse('Sat, 01 Aug 2026 00:00:00 GMT');

test.each<[number, Record<string, string | string[]>, number | undefined]>([
  [429, { 'retry-after': '7' }, 7000],
  [503, { 'retry-after': ' 7 ' }, 7000],
  [503, { 'retry-after': 'Sat, 01 Aug 2026 00:00:30 GMT' }, 30_000],
  [503, { 'retry-after': 'Sat, 01 Aug 2020 00:00:30 GMT' }, 0],
  [429, { 'retry-after': '99999999999999999999' }, 1e23],
  [429, { 'retry-after': '-1' }, undefined],
  [429, { 'retry-after': '1.5' }, undefined],
  [429, { 'retry-after': 'soon' }, undefined],
  [429, {}, undefined],
  [429, { ratelimit: '"api";r=0;t=45' }, 45_000],
  [429, { ratelimit: '"api"; r=0; t=45', 'ratelimit-policy': '"fixed window";"api";q=500;w=300' }, 45_000],
  [429, { ratelimit: '"api";t=45;r=0' }, 45_000],
  [429, { ratelimit: '"a";r=3;t=299, "b";r=0;t=45, "c";r=0;t=12' }, 45_000],
  [429, { ratelimit: ['"a";r=3;t=299', '"b";r=0;t=45'] }, 45_000],
  [429, { ratelimit: '"a";t=12, "b";t=45' }, 45_000],
  [429, { ratelimit: 'limit=100, remaining=0, reset=45' }, 45_000],
  [429, { ratelimit: '"api";r=0;t=45', 'retry-after': '7' }, 7000],
  [429, { ratelimit: '"api";r=0;t=45', 'retry-after': 'soon' }, 45_000],
  [429, { 'ratelimit-limit': '100', 'ratelimit-remaining': '0', 'ratelimit-reset': '45' }, 45_000],
  [429, { 'x-ratelimit-reset': String(NOW / 1000 + 45) }, 45_000],
  [429, { 'ratelimit-reset': String(NOW / 1000 - 45) }, 0],
  // A date in milliseconds is not one in seconds.
  [429, { 'x-ratelimit-reset': String(NOW + 45_000) }, undefined],
  [429, { ratelimit: '"api";r=0' }, undefined],
  [429, { ratelimit: '"api";r=0;t=-5' }, undefined],
  [429, { ratelimit: `"${'x'.repeat(5000)}";r=0;t=45` }, undefined],
  // A limit that is not used up yet says nothing about another error.
  [500, { ratelimit: '"api";r=9;t=299' }, undefined],
  [503, { 'ratelimit-reset': '299' }, undefined],
])('%i with %j: %s ms', (status, headers, wait) => {
  expect(waitOf(status, headers, NOW)).toBe(wait);
});

test.each(['";r=0', ';t=', ', ', '; ', ' reset ', '1'])('hostile headers take linear time: %j', (seed) => {
  const began = performance.now();
  for (let run = 0; run < 100; run += 1)
    waitOf(429, { ratelimit: seed.repeat(2048 / seed.length), 'retry-after': seed.repeat(500) });
  expect(performance.now() - began).toBeLessThan(2000);
});

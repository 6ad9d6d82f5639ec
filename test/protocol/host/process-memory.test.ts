/** Figures of processes from files of /proc, and from files of simulated systems. */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import {
  anonymousBytes,
  memoryFile,
  proportionalIn,
  residentBytes,
} from '../../../src/protocol/host/process-memory.ts';

/** Of a worker with the embedded model, shortened. */
const ROLLUP = `00400000-7ffc1d5f3000 ---p 00000000 00:00 0                          [rollup]
Rss:               87040 kB
Pss:               45123 kB
Pss_Dirty:         40960 kB
Pss_Anon:          40960 kB
Pss_File:           4163 kB
SwapPss:               0 kB
`;

test('proportional memory is the line Pss', () => {
  expect(proportionalIn(ROLLUP)).toBe(45_123 * 1024);
  expect(proportionalIn(ROLLUP.replace('Pss:', 'Uss:'))).toBeUndefined();
  expect(proportionalIn('')).toBeUndefined();
});

test('anonymous memory is heap and shared memory without files', () => {
  const status = 'VmRSS:\t   90000 kB\nRssAnon:\t   40000 kB\nRssFile:\t   49000 kB\nRssShmem:\t    1000 kB\n';
  expect(anonymousBytes(7, (path) => (path === '/proc/7/status' ? status : ''))).toBe(41_000 * 1024);
  expect(anonymousBytes(7, () => 'Name:\tkthreadd\n')).toBeUndefined();
});

test.runIf(process.platform === 'linux')('this process has both, and its proportional memory is not more', () => {
  const proportional = proportionalIn(readFileSync(memoryFile(process.pid), 'utf8'));
  expect(proportional).toBeGreaterThan(1e6);
  // Both are read one after the other, and the process may grow in between.
  expect(proportional).toBeLessThan(2 * (residentBytes() ?? 0));
  expect(anonymousBytes(process.pid)).toBeGreaterThan(1e6);
});

test('resident memory that cannot be read is unknown', () => {
  const refuse = (): never => {
    throw new Error('EMFILE');
  };
  expect(residentBytes(refuse)).toBeUndefined();
});

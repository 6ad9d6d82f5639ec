/** docs/limits.md names existing code, tests and settings; the options of the server equal its values. */
import { existsSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { readConfig } from '../../src/config/config.ts';
import { SETTINGS } from '../../src/config/settings.ts';
import { connectionOptions } from '../../src/http/connections.ts';

const ROOT = new URL('../../', import.meta.url);
const rows = readFileSync(new URL('docs/limits.md', ROOT), 'utf8')
  .split('\n')
  .filter((line) => line.startsWith('| ') && !line.startsWith('| what |'))
  .map((line) => line.split('|').map((cell) => cell.trim()))
  .map(([, what = '', bound = '', set = '', , code = '', tests = '']) => ({ what, bound, set, code, tests }));
const quoted = (cell: string): string[] => [...cell.matchAll(/`([^`]+)`/g)].map(([, name]) => name ?? '');

test('every row names the code of the limit and its test', () => {
  expect(rows.length).toBeGreaterThan(35);
  for (const { what, bound, code, tests } of rows) {
    expect([what, bound !== '', quoted(code).length > 0, quoted(tests).length > 0]).toEqual([what, true, true, true]);
    for (const name of quoted(code)) expect([name, existsSync(new URL(`src/${name}.ts`, ROOT))]).toEqual([name, true]);
    for (const name of quoted(tests)) {
      const files = [name, `test/${name}.test.ts`].map((file) => new URL(file, ROOT));
      expect([name, files.some((file) => existsSync(file))]).toEqual([name, true]);
    }
  }
});

test('every named setting exists, and every setting of a limit is named', () => {
  const named = new Set(rows.flatMap(({ set }) => quoted(set).filter((name) => name.startsWith('--'))));
  const known = new Set(Object.keys(SETTINGS).map((name) => `--${name}`));
  expect([...named].filter((name) => !known.has(name))).toEqual([]);
  const limits = [...known].filter((name) => /^--(max|queue|slots|context)|-(timeout|ttl|memory|chunk)$/.test(name));
  expect(limits.filter((name) => !named.has(name))).toEqual([]);
});

test('the server has the times and sizes of the page', () => {
  const options = connectionOptions(readConfig([], {}));
  expect(options).toMatchObject({ requestTimeout: 30_000, keepAliveTimeout: 72_000, connectionTimeout: 90_000 });
  expect(options.http).toMatchObject({ maxHeaderSize: 16 * 1024, highWaterMark: 16 * 1024, headersTimeout: 10_000 });
  const text = rows.map(({ bound }) => bound).join('\n');
  for (const bound of ['16 KiB', '30 s; a third', '72 s', '60 s + slow-timeout', '1 024'])
    expect(text).toContain(bound);
});

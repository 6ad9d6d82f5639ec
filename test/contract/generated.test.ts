/** The generated files are up to date, and .env.example has the defaults of the settings. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseEnv } from 'node:util';
import { describe, expect, test } from 'vitest';
import { generated } from '../../scripts/generate.ts';
import { readConfig, readSettings } from '../../src/config/config.ts';
import { environmentName, SETTINGS } from '../../src/config/settings.ts';

const read = (path: string): string => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8');
const files = generated();

describe('the generated files', () => {
  test.each(Object.keys(files))('%s: equal to the current output of `npm run generate`', (path) => {
    expect(read(path)).toBe(files[path]);
  });

  test('contain no path of this machine', () => {
    const root = new URL('../../', import.meta.url).pathname;
    expect(Object.values(files).filter((text) => text.includes(root))).toEqual([]);
  });

  test('every row of docs/narration.md has as many cells as its table', () => {
    const cells = (line: string): number => line.split(/(?<!\\)\|/).length;
    const tables = read('docs/narration.md')
      .split(/\n\n+/)
      .filter((block) => block.startsWith('|'))
      .map((block) => block.trim().split('\n'));
    expect(tables).toHaveLength(4);
    for (const [head = '', ...rows] of tables) {
      expect(rows.filter((row) => cells(row) !== cells(head))).toEqual([]);
    }
  });
});

describe('.env.example', () => {
  const settings = Object.entries(SETTINGS) as [string, { fallback?: unknown }][];
  const uncommented = read('.env.example').replace(/^#(?=RBEES_)/gm, '');

  test('lists every setting with its default, in the order of the help', () => {
    const names = [...uncommented.matchAll(/^(RBEES_\w+)=/gm)].map(([, name]) => name);
    expect(names).toEqual(settings.map(([name]) => environmentName(name)));
    const defaults = settings.map(([name, { fallback }]) => [environmentName(name), String(fallback ?? '')]);
    expect(parseEnv(uncommented)).toEqual(Object.fromEntries(defaults));
  });

  test('sets nothing while its lines are commented out', () => {
    expect(parseEnv(read('.env.example'))).toEqual({});
  });

  test('sets the defaults once its lines are uncommented', () => {
    const folder = mkdtempSync(join(tmpdir(), 'env-'));
    try {
      const file = join(folder, '.env');
      writeFileSync(file, uncommented);
      const { workerId: given, ...fromFile } = readConfig(['--env-file', file], {});
      const { workerId: fresh, ...defaults } = readConfig([], {});
      expect(fromFile).toEqual(defaults);
      // No default opens anything: `.env` of the working directory may set it as well.
      expect(readSettings([], { environment: {}, folder }).file?.ignored).toEqual([]);
      expect(given).not.toBe(fresh);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

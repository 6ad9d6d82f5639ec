/** Flags from help texts. */
import { expect, test } from 'vitest';
import { helpFlags, settingFlags } from '../../../src/commands/completions/flags.ts';
import { SETTINGS } from '../../../src/config/settings.ts';

test('every line of a help that begins with a flag is a flag, with the values of its placeholder', () => {
  const help = `tool <x> [--not-a-flag]

  --json               print one document
  -c, --continue       go on
  --schema <file>      a JSON schema
  --out <folder>       place
  --mode <a|b|c>       one of three
  --seed <n>           a number
  --dtype <type>       data type
                       --more text
  TITLE                no flag
`;
  expect(helpFlags(help).map(({ name, value }) => [name, value])).toEqual([
    ['--json', 'none'],
    ['-c', 'none'],
    ['--continue', 'none'],
    ['--schema', 'file'],
    ['--out', 'folder'],
    ['--mode', ['a', 'b', 'c']],
    ['--seed', 'text'],
    ['--dtype', SETTINGS.dtype.schema.options],
  ]);
});

test('all settings are flags', () => {
  const names = settingFlags().map(({ name }) => name);
  expect(names).toEqual(['--env-file', ...Object.keys(SETTINGS).map((name) => `--${name}`)]);
  const valuesOf = (wanted: string) => settingFlags().find(({ name }) => name === wanted)?.value;
  expect(valuesOf('--ready-when-full')).toEqual(['true', 'false']);
  expect(valuesOf('--allow-unauthenticated')).toBe('none');
  expect(valuesOf('--port')).toBe('text');
  expect(valuesOf('--model')).toBe('model');
  expect(valuesOf('--device')).toContain('auto');
});

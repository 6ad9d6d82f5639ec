/** Tables with names of any script, and with text that attacks a terminal. */
import stringWidth from 'string-width';
import { describe, expect, test } from 'vitest';
import { shortTime, textTable } from '../../src/commands/text-table.ts';

const COLUMNS = [
  { title: 'NAME', cell: ({ name }: { name: string }) => name, most: 12 },
  { title: 'N', cell: ({ n }: { n: string }) => n, right: true as const },
  { title: 'END', cell: () => '|' },
];

/** The column at which each line ends. */
const ends = (table: string): number[] =>
  table
    .trimEnd()
    .split('\n')
    .map((line) => stringWidth(line.slice(0, line.search(/\||END/))));

describe('a table', () => {
  test('aligns names of wide characters, emoji and combining marks', () => {
    const rows = ['haiku', '俳句モデル', '👩‍💻🇩🇪', 'Café\u0301', '하이쿠'].map((name, n) => ({
      name,
      n: String(10 ** n),
    }));
    expect(new Set(ends(textTable(COLUMNS, rows))).size).toBe(1);
  });

  test('cuts long names at their width, and aligns them too', () => {
    const table = textTable(COLUMNS, [
      { name: 'm'.repeat(50), n: '1' },
      { name: '模型'.repeat(20), n: '2' },
    ]);
    expect(table).toContain(`${'m'.repeat(11)}…`);
    expect(table).toContain('模型模型模…');
    expect(new Set(ends(table)).size).toBe(1);
  });

  test('has no control characters of its cells, and one line for each row', () => {
    const hostile = '\x1b[2J\x1b]0;owned\x07ev\r\nil\u202e\u200b';
    const table = textTable(COLUMNS, [{ name: hostile, n: '\x9b31m1' }]);
    expect(table.replaceAll('\n', '')).not.toMatch(/[\p{Cc}\p{Cf}]/u);
    expect(table.trimEnd().split('\n')).toHaveLength(2);
  });

  test('shows a dash for an empty cell, and ends no line with a space', () => {
    const table = textTable([...COLUMNS, { title: 'LAST', cell: () => '' }], [{ name: '', n: ' ' }]);
    expect(table.split('\n')[1]).toMatch(/^- +- +\| +-$/);
    expect(table).not.toMatch(/ \n/);
  });
});

test.each([
  [0, '0s'],
  [59.9, '59s'],
  [60, '1m'],
  [200, '3m 20s'],
  [3600, '1h'],
  [187_200, '2d 4h'],
  [-5, '0s'],
])('%d seconds are %s', (seconds, text) => {
  expect(shortTime(seconds)).toBe(text);
});

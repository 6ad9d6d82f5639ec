/** The terminal of `ask`: narration appears above the unfinished output line, whose rows are all erased. */
import { expect, test } from 'vitest';
import { TerminalView } from '../../../src/commands/ask/terminal-view.ts';
import { Terminal } from '../../../src/commands/terminal.ts';
import { Random } from '../../../src/engine/sampling/random.ts';
import { harmless } from '../../../src/narration/sanitize.ts';

const UP = '\x1b[';
const LABEL = '[Output] '.length;

/** The number of rows that the view moves up to erase `output` on a terminal of `columns` columns. */
function rowsErased(output: string, columns: number): number {
  let written = '';
  const out = { isTTY: true, columns, write: (text: string) => (written += text) } as unknown as NodeJS.WriteStream;
  const view = new TerminalView(new Terminal(out));
  view.token(output);
  written = '';
  view.narration('Engine generated 10 tokens', undefined);
  const erase = written.slice(0, written.indexOf('\x1b[J'));
  expect(erase.startsWith('\r')).toBe(true);
  return erase.includes(UP) ? Number.parseInt(erase.slice(erase.indexOf(UP) + UP.length), 10) : 0;
}

test.each([
  ['ASCII that ends at the edge', 'x'.repeat(80 - LABEL), 80, 0],
  ['ASCII one column longer', 'x'.repeat(81 - LABEL), 80, 1],
  ['CJK, two columns each', '海'.repeat(40), 80, 1],
  ['CJK on an odd width, where one column of each row stays empty', '海'.repeat(57), 41, 3],
  ['an emoji of four people, two columns', '👩‍👩‍👧‍👦'.repeat(36), 80, 1],
  ['combining marks, no columns', 'e\u0301'.repeat(80 - LABEL), 80, 0],
  ['an emoji with a skin tone', '👩🏽‍🚀'.repeat(35), 80, 0],
])('erases all rows of %s', (_, output, columns, rows) => {
  expect(rowsErased(output, columns)).toBe(rows);
});

test('a file gets whole lines without control sequences', () => {
  let written = '';
  const out = { isTTY: false, write: (text: string) => (written += text) } as unknown as NodeJS.WriteStream;
  const view = new TerminalView(new Terminal(out));
  view.token('first\x1b[2Jsec');
  view.narration('Engine generated 10 tokens', undefined);
  view.token('ond\nthird');
  view.end('2 lines');
  // biome-ignore lint/suspicious/noControlCharactersInRegex: styles depend on the terminal of the test run.
  expect(written.replace(/\x1b\[\d+m/g, '').split('\n')).toEqual([
    '[Narration] Engine generated 10 tokens',
    '[Output] first[2Jsecond',
    '[Output] third',
    '2 lines',
    '',
  ]);
});

/** The output as a terminal gets it, without the label and our own styles. */
function shownIn(pieces: readonly string[]): string {
  let written = '';
  const out = { isTTY: true, columns: 80, write: (text: string) => (written += text) } as unknown as NodeJS.WriteStream;
  const view = new TerminalView(new Terminal(out));
  for (const piece of pieces) view.token(piece);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: styles depend on the terminal of the test run.
  return written.replace(/^(?:\x1b\[\d+m)?\[Output\](?:\x1b\[\d+m)? /, '');
}

test.each(['👩‍👩‍👧‍👦', '🏳️‍🌈', '👩🏽‍🚀', '❤️', '1️⃣', '🏴󠁧󠁢󠁥󠁮󠁧󠁿', '🇩🇪'])(
  'the emoji %s stays whole when tokens split it',
  (emoji) => {
    const pieces = ['a ', ...emoji, ...emoji, 'b'];
    expect(shownIn(pieces)).toBe(`a ${emoji}${emoji}b`);
  },
);

test('split output is shown as whole output is, without hidden characters', () => {
  const parts = [
    'a',
    '1',
    '👩',
    '\u200d',
    '🚀',
    '\ufe0f',
    '\u20e3',
    '\u202e',
    '\u{e0067}',
    '🏴',
    '\u001b[2J',
    '\u009b',
    '\t',
    '❤',
  ];
  const random = Random.seeded(5);
  for (let round = 0; round < 500; round += 1) {
    const pieces = Array.from({ length: 12 }, () => parts[random.next() % parts.length] ?? '');
    const shown = shownIn(pieces);
    expect([pieces, shown]).toEqual([pieces, harmless(pieces.join(''))]);
  }
});

test('a narration and a summary are shown without control sequences', () => {
  let written = '';
  const out = { isTTY: true, columns: 80, write: (text: string) => (written += text) } as unknown as NodeJS.WriteStream;
  const view = new TerminalView(new Terminal(out));
  view.narration('a\u001b[2Jb', '\u009b31m\u202e');
  view.end('INVALID_REQUEST: \u001b]0;pwned\u0007');
  // biome-ignore lint/suspicious/noControlCharactersInRegex: styles depend on the terminal of the test run.
  expect(written.replace(/\x1b\[\d+m/g, '')).toBe('[Narration] a[2Jb 31m\nINVALID_REQUEST: ]0;pwned\n');
});

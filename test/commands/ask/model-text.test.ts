/** The text of a model on a terminal: no piece of it is executed, and emoji that tokens split stay whole. */
import { expect, test } from 'vitest';
import { ModelText, Terminal } from '../../../src/commands/terminal.ts';
import { Random } from '../../../src/engine/sampling/random.ts';
import { harmless } from '../../../src/narration/sanitize.ts';

/** The text that a terminal gets for these pieces. */
function shownIn(pieces: readonly string[]): string {
  const text = new ModelText();
  return pieces.map((piece) => text.next(piece).sequence).join('');
}

test.each(['👩‍👩‍👧‍👦', '🏳️‍🌈', '👩🏽‍🚀', '❤️', '1️⃣', '🏴󠁧󠁢󠁥󠁮󠁧󠁿', '🇩🇪'])(
  'the emoji %s stays whole when tokens split it',
  (emoji) => {
    expect(shownIn(['a ', ...emoji, ...emoji, 'b'])).toBe(`a ${emoji}${emoji}b`);
  },
);

test('split text is shown as whole text is, without hidden characters', () => {
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
    '❤',
  ];
  const random = Random.seeded(5);
  for (let round = 0; round < 500; round += 1) {
    const pieces = Array.from({ length: 12 }, () => parts[random.next() % parts.length] ?? '');
    expect([pieces, shownIn(pieces)]).toEqual([pieces, harmless(pieces.join(''))]);
  }
});

test('line feeds stay, and a tab becomes four spaces', () => {
  expect(shownIn(['if x:\n\tret', 'urn\n', '\n\u001b[31mred'])).toBe('if x:\n    return\n\n[31mred');
});

/** The text that a terminal writes for a piece in a style. */
function styled(settings: { readonly styles: boolean; readonly motion: boolean }): string {
  let written = '';
  const stream = { isTTY: true, write: (text: string) => (written += text) } as unknown as NodeJS.WriteStream;
  new Terminal(stream, settings).write(
    { style: 'dim', text: 'a\u001b[2Jb' },
    '\u009b31m\u202e',
    '\u001b]0;pwned\u0007\n',
  );
  return written;
}

test('text of any origin is written without its control sequences', () => {
  expect(styled({ styles: false, motion: true })).toBe('a[2Jb 31m]0;pwned\n'.replace(' ', ''));
  expect(styled({ styles: true, motion: true })).toBe('\u001b[2ma[2Jb\u001b[22m31m]0;pwned\n');
});

/** The pane under a growing text, as xterm shows it: the text stays whole, for every width and every character. */
import xterm from '@xterm/headless';
import { expect, test } from 'vitest';
import { Pane, type PaneLine } from '../../../src/commands/ask/view/pane.ts';
import { Terminal } from '../../../src/commands/terminal.ts';
import { Random } from '../../../src/engine/sampling/random.ts';

/** A pane that draws on a screen of xterm. */
class Screen {
  readonly screen: xterm.Terminal;
  readonly pane: Pane;
  readonly #resized = new Set<() => void>();

  constructor(columns: number, rows: number) {
    this.screen = new xterm.Terminal({
      cols: columns,
      rows,
      allowProposedApi: true,
      convertEol: true,
      scrollback: 5000,
    });
    const { screen } = this;
    const stream = {
      isTTY: true,
      get columns() {
        return screen.cols;
      },
      get rows() {
        return screen.rows;
      },
      write: (text: string) => screen.write(text),
      on: (_: string, resized: () => void) => this.#resized.add(resized),
    } as unknown as NodeJS.WriteStream;
    const terminal = new Terminal(stream, { styles: true, motion: true });
    this.pane = new Pane(terminal, terminal);
  }

  draw(text: string, lines: readonly PaneLine[]): void {
    this.pane.draw([{ text: { sequence: text } }], lines);
  }

  /** The rows with text, from the first one on. A row that continues the one above it is joined to it. */
  async lines(): Promise<string[]> {
    await new Promise<void>((resolve) => this.screen.write('', resolve));
    const lines: string[] = [];
    const { active } = this.screen.buffer;
    for (let row = 0; row < active.length; row += 1) {
      const line = active.getLine(row);
      const text = line?.translateToString(!active.getLine(row + 1)?.isWrapped) ?? '';
      if (line?.isWrapped) lines.push(`${lines.pop() ?? ''}${text}`);
      else lines.push(text);
    }
    while (lines.at(-1) === '') lines.pop();
    return lines;
  }
}

const status = (text: string): PaneLine => ({ style: 'cyan', text });
/** Wide characters leave the last column of a row empty if only half of one fits. */
const withoutSpaces = (text: string): string => text.replaceAll(/\s/g, '');

test('the pane is below the text, and the cursor rests at its last row', async () => {
  const screen = new Screen(40, 10);
  screen.draw('An answer', [status('one'), status('two')]);
  expect(await screen.lines()).toEqual(['An answer', 'one', 'two']);
  const { cursorX, cursorY } = screen.screen.buffer.active;
  expect([cursorX, cursorY]).toEqual([0, 2]);
});

test('a shorter pane replaces a longer one', async () => {
  const screen = new Screen(40, 10);
  screen.draw('a', [status('one'), status('two'), status('three')]);
  screen.draw('b', [status('last')]);
  expect(await screen.lines()).toEqual(['ab', 'last']);
});

test('a pane never covers the whole terminal', async () => {
  const screen = new Screen(40, 5);
  screen.draw(
    'a\n',
    Array.from({ length: 9 }, (_, index) => status(`line ${index}`)),
  );
  expect(await screen.lines()).toEqual(['a', '', 'line 7', 'line 8']);
});

test('a text that has left the screen is whole, and contains no row of a pane', async () => {
  const screen = new Screen(30, 8);
  const words = Array.from({ length: 200 }, (_, index) => `line${index}`);
  for (const word of words) screen.draw(`${word}\n`, [status('one'), status('two'), status('three')]);
  screen.pane.close();
  expect(await screen.lines()).toEqual(words);
});

const PARTS = ['a', 'word ', 'é', 'e\u0301', '海', '가', '日本', '🐝', '👩🏽', '-', '\n', '. ', 'ﬀ', 'Ω'];

test.each([7, 10, 20, 21, 33])('random text of all widths is whole on %i columns', async (columns) => {
  const random = Random.seeded(columns);
  for (let round = 0; round < 20; round += 1) {
    const screen = new Screen(columns, 9);
    const pieces = Array.from({ length: 150 }, () => PARTS[random.next() % PARTS.length] ?? '');
    for (const piece of pieces) screen.draw(piece, [status('x'.repeat(columns - 1)), status(`${round}`)]);
    screen.pane.close();
    const shown = (await screen.lines()).join('');
    expect([columns, round, withoutSpaces(shown)]).toEqual([columns, round, withoutSpaces(pieces.join(''))]);
  }
});

test.each([12, 20, 23, 31, 60])(
  'a text is whole after the terminal has changed from 24 to %i columns',
  async (columns) => {
    const screen = new Screen(24, 12);
    const lines = [status('x'.repeat(23)), status('y'.repeat(23)), status('z'.repeat(23))];
    screen.draw('A first line.\n', lines);
    screen.draw('A text of words that is longer than the terminal', lines);
    await screen.lines();
    screen.screen.resize(columns, 12);
    screen.draw(' and goes on', [status('z'.repeat(columns - 1))]);
    screen.draw(' to its end.\nThe last line', [status('z'.repeat(columns - 1))]);
    screen.pane.close();
    const text = withoutSpaces((await screen.lines()).join(''));
    expect(text).toBe('Afirstline.Atextofwordsthatislongerthantheterminalandgoesontoitsend.Thelastline');
  },
);

/**
 * The pane under a text that grows: a few rows that are redrawn in place. The terminal remembers the end of
 * the text. The cursor rests in the last row of the pane: a terminal that changes its size may cut the line
 * of the cursor, and keeps all others whole.
 */
import {
  BEGIN_UPDATE,
  END_UPDATE,
  ERASE_BELOW,
  LINE_START,
  NEXT_LINE,
  type Piece,
  RESTORE_CURSOR,
  roomBelow,
  SAVE_CURSOR,
  type Sequence,
  type Style,
  type Terminal,
  toColumn,
  up,
} from '../../terminal.ts';
import { rowsOf, TextRow } from '../../terminal-text.ts';

/** Rows of the terminal that the pane leaves to the text. */
const ROWS_FOR_TEXT = 3;

/** A piece of the text above the pane. It is clean. */
export interface TextPiece {
  readonly text: Sequence;
  /** Present: the piece is no part of the answer, and goes to the stream of the pane. */
  readonly style?: Style;
}

export interface PaneLine {
  readonly style: Style;
  /** At most one column narrower than the terminal. */
  readonly text: string;
}

export class Pane {
  /** The stream of the text. */
  readonly #out: Terminal;
  readonly #terminal: Terminal;
  readonly #row = new TextRow();
  /** The lines of the pane that is drawn. */
  #drawn: readonly PaneLine[] = [];
  /** Size of the terminal at the last drawing. */
  #size = { columns: 0, rows: 0 };

  /**
   * @param terminal the stream of the pane
   * @param out the stream of the text, which is the same terminal
   */
  constructor(terminal: Terminal, out: Terminal) {
    this.#terminal = terminal;
    this.#out = out;
  }

  /** Maximum number of rows of the pane. */
  get rows(): number {
    return Math.max(1, this.#terminal.rows - ROWS_FOR_TEXT);
  }

  /** Appends text, and draws the pane again. */
  draw(text: readonly TextPiece[], lines: readonly PaneLine[]): void {
    this.#terminal.hideCursor();
    this.#terminal.write(BEGIN_UPDATE);
    this.#erase();
    for (const piece of text) this.#append(piece);
    this.#drawn = lines.slice(-this.rows);
    this.#size = this.#currentSize;
    const rows = this.#drawn.flatMap((line): Piece[] => [NEXT_LINE, line]);
    this.#terminal.write(roomBelow(this.#drawn.length), SAVE_CURSOR, ...rows, LINE_START, END_UPDATE);
  }

  /** Erases the pane, and ends the last line of the text. The cursor is visible after it. */
  close(): void {
    this.#erase();
    if (!this.#row.isEmpty) this.#append({ text: { sequence: '\n' } });
    this.#terminal.showCursor();
  }

  get #currentSize() {
    const { columns, rows } = this.#terminal;
    return { columns, rows };
  }

  #append({ text, style }: TextPiece): void {
    if (text.sequence === '') return;
    const wrapped = { sequence: this.#row.add(text.sequence, this.#terminal.columns) };
    if (style === undefined) this.#out.write(wrapped);
    else this.#terminal.write({ style, text: wrapped });
  }

  #erase(): void {
    if (this.#drawn.length === 0) return;
    const { columns, rows } = this.#size;
    const isSame = columns === this.#terminal.columns && rows === this.#terminal.rows;
    if (isSame) this.#eraseFromText(columns);
    else this.#eraseFromPane();
    this.#drawn = [];
  }

  /**
   * In a full row, the cursor stands on the last character, and the next one would replace it. That character
   * is written again, so that the terminal goes to the next row by itself.
   */
  #eraseFromText(columns: number): void {
    const end = this.#row.fullEnd(columns);
    this.#terminal.write(RESTORE_CURSOR);
    if (!end) this.#terminal.write(ERASE_BELOW);
    else this.#terminal.write(toColumn(end.column), ERASE_BELOW, end.text);
  }

  /**
   * After a change of the size, the terminal has wrapped the lines of the pane again, and the remembered
   * place is wrong. The text goes on in the row of the pane: its column is not known.
   */
  #eraseFromPane(): void {
    const above = this.#drawn.slice(0, -1).map(({ text }) => rowsOf(text, this.#terminal.columns));
    const rows = above.reduce((sum, one) => sum + one, 0);
    this.#terminal.write(LINE_START, up(rows), ERASE_BELOW);
    this.#row.begin();
  }
}

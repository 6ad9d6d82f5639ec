/**
 * The pane under a text that grows: a few rows that are redrawn in place. The cursor rests at the end of the
 * text, so the terminal itself keeps the place when it scrolls or changes its size. Erasing is then the same
 * for any number of rows: everything from the cursor on.
 */
import {
  BEGIN_UPDATE,
  END_UPDATE,
  ERASE_BELOW,
  NEXT_LINE,
  type Piece,
  RESTORE_CURSOR,
  roomBelow,
  SAVE_CURSOR,
  type Sequence,
  type Style,
  type Terminal,
  toColumn,
} from '../../terminal.ts';
import { TextRow } from '../../terminal-text.ts';

/** Rows of the terminal that the pane leaves to the text. */
const ROWS_FOR_TEXT = 3;

/** A piece of the text above the pane. It is clean. */
export interface TextPiece {
  readonly text: Sequence;
  /** Absent: the piece goes to `out`. Present: it is no part of the answer, and goes to the stream of the pane. */
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
  #drawn = false;

  /**
   * @param terminal the stream of the pane
   * @param out the stream of the text, which is the same terminal
   */
  constructor(terminal: Terminal, out: Terminal) {
    this.#terminal = terminal;
    this.#out = out;
  }

  /** Most rows of the pane. */
  get rows(): number {
    return Math.max(1, this.#terminal.rows - ROWS_FOR_TEXT);
  }

  /** Appends text, and draws the pane anew. */
  draw(text: readonly TextPiece[], lines: readonly PaneLine[]): void {
    this.#terminal.hideCursor();
    this.#terminal.write(BEGIN_UPDATE);
    this.#erase();
    for (const piece of text) this.#append(piece);
    const shown = lines.slice(-this.rows);
    const rows = shown.flatMap((line): Piece[] => [NEXT_LINE, line]);
    this.#terminal.write(roomBelow(shown.length), SAVE_CURSOR, ...rows, RESTORE_CURSOR, END_UPDATE);
    this.#drawn = true;
  }

  /** Erases the pane, and ends the last line of the text. The cursor is visible after it. */
  close(): void {
    if (this.#drawn) this.#erase();
    this.#drawn = false;
    if (!this.#row.isEmpty) this.#append({ text: { sequence: '\n' } });
    this.#terminal.showCursor();
  }

  #append({ text, style }: TextPiece): void {
    if (text.sequence === '') return;
    this.#row.add(text.sequence, this.#terminal.columns);
    if (style === undefined) this.#out.write(text);
    else this.#terminal.write({ style, text });
  }

  /**
   * In a full row, the cursor stands on the last character, and the next one would replace it. That character
   * is written again, so that the terminal goes to the next row by itself.
   */
  #erase(): void {
    if (!this.#drawn) return;
    const end = this.#row.fullEnd(this.#terminal.columns);
    if (!end) this.#terminal.write(ERASE_BELOW);
    else this.#terminal.write(toColumn(end.column), ERASE_BELOW, end.text);
  }
}

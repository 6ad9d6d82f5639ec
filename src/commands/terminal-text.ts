/**
 * Widths of text on a terminal: East Asian characters and emoji take two columns, combining marks take none.
 * Pure.
 */
import stringWidth from 'string-width';

const graphemes = new Intl.Segmenter();

/**
 * The number of terminal rows that `text` covers. A wide character that does not fit at the end of a row goes
 * to the next row.
 */
export function rowsOf(text: string, columns: number): number {
  let [rows, used] = [1, 0];
  for (const { segment } of graphemes.segment(text)) {
    const width = stringWidth(segment);
    if (used + width > columns) [rows, used] = [rows + 1, 0];
    used += width;
  }
  return rows;
}

/** Cuts `text` to at most `columns` columns. Never cuts inside a character. */
export function cutToColumns(text: string, columns: number): string {
  let end = 0;
  let used = 0;
  for (const { segment, index } of graphemes.segment(text)) {
    used += stringWidth(segment);
    if (used > columns) break;
    end = index + segment.length;
  }
  return text.slice(0, end);
}

/** Cuts `text` to at most `columns` columns. A cut text ends with an ellipsis. */
export function fitToColumns(text: string, columns: number): string {
  if (stringWidth(text) <= columns) return text;
  return columns < 2 ? cutToColumns(text, columns) : `${cutToColumns(text, columns - 1).trimEnd()}…`;
}

/** Joins the first `parts` that fit into `columns` columns together, at least one. */
export function joinWithin(parts: readonly string[], separator: string, columns: number): string {
  let joined = parts[0] ?? '';
  for (const part of parts.slice(1)) {
    const longer = `${joined}${separator}${part}`;
    if (stringWidth(longer) <= columns) joined = longer;
  }
  return fitToColumns(joined, columns);
}

/** The last character of a row that is full to its last column. */
export interface RowEnd {
  readonly text: string;
  /** The column in which it begins, from 0. */
  readonly column: number;
}

/** Terminals disagree about the width of these: old ones draw each code point, new ones one picture. */
const DISPUTED = /\p{Extended_Pictographic}|\p{Regional_Indicator}|\p{Mc}|\u200d|\ufe0f|\u20e3/u;

/** The least and the greatest number of columns of a character, on any terminal. */
function widthsOf(character: string): readonly [least: number, most: number] {
  const width = stringWidth(character);
  if (!DISPUTED.test(character)) return [width, width];
  const parts = Array.from(character, (point) => Math.max(1, stringWidth(point)));
  return [1, Math.max(width, 2 * parts.length)];
}

/**
 * Follows the cursor through text that a terminal wraps. The column is known exactly, except in a row with
 * disputed characters: such a row gets a line feed before it can be full, on any terminal.
 */
export class TextRow {
  /** The columns of the current row that are in use, at most. */
  #used = 0;
  /** False: the row has disputed characters, so fewer columns may be in use. */
  #isExact = true;
  /** The last character of the row, which a next piece can extend. */
  #last = '';
  #lastWidth = 0;

  /** True if the row has no text. */
  get isEmpty(): boolean {
    return this.#used === 0;
  }

  /**
   * Adds text to the row.
   * @param columns width of the terminal
   * @returns the text with the line feeds that rows with disputed characters need
   */
  add(text: string, columns: number): string {
    let written = '';
    for (const { segment } of graphemes.segment(text)) {
      if (segment.includes('\n')) this.begin();
      else if (this.#put(segment, columns)) written += '\n';
      written += segment;
    }
    return written;
  }

  /** Begins an empty row. */
  begin(): void {
    [this.#used, this.#isExact, this.#last, this.#lastWidth] = [0, true, '', 0];
  }

  /**
   * The last character, if the row is full: the cursor then stands on it, and the next one begins a new row.
   * Undefined if there is room in the row.
   */
  fullEnd(columns: number): RowEnd | undefined {
    if (!this.#isExact || this.#used < columns || this.#lastWidth === 0) return undefined;
    return { text: this.#last, column: columns - this.#lastWidth };
  }

  /** Puts a character into the row, or into the next one. Returns true if a line feed must precede it. */
  #put(character: string, columns: number): boolean {
    const [least, most] = widthsOf(character);
    // A mark without a width belongs to the last character.
    if (most === 0) {
      this.#last += character;
      return false;
    }
    const isDisputed = least !== most || !this.#isExact;
    const feeds = isDisputed && this.#used > 0 && this.#used + most >= columns;
    if (feeds || this.#used + most > columns) this.begin();
    this.#isExact &&= least === most;
    this.#used += most;
    [this.#last, this.#lastWidth] = [character, most];
    return feeds;
  }
}

/**
 * Widths of text on a terminal: East Asian characters and emoji take two columns, combining marks take none.
 * Pure.
 */
import stringWidth from 'string-width';

const graphemes = new Intl.Segmenter();

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

/**
 * Follows the cursor through text that a terminal wraps, as far as needed: the column is known only within the
 * current row. A wide character that does not fit at the end of a row goes to the next row.
 */
export class TextRow {
  /** The text of the current row. */
  #row = '';

  /** True if the row has no text. */
  get isEmpty(): boolean {
    return this.#row === '';
  }

  /** @param columns width of the terminal while the text is written */
  add(text: string, columns: number): void {
    const lineFeed = text.lastIndexOf('\n');
    this.#row = lineFeed === -1 ? this.#row + text : text.slice(lineFeed + 1);
    this.#row = this.#row.slice(this.#lastRow(columns).start);
  }

  /**
   * The last character, if the row is full: the cursor then stands on it, and the next character begins a new
   * row. Undefined if there is room in the row.
   */
  fullEnd(columns: number): RowEnd | undefined {
    const { used, last, lastWidth } = this.#lastRow(columns);
    return used >= columns && lastWidth > 0 ? { text: last, column: columns - lastWidth } : undefined;
  }

  #lastRow(columns: number): { start: number; used: number; last: string; lastWidth: number } {
    let [start, used, last, lastWidth] = [0, 0, '', 0];
    for (const { segment, index } of graphemes.segment(this.#row)) {
      const width = stringWidth(segment);
      if (used + width > columns) [start, used] = [index, 0];
      used += width;
      [last, lastWidth] = [segment, width];
    }
    return { start, used, last, lastWidth };
  }
}

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
  let rows = 1;
  let used = 0;
  for (const { segment } of graphemes.segment(text)) {
    const width = stringWidth(segment);
    if (used + width > columns) {
      rows += 1;
      used = 0;
    }
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

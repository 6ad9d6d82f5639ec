/** A table for a terminal: columns as wide as their longest cell. Cleans all cells. Pure. */
import stringWidth from 'string-width';
import { harmless } from '../narration/sanitize.ts';
import { fitToColumns } from './terminal-text.ts';

export interface Column<Row> {
  readonly title: string;
  readonly cell: (row: Row) => string;
  /** True for numbers. */
  readonly right?: true;
  /** Longest text in columns; a longer one ends with an ellipsis. */
  readonly most?: number;
}

const GAP = '  ';

/** The table with its titles. Each line ends with a line feed, and no line ends with a space. */
export function textTable<Row>(columns: readonly Column<Row>[], rows: readonly Row[]): string {
  const lines = [
    columns.map(({ title }) => title),
    ...rows.map((row) => columns.map((column) => shown(column.cell(row), column.most))),
  ];
  const widths = columns.map((_, index) => Math.max(...lines.map((line) => stringWidth(line[index] ?? ''))));
  return lines.map((line) => `${joined(line, columns, widths).trimEnd()}\n`).join('');
}

function joined<Row>(line: readonly string[], columns: readonly Column<Row>[], widths: readonly number[]): string {
  return line
    .map((text, index) => {
      const space = ' '.repeat((widths[index] ?? 0) - stringWidth(text));
      return columns[index]?.right ? space + text : text + space;
    })
    .join(GAP);
}

/** An empty cell is a dash, so that every row has the same number of words. */
function shown(text: string, most = Number.POSITIVE_INFINITY): string {
  const clean = harmless(text).trim();
  if (clean === '') return '-';
  return fitToColumns(clean, most);
}

const UNITS = [
  { unit: 'd', seconds: 86_400 },
  { unit: 'h', seconds: 3600 },
  { unit: 'm', seconds: 60 },
] as const;

/** A length of time as its two largest units: `12s`, `3m 20s`, `2d 4h`. */
export function shortTime(seconds: number): string {
  const whole = Math.max(0, Math.floor(seconds));
  const at = UNITS.findIndex((one) => whole >= one.seconds);
  const large = UNITS[at];
  if (!large) return `${whole}s`;
  const small = UNITS[at + 1] ?? { unit: 's', seconds: 1 };
  const rest = Math.floor((whole % large.seconds) / small.seconds);
  return `${Math.floor(whole / large.seconds)}${large.unit}${rest === 0 ? '' : ` ${rest}${small.unit}`}`;
}

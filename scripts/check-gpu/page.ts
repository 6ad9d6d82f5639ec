/**
 * The results as Markdown: sections with tables, which replace the text between two markers of a page or make
 * a file of their own. The page is written after every part, so that a run that is cut off leaves its tables.
 */
import { lstatSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';

export const BEGIN = '<!-- check:gpu begin -->';
export const END = '<!-- check:gpu end -->';
/** Most columns of a line of Markdown, tables excepted. */
const COLUMNS = 120;

export interface Section {
  readonly title: string;
  /** Paragraphs before the table. */
  readonly text?: readonly string[];
  readonly head?: readonly string[];
  readonly rows?: readonly (readonly string[])[];
}

/** A Markdown table. A bar in a cell would end the cell, and a line break the row. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell) => cell.replaceAll('|', '\\|').replace(/\s+/g, ' ')).join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}

/** A paragraph in lines of at most 120 columns. */
export function wrapped(paragraph: string): string {
  const lines: string[] = [];
  let line = '';
  for (const word of paragraph.trim().split(/\s+/)) {
    if (line !== '' && line.length + 1 + word.length > COLUMNS) {
      lines.push(line);
      line = word;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, line].join('\n');
}

export function markdownOf(sections: readonly Section[]): string {
  const blocks = sections.flatMap(({ title, text = [], head, rows = [] }) => [
    `### ${title}`,
    ...text.map(wrapped),
    ...(head && rows.length > 0 ? [table(head, rows)] : []),
  ]);
  return `${blocks.join('\n\n')}\n`;
}

/**
 * A page with other text between its markers.
 * @throws Error for a page without the two markers in this order, once each
 */
export function withMarked(page: string, text: string): string {
  const [before, rest, ...more] = page.split(BEGIN);
  const [, after, ...others] = rest?.split(END) ?? [];
  if (before === undefined || after === undefined || more.length > 0 || others.length > 0)
    throw new Error(`The page must have ${BEGIN} and ${END} once each, in this order`);
  return `${before}${BEGIN}\n\n${text.trim()}\n\n${END}${after}`;
}

/** Text of a file; undefined if it does not exist. */
function textOf(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
}

/** Writes a file in one step, so that a full disk leaves the text before. A device or a link is written to. */
function writeWhole(file: string, text: string): void {
  if (lstatSync(file, { throwIfNoEntry: false })?.isFile() === false) {
    writeFileSync(file, text);
    return;
  }
  const beside = `${file}.${process.pid}.part`;
  try {
    writeFileSync(beside, text);
    renameSync(beside, file);
  } finally {
    rmSync(beside, { force: true });
  }
}

/** Collects sections, and writes them to a file. Tables that could not be written are printed at the end. */
export class Page {
  readonly #file: string;
  readonly #sections = new Map<string, Section>();
  /** Why the last text is not in the file. */
  #problem: string | undefined;

  readonly #report: (text: string) => void;

  /**
   * @param file a page with markers, whose marked text is replaced, or any other file, which is replaced.
   * @param report gets a sentence when the file cannot be written
   */
  constructor(file: string, report: (text: string) => void = (text) => void process.stderr.write(text)) {
    this.#file = file;
    this.#report = report;
  }

  /** Adds a section, or replaces the one with this title, and writes the file. Never throws. */
  put(section: Section): void {
    this.#sections.set(section.title, section);
    const text = markdownOf([...this.#sections.values()]);
    const before = this.#problem;
    try {
      mkdirSync(dirname(this.#file), { recursive: true });
      const page = textOf(this.#file) ?? '';
      writeWhole(this.#file, page.includes(BEGIN) ? withMarked(page, text) : text);
      this.#problem = undefined;
    } catch (error) {
      this.#problem = error instanceof Error ? error.message : String(error);
    }
    if (this.#problem !== undefined && this.#problem !== before)
      this.#report(`The tables are not written, and are printed at the end: ${this.#problem}\n`);
  }

  /** Prints the tables that are not in the file. */
  finish(print: (text: string) => void = (text) => void process.stdout.write(text)): void {
    if (this.#problem !== undefined) print(markdownOf([...this.#sections.values()]));
    this.#problem = undefined;
  }
}

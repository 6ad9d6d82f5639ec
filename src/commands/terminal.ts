/**
 * The only writer of the commands to standard output and standard error. Text from models, hubs, files and
 * errors can contain sequences that a terminal would execute, so all text is made harmless here. Control
 * sequences come only from the constants and functions of this file. The text of a model in a file or a pipe
 * is the one exception: it stays as it is, so that a script gets the same text.
 */
import { fstatSync, type Stats } from 'node:fs';
import type { Writable } from 'node:stream';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { type TerminalSettings, terminalSettings } from '../config/host/terminal-settings.ts';
import { harmless, harmlessLines } from '../narration/sanitize.ts';

/** The styles, as the numbers of SGR (ECMA-48) that begin and end them. */
const STYLES = { cyan: [36, 39], dim: [2, 22], green: [32, 39], red: [31, 39], bold: [1, 22] } as const;
export type Style = keyof typeof STYLES;

/** Text in a style. A string is made harmless first. */
interface Styled {
  readonly style: Style;
  readonly text: string | Sequence;
}

/** A control sequence or a clean text of this file, which is written unchanged. */
export interface Sequence {
  readonly sequence: string;
}

export type Piece = string | Styled | Sequence;

/** Moves to the start of the line. */
export const LINE_START: Sequence = { sequence: '\r' };
/** Moves to the start of the next line, which exists. */
export const NEXT_LINE: Sequence = { sequence: '\r\n' };
/** Erases the rest of the line. */
export const ERASE_LINE: Sequence = { sequence: '\x1b[K' };
/** Erases everything from the cursor on. */
export const ERASE_BELOW: Sequence = { sequence: '\x1b[J' };
/** Between these two, a terminal shows no half-finished drawing (synchronized updates). Others skip them. */
export const BEGIN_UPDATE: Sequence = { sequence: '\x1b[?2026h' };
export const END_UPDATE: Sequence = { sequence: '\x1b[?2026l' };
/** Remember the place of the cursor, and return to it. */
export const SAVE_CURSOR: Sequence = { sequence: '\x1b7' };
export const RESTORE_CURSOR: Sequence = { sequence: '\x1b8' };
const HIDE_CURSOR: Sequence = { sequence: '\x1b[?25l' };
const SHOW_CURSOR: Sequence = { sequence: '\x1b[?25h' };

/** Makes room for `rows` rows below the cursor. The screen scrolls if needed; the cursor keeps its column. */
export function roomBelow(rows: number): Sequence {
  return { sequence: `${'\x1bD'.repeat(rows)}${up(rows).sequence}` };
}

/** Moves up by `rows` rows. */
export function up(rows: number): Sequence {
  return { sequence: rows > 0 ? `\x1b[${rows}A` : '' };
}

/** Moves to a column of this row, from 0. */
export function toColumn(column: number): Sequence {
  return { sequence: `\x1b[${column + 1}G` };
}

/** A character that is no part of an emoji: the text after it can be cleaned without it. */
const NEUTRAL_END = /[\p{L} .,]$/u;

/** Cleans a line that arrives in pieces: a token can end between the parts of an emoji. */
export class PieceCleaner {
  /** The end of the line that can belong to an unfinished emoji, and its clean form. */
  #tail = '';
  #cleanTail = '';

  /** The clean form of the next piece. */
  next(piece: string): Sequence {
    const shown = this.#cleanTail.length;
    this.#tail += piece;
    // A hidden character at the end is left out, and comes back if the next piece completes an emoji.
    const clean = harmless(this.#tail);
    const isNeutral = NEUTRAL_END.test(this.#tail);
    this.#tail = isNeutral ? '' : this.#tail;
    this.#cleanTail = isNeutral ? '' : clean;
    return { sequence: clean.slice(shown) };
  }
}

/** Columns of a tab in the text of a model. */
const TAB = '    ';

/** The text of a model, piece by piece, for a terminal: without harmful characters, with its line feeds. */
export class ModelText {
  #cleaner = new PieceCleaner();

  /** The clean form of the next piece. */
  next(piece: string): Sequence {
    const [first = '', ...others] = piece.replaceAll('\t', TAB).split('\n');
    let clean = this.#cleaner.next(first).sequence;
    for (const line of others) {
      this.#cleaner = new PieceCleaner();
      clean += `\n${this.#cleaner.next(line).sequence}`;
    }
    return { sequence: clean };
  }
}

/** The output cannot be written, for example because the disk is full. Exit code 1. */
export class OutputError extends Error {
  override readonly name = 'OutputError';

  constructor(cause: Error) {
    super(`The output cannot be written: ${cause.message}`, { cause });
  }
}

/** Streams with a listener for errors. */
const handled = new WeakSet<Writable>();

export class Terminal {
  readonly #stream: NodeJS.WriteStream;
  readonly #settings: TerminalSettings;
  #showCursor: (() => void) | undefined;

  constructor(stream: NodeJS.WriteStream, settings: TerminalSettings = terminalSettings(stream.isTTY)) {
    this.#stream = stream;
    this.#settings = settings;
  }

  static stdout(): Terminal {
    return new Terminal(withoutBrokenPipe(process.stdout));
  }

  static stderr(): Terminal {
    return new Terminal(withoutBrokenPipe(process.stderr));
  }

  /** True for a terminal, false for a file or a pipe. */
  get isTTY(): boolean {
    return this.#stream.isTTY;
  }

  /** True for a file on a disk. */
  get isFile(): boolean {
    return this.#stat()?.isFile() === true;
  }

  /** True if the cursor can move and text can be erased. */
  get canRedraw(): boolean {
    return this.#settings.motion;
  }

  get columns(): number {
    return this.#stream.columns || 80;
  }

  get rows(): number {
    return this.#stream.rows || 24;
  }

  /** True if both write to the same terminal, file or pipe. */
  sharesTargetWith(other: Terminal): boolean {
    const [mine, theirs] = [this.#target(), other.#target()];
    return mine !== undefined && mine === theirs;
  }

  /** Writes text of any origin. */
  write(...pieces: readonly Piece[]): void {
    const text = pieces.map((piece) => this.#printable(piece)).join('');
    if (text !== '') this.#stream.write(text);
  }

  /** Writes text of a model to a file or a pipe as it is. A terminal needs `ModelText`. */
  writeExactly(text: string): void {
    this.#stream.write(text);
  }

  /**
   * Writes text of any origin. Resolves when it is written: a process that exits at once would lose it.
   * @throws OutputError if it cannot be written; never for a reader that has gone
   */
  async print(text: string): Promise<void> {
    await this.#written(harmlessLines(text));
  }

  /**
   * Prints a path of this machine on a line. A file or a pipe gets it unchanged, because a script must find
   * the same path.
   * @throws OutputError as `print`
   */
  async printPath(path: string): Promise<void> {
    await this.#written(`${this.isTTY ? harmlessLines(path) : path}\n`);
  }

  /** Hides the cursor until `showCursor`, until this process exits, and while Ctrl-Z stops it. */
  hideCursor(): void {
    if (!this.canRedraw || this.#showCursor) return;
    const show = (): void => this.write(SHOW_CURSOR);
    const hide = (): void => this.write(HIDE_CURSOR);
    const stop = (): void => {
      show();
      process.kill(process.pid, 'SIGSTOP');
    };
    const listeners = [['exit', show] as const, ['SIGTSTP', stop] as const, ['SIGCONT', hide] as const];
    for (const [event, listener] of listeners) process.on(event, listener);
    this.#showCursor = () => {
      for (const [event, listener] of listeners) process.off(event, listener);
      show();
    };
    hide();
  }

  showCursor(): void {
    this.#showCursor?.();
    this.#showCursor = undefined;
  }

  /** Calls `resized` after each change of the size of the terminal. Returns a function that ends this. */
  onResize(resized: () => void): () => void {
    this.#stream.on('resize', resized);
    return () => void this.#stream.off('resize', resized);
  }

  /** Resolves when all earlier text is written, or has failed: `onClosed` has been called by then. */
  async flushed(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#stream.write('', () => resolve());
    });
    await nextTurn();
  }

  /** Calls `closed` once, when the reader has closed the stream, or when it cannot be written. */
  onClosed(closed: (error: NodeJS.ErrnoException) => void): void {
    this.#stream.once('error', closed);
  }

  /** The stream, for a line editor. */
  get stream(): NodeJS.WriteStream {
    return this.#stream;
  }

  #printable(piece: Piece): string {
    if (typeof piece === 'string') return harmlessLines(piece);
    if ('sequence' in piece) return piece.sequence;
    const text = typeof piece.text === 'string' ? harmlessLines(piece.text) : piece.text.sequence;
    if (!this.#settings.styles || text === '') return text;
    const [begin, end] = STYLES[piece.style];
    return `\x1b[${begin}m${text}\x1b[${end}m`;
  }

  #target(): string | undefined {
    const stat = this.#stat();
    return stat && `${stat.dev} ${stat.ino} ${stat.rdev}`;
  }

  #stat(): Stats | undefined {
    const { fd } = this.#stream as { readonly fd?: number };
    try {
      return fd === undefined ? undefined : fstatSync(fd);
    } catch {
      return undefined;
    }
  }

  #written(text: string): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#stream.write(text, (error) => (error && !isClosed(error) ? reject(new OutputError(error)) : resolve()));
    });
  }
}

/** True if the reader of a pipe or the terminal has closed it, which is no failure of the command. */
export const isClosed = ({ code }: NodeJS.ErrnoException): boolean => code === 'EPIPE' || code === 'EIO';

/** Without a listener, Node.js ends the process with a stack when a write fails. */
function withoutBrokenPipe(stream: NodeJS.WriteStream): NodeJS.WriteStream {
  if (!handled.has(stream)) stream.on('error', () => undefined);
  handled.add(stream);
  return stream;
}

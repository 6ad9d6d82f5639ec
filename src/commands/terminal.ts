/**
 * The only writer of the commands to standard output and standard error. Text from models, hubs, files and
 * errors can contain sequences that a terminal would execute, so all text is made harmless here. Sequence
 * sequences come only from the constants and functions of this file.
 */
import { styleText } from 'node:util';
import { harmless, harmlessLines } from '../narration/sanitize.ts';

/** Text in a style. The text is made harmless first. */
interface Styled {
  readonly style: 'cyan' | 'dim' | 'green';
  readonly text: string;
}

/** A control sequence or a clean text of this file, which is written unchanged. */
interface Sequence {
  readonly sequence: string;
}

export type Piece = string | Styled | Sequence;

/** Moves to the start of the line. */
export const LINE_START: Sequence = { sequence: '\r' };
/** Erases the rest of the line. */
export const ERASE_LINE: Sequence = { sequence: '\x1b[K' };

/** Moves to the start of the line that is `rows` rows above, and erases everything from there on. */
export function eraseFrom(rows: number): Sequence {
  return { sequence: `\r${rows > 0 ? `\x1b[${rows}A` : ''}\x1b[J` };
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

export class Terminal {
  readonly #stream: NodeJS.WriteStream;

  constructor(stream: NodeJS.WriteStream) {
    this.#stream = stream;
  }

  static stdout(): Terminal {
    return new Terminal(process.stdout);
  }

  static stderr(): Terminal {
    return new Terminal(process.stderr);
  }

  /** True for a terminal, false for a file or a pipe. */
  get isTTY(): boolean {
    return this.#stream.isTTY;
  }

  get columns(): number {
    return this.#stream.columns || 80;
  }

  /** Writes text of any origin. */
  write(...pieces: readonly Piece[]): void {
    this.#stream.write(pieces.map(printable).join(''));
  }

  /** Writes text of any origin. Resolves when it is written: a process that exits at once would lose it. */
  async print(text: string): Promise<void> {
    await this.#written(harmlessLines(text));
  }

  /**
   * Prints a path of this machine on a line. A file or a pipe gets it unchanged, because a script must find
   * the same path.
   */
  async printPath(path: string): Promise<void> {
    await this.#written(`${this.isTTY ? harmlessLines(path) : path}\n`);
  }

  #written(text: string): Promise<void> {
    return new Promise((resolve) => this.#stream.write(text, () => resolve()));
  }
}

function printable(piece: Piece): string {
  if (typeof piece === 'string') return harmlessLines(piece);
  return 'sequence' in piece ? piece.sequence : styleText(piece.style, harmlessLines(piece.text));
}

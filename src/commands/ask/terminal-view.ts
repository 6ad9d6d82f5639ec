/**
 * Shows one request to its user: narration and output as they arrive, each line with its label. On a
 * terminal, the unfinished output line grows token by token at the bottom. A file or a pipe gets whole lines
 * only. Writes only to the given stream.
 */
import { eraseFrom, type Piece, PieceCleaner, type Terminal } from '../terminal.ts';
import { rowsOf } from '../terminal-text.ts';

const OUTPUT = '[Output]';
const OUTPUT_LABEL: Piece = { style: 'green', text: OUTPUT };
const NARRATION_LABEL: Piece = { style: 'cyan', text: '[Narration]' };

export class TerminalView {
  readonly #out: Terminal;
  /** The unfinished output line, as it is shown. */
  #line = '';
  /** Cleans the unfinished line. */
  #cleaner = new PieceCleaner();

  constructor(out: Terminal) {
    this.#out = out;
  }

  /** Writes a narration above the unfinished output line. `cute` is absent with `--narration human`. */
  narration(human: string, cute: string | undefined): void {
    const end: Piece = cute === undefined ? '' : { style: 'dim', text: ` ${cute}` };
    this.#erase();
    this.#out.write(NARRATION_LABEL, ` ${human}`, end, '\n');
    this.#draw();
  }

  /**
   * Appends text of the output. Removes control characters and invisible ones: a model can generate any
   * character, and a terminal would execute control sequences.
   */
  token(text: string): void {
    const [first = '', ...later] = text.split('\n');
    this.#grow(first);
    for (const line of later) {
      this.#finishLine();
      this.#grow(line);
    }
  }

  /** Ends the output and writes a last line. */
  end(summary: string): void {
    this.#finishLine();
    this.#out.write({ style: 'dim', text: summary }, '\n');
  }

  #grow(piece: string): void {
    const clean = this.#cleaner.next(piece);
    if (clean.sequence === '') return;
    if (this.#out.isTTY) this.#out.write(...(this.#line === '' ? [OUTPUT_LABEL, ' '] : []), clean);
    this.#line += clean.sequence;
  }

  #finishLine(): void {
    this.#cleaner = new PieceCleaner();
    if (this.#line === '') return;
    this.#out.write(...(this.#out.isTTY ? [] : [OUTPUT_LABEL, ` ${this.#line}`]), '\n');
    this.#line = '';
  }

  #draw(): void {
    if (this.#out.isTTY && this.#line !== '') this.#out.write(OUTPUT_LABEL, ` ${this.#line}`);
  }

  /** Erases the unfinished line from the terminal, with all rows that it covers. */
  #erase(): void {
    if (!this.#out.isTTY || this.#line === '') return;
    this.#out.write(eraseFrom(rowsOf(`${OUTPUT} ${this.#line}`, this.#out.columns) - 1));
  }
}

/**
 * Shows one request to its user: narration and output as they arrive, each line with its label. On a
 * terminal, the unfinished output line grows token by token at the bottom. A file or a pipe gets whole lines
 * only. Writes only to the given stream.
 */
import { styleText } from 'node:util';
import { rowsOf } from '../terminal-text.ts';

const NARRATION = '[Narration]';
const OUTPUT = '[Output]';

export class TerminalView {
  readonly #out: NodeJS.WriteStream;
  /** The unfinished output line. */
  #line = '';

  constructor(out: NodeJS.WriteStream) {
    this.#out = out;
  }

  /** Writes a narration above the unfinished output line. `cute` is absent with `--narration human`. */
  narration(human: string, cute: string | undefined): void {
    const text = cute === undefined ? human : `${human} ${styleText('dim', cute)}`;
    this.#erase();
    this.#out.write(`${styleText('cyan', NARRATION)} ${text}\n`);
    this.#draw();
  }

  /**
   * Appends text of the output. Removes control characters except the line feed: a model can generate any
   * character, and a terminal would execute control sequences.
   */
  token(text: string): void {
    const [first = '', ...later] = text.replace(/[^\P{Cc}\n]/gu, '').split('\n');
    this.#grow(first);
    for (const line of later) {
      this.#finishLine();
      this.#grow(line);
    }
  }

  /** Ends the output and writes a last line. */
  end(summary: string): void {
    this.#finishLine();
    this.#out.write(`${styleText('dim', summary)}\n`);
  }

  #grow(text: string): void {
    if (text === '') return;
    if (this.#out.isTTY) this.#out.write(this.#line === '' ? `${styleText('green', OUTPUT)} ${text}` : text);
    this.#line += text;
  }

  #finishLine(): void {
    if (this.#line === '') return;
    this.#out.write(this.#out.isTTY ? '\n' : `${styleText('green', OUTPUT)} ${this.#line}\n`);
    this.#line = '';
  }

  #draw(): void {
    if (this.#out.isTTY && this.#line !== '') this.#out.write(`${styleText('green', OUTPUT)} ${this.#line}`);
  }

  /** Erases the unfinished line from the terminal, with all rows that it covers. */
  #erase(): void {
    if (!this.#out.isTTY || this.#line === '') return;
    const above = rowsOf(`${OUTPUT} ${this.#line}`, this.#out.columns || 80) - 1;
    this.#out.write(`\r${above > 0 ? `\x1b[${above}A` : ''}\x1b[J`);
  }
}

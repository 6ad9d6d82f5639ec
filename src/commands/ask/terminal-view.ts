/**
 * What a user sees of one request: narration and output as they come, each line under its label. On a terminal the unfinished line of
 * output grows token by token at the bottom; in a file or pipe every line is written once, whole.
 */
import { styleText } from 'node:util';

const NARRATION = '[Narration]';
const OUTPUT = '[Output]';

const graphemes = new Intl.Segmenter();

export class TerminalView {
  readonly #out: NodeJS.WriteStream;
  /** The line of output that has no end yet. */
  #line = '';

  constructor(out: NodeJS.WriteStream) {
    this.#out = out;
  }

  narration(human: string, cute: string | undefined): void {
    const words = cute === undefined ? human : `${human} ${styleText('dim', cute)}`;
    this.#erase();
    this.#out.write(`${styleText('cyan', NARRATION)} ${words}\n`);
    this.#draw();
  }

  /** A model can write anything: control characters but the line end are not for a terminal. */
  token(text: string): void {
    const [first = '', ...later] = text.replace(/[^\P{Cc}\n]/gu, '').split('\n');
    this.#grow(first);
    for (const line of later) {
      this.#finishLine();
      this.#grow(line);
    }
  }

  /** The request is over: the rest of the output, then a closing line. */
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

  /** Takes the unfinished line off the terminal, all rows that it covers. */
  #erase(): void {
    if (!this.#out.isTTY || this.#line === '') return;
    const above = Math.ceil(columnsOf(`${OUTPUT} ${this.#line}`) / (this.#out.columns || 80)) - 1;
    this.#out.write(`\r${above > 0 ? `\x1b[${above}A` : ''}\x1b[J`);
  }
}

/** Columns a line takes on a terminal: pictographs are two wide. */
function columnsOf(line: string): number {
  let columns = 0;
  for (const { segment } of graphemes.segment(line)) columns += /\p{Extended_Pictographic}/u.test(segment) ? 2 : 1;
  return columns;
}

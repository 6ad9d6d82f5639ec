/**
 * What a user sees of one request: the narration as it comes, the output below it. On a terminal the output stays last and grows
 * token by token; in a file or pipe every line is written once, whole.
 */
import { styleText } from 'node:util';

const NARRATION = '[Narration]';
const OUTPUT = '[Output]';

export class Screen {
  readonly #out: NodeJS.WriteStream;
  #output = '';
  /** Characters of the output that a pipe has been given. */
  #written = 0;
  /** Rows that the output block covers on a terminal now. */
  #rows = 0;

  constructor(out: NodeJS.WriteStream) {
    this.#out = out;
  }

  narration(human: string, cute: string | undefined): void {
    const words = cute === undefined ? human : `${human} ${styleText('dim', cute)}`;
    this.#above(`${styleText('cyan', NARRATION)} ${words}`);
  }

  token(text: string): void {
    this.#output += text;
    if (this.#out.isTTY) this.#redraw('');
    else this.#writeLines(this.#output.lastIndexOf('\n') + 1);
  }

  /** The request is over: whatever is left of the output, then one line of figures. */
  end(summary: string): void {
    if (this.#out.isTTY) this.#out.write('\n');
    else this.#writeLines(this.#output.length);
    this.#out.write(`${styleText('dim', summary)}\n`);
  }

  #above(line: string): void {
    if (this.#out.isTTY) this.#redraw(`${line}\n`);
    else this.#out.write(`${line}\n`);
  }

  /** Writes the output up to `end`, a line at a time, each under its label. */
  #writeLines(end: number): void {
    const fresh = this.#output.slice(this.#written, end);
    this.#written = Math.max(this.#written, end);
    for (const line of fresh.split('\n')) if (line !== '') this.#out.write(`${styleText('green', OUTPUT)} ${line}\n`);
  }

  /** Erases the output block, writes what belongs above it, and draws the block again. */
  #redraw(above: string): void {
    const erase = this.#rows > 0 ? `\r${this.#rows > 1 ? `\x1b[${this.#rows - 1}A` : ''}\x1b[J` : '';
    const lines = this.#output === '' ? [] : [OUTPUT, ...this.#output.split('\n')];
    this.#rows = lines.reduce(
      (rows, line) => rows + Math.max(1, Math.ceil(columnsOf(line) / (this.#out.columns || 80))),
      0,
    );
    const block = lines.map((line, index) => (index === 0 ? styleText('green', line) : line)).join('\n');
    this.#out.write(`${erase}${above}${block}`);
  }
}

/** Columns a line takes on a terminal: pictographs are two wide. */
function columnsOf(line: string): number {
  let columns = 0;
  for (const { segment } of new Intl.Segmenter().segment(line))
    columns += /\p{Extended_Pictographic}/u.test(segment) ? 2 : 1;
  return columns;
}

/** The answer on standard output: exactly the text of the model, and a line feed at its end. */
import { ModelText, type Terminal } from '../../terminal.ts';

export class AnswerOutput {
  readonly #out: Terminal;
  /** Cleans the text for a terminal. A file or a pipe gets it unchanged. */
  readonly #clean: ModelText | undefined;
  #hasText = false;
  #endsLine = true;

  constructor(out: Terminal) {
    this.#out = out;
    this.#clean = out.isTTY ? new ModelText() : undefined;
  }

  get hasText(): boolean {
    return this.#hasText;
  }

  write(text: string): void {
    this.#hasText = true;
    this.#endsLine = text.endsWith('\n');
    if (this.#clean) this.#out.write(this.#clean.next(text));
    else this.#out.writeExactly(text);
  }

  /** Ends the last line. */
  end(): void {
    if (!this.#endsLine) this.#out.writeExactly('\n');
    this.#endsLine = true;
  }
}

/**
 * The lines of a chat: from a line editor on a terminal, from a pipe or a file as they are. While an answer
 * runs, the terminal is in its normal mode, so that Ctrl-C is a signal.
 */
import { createInterface, type Interface } from 'node:readline';
import type { Streams } from '../view/open-view.ts';

export interface LineOptions {
  /** The newest first. */
  readonly history: string[];
  /** Called for Ctrl-C on an empty line. */
  readonly interrupted: () => void;
}

export class LineReader {
  readonly #interface: Interface;
  /** True if a person types: only then a prompt is shown. */
  readonly isInteractive: boolean;
  readonly #lines: string[] = [];
  #isClosed = false;
  #arrived: () => void = () => undefined;

  constructor({ out, err }: Streams, { history, interrupted }: LineOptions) {
    const output = out.isTTY ? out : err;
    this.isInteractive = process.stdin.isTTY && output.isTTY;
    const editor = { output: output.stream, terminal: output.canRedraw, history, removeHistoryDuplicates: true };
    this.#interface = createInterface({ input: process.stdin, ...(this.isInteractive && editor) });
    this.#interface.on('line', (line) => {
      this.#lines.push(line);
      this.#arrived();
    });
    this.#interface.on('close', () => {
      this.#isClosed = true;
      this.#arrived();
    });
    this.#interface.on('SIGINT', () => {
      if (this.#interface.line === '') interrupted();
      // The two halves of the line around the cursor.
      for (const name of ['u', 'k']) this.#interface.write(null, { ctrl: true, name });
      this.#interface.prompt();
    });
  }

  /** The next line; undefined at the end of the input. */
  async next(prompt: string): Promise<string | undefined> {
    if (this.#lines.length === 0 && !this.#isClosed) {
      this.#raw(true);
      this.#interface.setPrompt(this.isInteractive ? prompt : '');
      if (this.isInteractive) this.#interface.prompt();
      else this.#interface.resume();
      await new Promise<void>((resolve) => {
        this.#arrived = resolve;
      });
      this.#arrived = () => undefined;
      this.#raw(false);
    }
    return this.#lines.shift();
  }

  close(): void {
    this.#interface.close();
  }

  #raw(isRaw: boolean): void {
    if (this.#isClosed || !this.isInteractive || !this.#interface.terminal) return;
    if (!isRaw) this.#interface.pause();
    process.stdin.setRawMode(isRaw);
  }
}

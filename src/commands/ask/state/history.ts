/** The questions of earlier chats, for the arrow keys. One JSON text a line, the oldest first. */
import { StateFile } from './state-file.ts';

const FILE = 'history.jsonl';
/** Most questions that are kept. */
export const MAX_HISTORY = 500;

export class History {
  readonly #file = new StateFile(FILE);
  readonly #entries: string[];

  constructor() {
    const lines = (this.#file.read() ?? '').split('\n').filter((line) => line !== '');
    this.#entries = lines.flatMap(textOf).slice(-MAX_HISTORY);
  }

  /** The newest first, as a line editor wants them. Each on one line. */
  get newestFirst(): string[] {
    return this.#entries.map((entry) => entry.replaceAll(/\s*\n\s*/g, ' ')).reverse();
  }

  /** Adds a question, and writes the file. A file that cannot be written loses only the history. */
  add(question: string): void {
    if (question === this.#entries.at(-1)) return;
    this.#entries.push(question);
    this.#file.write(
      `${this.#entries
        .slice(-MAX_HISTORY)
        .map((entry) => JSON.stringify(entry))
        .join('\n')}\n`,
    );
  }
}

/** The text of a line; nothing for a damaged one. */
function textOf(line: string): string[] {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === 'string' ? [value] : [];
  } catch {
    return [];
  }
}

/** The questions of earlier chats, for the arrow keys. One JSON text a line, the oldest first. */
import { StateFile } from './state-file.ts';

const FILE = 'history.jsonl';
/** Maximum number of questions in the file. */
export const MAX_HISTORY = 500;

export class History {
  readonly #file = new StateFile(FILE);
  readonly #entries: string[];
  readonly #saves: boolean;

  /** @param saves false: questions are added, and the file stays as it is */
  constructor(saves: boolean) {
    this.#saves = saves;
    const lines = (this.#file.read() ?? '').split('\n').filter((line) => line !== '');
    this.#entries = lines.flatMap(textOf).slice(-MAX_HISTORY);
  }

  /** The newest first, as a line editor wants them. Each on one line. */
  get newestFirst(): string[] {
    return this.#entries.map((entry) => entry.replaceAll(/\s*\n\s*/g, ' ')).reverse();
  }

  /** Adds a question, and writes the file. If the file cannot be written, only the history is lost. */
  add(question: string): void {
    if (question === this.#entries.at(-1)) return;
    this.#entries.push(question);
    if (!this.#saves) return;
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

/**
 * Files of the state folder. They hold texts that a person typed, so only this user can read them.
 */
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stateFolder } from '../../../config/host/state-folder.ts';
import { messageOf } from '../../../protocol/text/error-message.ts';

export class StateFile {
  readonly path: string;
  readonly #folder: string;

  constructor(name: string) {
    this.#folder = stateFolder();
    this.path = join(this.#folder, name);
  }

  /** The text; undefined if there is no such file, or if it cannot be read. */
  read(): string | undefined {
    try {
      return readFileSync(this.path, 'utf8');
    } catch {
      return undefined;
    }
  }

  /**
   * Replaces the text at once: another process never reads a half.
   * @returns the reason if the file cannot be written
   */
  write(text: string): string | undefined {
    const draft = `${this.path}.${process.pid}`;
    try {
      mkdirSync(this.#folder, { recursive: true, mode: 0o700 });
      writeFileSync(draft, text, { mode: 0o600 });
      renameSync(draft, this.path);
      return undefined;
    } catch (error) {
      removeIfPresent(draft);
      return messageOf(error);
    }
  }
}

function removeIfPresent(path: string): void {
  try {
    rmSync(path);
  } catch {
    // It was never made.
  }
}

/** Reads ranges of the weight files. Each file is opened once, at its first read. */
import { closeSync, openSync, readSync } from 'node:fs';

export class SourceFiles {
  readonly #paths: readonly string[];
  readonly #descriptors = new Map<number, number>();

  constructor(paths: readonly string[]) {
    this.#paths = paths;
  }

  /** The path of a file, for messages too. */
  path(file: number): string {
    const path = this.#paths[file];
    if (path === undefined) throw new RangeError(`a matrix is in weight file ${file}; there are ${this.#paths.length}`);
    return path;
  }

  /**
   * Fills `bytes` from a position.
   * @throws Error that names the file if it ends before
   */
  read(file: number, position: number, bytes: Uint8Array): void {
    const descriptor = this.#descriptors.get(file) ?? openSync(this.path(file), 'r');
    this.#descriptors.set(file, descriptor);
    for (let at = 0; at < bytes.length; ) {
      const read = readSync(descriptor, bytes, at, bytes.length - at, position + at);
      if (read === 0) {
        throw new Error(
          `${this.path(file)} ends at byte ${position + at}, inside a matrix that ends at byte ${position + bytes.length} or later`,
        );
      }
      at += read;
    }
  }

  close(): void {
    for (const descriptor of this.#descriptors.values()) closeSync(descriptor);
    this.#descriptors.clear();
  }
}

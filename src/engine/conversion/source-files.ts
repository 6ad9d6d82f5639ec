/** Reads ranges of the weight files. Each file is opened once, at its first read. */
import { closeSync, openSync, readSync } from 'node:fs';
import { messageOf } from '../../protocol/text/error-message.ts';

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
   * @throws Error that names the file if it cannot be read, or ends before
   */
  read(file: number, position: number, bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; ) {
      const read = this.#readPart(file, position + at, bytes.subarray(at));
      if (read === 0) {
        throw new Error(
          `download ${this.path(file)} again: it ends at byte ${position + at}, inside a matrix that ends at byte ${position + bytes.length} or later`,
        );
      }
      at += read;
    }
  }

  /**
   * Errors of the system are named here: those of the converted file mean that another folder can help.
   */
  #readPart(file: number, position: number, bytes: Uint8Array): number {
    try {
      const descriptor = this.#descriptors.get(file) ?? openSync(this.path(file), 'r');
      this.#descriptors.set(file, descriptor);
      return readSync(descriptor, bytes, 0, bytes.length, position);
    } catch (error) {
      throw new Error(`make ${this.path(file)} readable: ${messageOf(error)}`, { cause: error });
    }
  }

  close(): void {
    for (const descriptor of this.#descriptors.values()) closeSync(descriptor);
    this.#descriptors.clear();
  }
}

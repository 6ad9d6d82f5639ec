/** Copies of the embedded model with changes in its JSON files, as repositories on the hub have them. */
import { mkdtempSync, rmSync } from 'node:fs';
import { cp, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { embeddedModel } from '../../src/model/folder.ts';

/** The fields of a JSON file. */
export type Fields = Record<string, unknown>;

/** A change of one file: new fields of its object (undefined removes a field), or a function of its text. */
export type Change = Fields | ((text: string) => string);

/** Makes the copies in one temporary folder. */
export class ModelVariants {
  readonly #folder = mkdtempSync(join(tmpdir(), 'variants-'));
  #copies = 0;

  /** The folder of a new copy. A file that the embedded model lacks starts as an empty object. */
  async copy(changes: Readonly<Record<string, Change>>): Promise<string> {
    const copy = join(this.#folder, String(++this.#copies));
    await cp(embeddedModel(), copy, { recursive: true });
    for (const [name, change] of Object.entries(changes)) {
      const file = join(copy, name);
      const text = await readFile(file, 'utf8').catch(() => '{}');
      const changed =
        typeof change === 'function' ? change(text) : JSON.stringify({ ...(JSON.parse(text) as Fields), ...change });
      await writeFile(file, changed);
    }
    return copy;
  }

  remove(): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

/**
 * The problems of a checkpoint that the worker does not compute: the error and the sentences. Foreign names
 * and values are shortened. Pure.
 */
import type { ModelProblem } from '../../problems.ts';
import { CONFIG_JSON, type ConfigOrigin } from './origin.ts';

/** Problems that a message lists; the message counts the others. */
const MOST_PROBLEMS = 8;
const MOST_CHARACTERS = 60;

/**
 * The configuration or the tensors of a checkpoint are not supported. `problems` has the form of
 * `ModelError`.
 */
export class UnsupportedCheckpoint extends Error {
  readonly problems: readonly ModelProblem[];

  constructor(problems: readonly ModelProblem[]) {
    super(problems.map(({ file, problem }) => `${file} ${problem}`).join('; '));
    this.name = 'UnsupportedCheckpoint';
    this.problems = problems;
  }
}

/** The last part of each sentence, for a model that the worker does not compute. */
export const WAY_OUT = 'Use an ONNX export of the model';

/** The problems that were found so far. */
export class Problems {
  /** The file that describes the model, and the names in it. */
  readonly origin: ConfigOrigin;
  readonly #found: ModelProblem[] = [];
  #omitted = 0;

  constructor(origin: ConfigOrigin = CONFIG_JSON) {
    this.origin = origin;
  }

  /** A problem of the configuration: `text` continues a sentence that begins with the name of the file. */
  config(text: string, wayOut = WAY_OUT): void {
    this.#add({ file: this.origin.file, problem: `${text}. ${wayOut}` });
  }

  /** A problem of the tensors: `text` continues a sentence that begins with the name of their file. */
  tensor(text: string, wayOut = WAY_OUT): void {
    this.#add({ file: this.origin.tensorFile, problem: `${text}. ${wayOut}` });
  }

  /** The problems, and the number of those that are left out. */
  get found(): readonly ModelProblem[] {
    const more = { file: this.origin.file, problem: `describes a model with ${this.#omitted} more problems` };
    return this.#omitted === 0 ? this.#found : [...this.#found, more];
  }

  /** @throws UnsupportedCheckpoint if there is a problem. */
  check(): void {
    if (this.#found.length > 0) throw new UnsupportedCheckpoint(this.found);
  }

  #add(problem: ModelProblem): void {
    if (this.#found.length < MOST_PROBLEMS) this.#found.push(problem);
    else this.#omitted += 1;
  }
}

/** A value as JSON with the numbers of Python (`NaN`, `Infinity`), shortened. */
export function shown(value: unknown): string {
  // JSON has no such numbers: they would be shown as null.
  const written = (_: string, one: unknown): unknown =>
    typeof one === 'number' && !Number.isFinite(one) ? String(one) : one;
  const text = typeof value === 'number' ? String(value) : (JSON.stringify(value, written) ?? 'undefined');
  return text.length <= MOST_CHARACTERS ? text : `${text.slice(0, MOST_CHARACTERS)}…`;
}

/** A name in quotation marks, shortened. */
export function quoted(name: string): string {
  return JSON.stringify(name.length <= MOST_CHARACTERS * 2 ? name : `${name.slice(0, MOST_CHARACTERS * 2)}…`);
}

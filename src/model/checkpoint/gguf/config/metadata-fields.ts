/**
 * Typed access to the keys of one architecture in the metadata of a GGUF file. Remembers the keys that were
 * read, so that no unread key is ignored silently. Pure.
 */
import { type Problems, quoted, shown } from '../../families/unsupported.ts';
import type { Metadata, MetadataArray, MetadataValue } from '../gguf-file.ts';

/** Elements of an array that a message shows. */
const MOST_SHOWN = 20;

/** Keys without the name of the architecture, for example `block_count`. */
export class MetadataFields {
  readonly problems: Problems;
  readonly architecture: string;
  readonly #metadata: Metadata;
  readonly #read = new Set<string>();

  constructor(metadata: Metadata, architecture: string, problems: Problems) {
    this.#metadata = metadata;
    this.architecture = architecture;
    this.problems = problems;
  }

  /** The whole key: `llama.block_count`. */
  key(name: string): string {
    return `${this.architecture}.${name}`;
  }

  value(name: string): MetadataValue | undefined {
    this.#read.add(name);
    return this.#metadata.get(this.key(name));
  }

  /**
   * A finite number, also from a list that has it for each layer; undefined if the key is absent. Reports
   * another value, and layers that differ.
   */
  number(name: string): number | undefined {
    const value = this.value(name);
    if (value === undefined) return undefined;
    const only = typeof value === 'object' ? onlyOf(value) : value;
    if (typeof only === 'number' && Number.isFinite(only)) return only;
    const isList = typeof value === 'object' && typeof value[0] === 'number';
    this.refuse(name, isList ? 'the same number for all layers' : 'a number below 2^53');
    return undefined;
  }

  /** A number; undefined also for 0, which stands for the absence of the property. */
  nonzero(name: string): number | undefined {
    const value = this.number(name);
    return value === 0 ? undefined : value;
  }

  /** A text from a list, or the first one of the list if the key is absent. */
  choice<Text extends string>(name: string, allowed: readonly [Text, ...Text[]]): Text {
    const value = this.value(name);
    const found = allowed.find((one) => one === value);
    if (found === undefined && value !== undefined) this.refuse(name, allowed.join(', '));
    return found ?? allowed[0];
  }

  /** Reports a value that is not allowed, or a required key that is absent. */
  refuse(name: string, allowed: string): void {
    const value = this.value(name);
    const key = quoted(this.key(name));
    const start = value === undefined ? `lacks ${key}` : `has ${key} ${shownValue(value)}`;
    this.problems.config(`${start}; allowed: ${allowed}`);
  }

  /**
   * Reports the unread keys of the architecture.
   * @param neutral values without an effect, by key; null = any value.
   */
  refuseUnread(neutral: Readonly<Record<string, readonly MetadataValue[] | null>>): void {
    const prefix = this.key('');
    for (const [key, value] of this.#metadata) {
      const name = key.slice(prefix.length);
      if (!key.startsWith(prefix) || this.#read.has(name)) continue;
      const allowed = Object.hasOwn(neutral, name) ? neutral[name] : undefined;
      if (allowed === null || allowed?.includes(value)) continue;
      if (allowed !== undefined) this.refuse(name, allowed.map(shownValue).join(', '));
      else
        this.problems.config(
          `has the unknown key ${quoted(key)} with the value ${shownValue(value)}; ` +
            `allowed: the known keys of the architecture ${this.architecture}`,
        );
    }
  }
}

/** The value of all elements of a list; undefined if they differ. */
function onlyOf(list: MetadataArray): unknown {
  const elements = Array.from<unknown, unknown>(list, numberOf);
  return elements.every((one) => one === elements[0]) ? elements[0] : undefined;
}

/** An element of a list of 64-bit integers as a number, if it has the same value. */
const numberOf = (value: unknown): unknown =>
  typeof value === 'bigint' && Number.isSafeInteger(Number(value)) ? Number(value) : value;

/** A value of the metadata for a message, shortened. */
export function shownValue(value: MetadataValue): string {
  if (typeof value === 'bigint') return String(value);
  if (typeof value !== 'object') return shown(value);
  const list: ArrayLike<unknown> = value;
  const first = Array.from({ length: Math.min(list.length, MOST_SHOWN) }, (_, i) => list[i]);
  return shown(first.map((one) => (typeof one === 'bigint' ? String(one) : one)));
}

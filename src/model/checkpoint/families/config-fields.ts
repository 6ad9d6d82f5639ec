/**
 * Typed access to the fields of config.json, with the defaults of the family. Remembers the fields that were
 * read, so that a field which nobody reads cannot be ignored silently. Pure.
 */
import { type Problems, quoted, shown } from './unsupported.ts';

export type Fields = Readonly<Record<string, unknown>>;

/** A size in config.json is an integer up to this number. */
const LARGEST_COUNT = 2 ** 24;

export const isObject = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

export interface FieldsOptions {
  readonly problems: Problems;
  /** Values of absent fields. */
  readonly defaults?: Fields;
  /** Path of the object in config.json with a dot behind it; '' for the file itself. */
  readonly path?: string;
}

/**
 * The fields of one object. A field with the value null counts as given: transformers replaces only an
 * absent field by the default of the class. After a problem, a method returns a value of its type: the
 * caller goes on and collects further problems.
 */
export class ConfigFields {
  readonly problems: Problems;
  readonly #values: Fields;
  readonly #defaults: Fields;
  readonly #path: string;
  readonly #read = new Set<string>();

  constructor(values: Fields, { problems, defaults = {}, path = '' }: FieldsOptions) {
    this.problems = problems;
    this.#values = values;
    this.#defaults = defaults;
    this.#path = path;
  }

  /** True if the file has the field, also with the value null. */
  isGiven(name: string): boolean {
    return Object.hasOwn(this.#values, name);
  }

  /** True if the family states a default of the field. */
  isOfFamily(name: string): boolean {
    return Object.hasOwn(this.#defaults, name);
  }

  /** The value or the default; undefined if there is neither. */
  value(name: string): unknown {
    this.#read.add(name);
    return this.isGiven(name) ? this.#values[name] : this.#defaults[name];
  }

  /** An integer from 1 to `most`. */
  count(name: string, most = LARGEST_COUNT): number {
    const value = this.value(name);
    if (typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= most) return value;
    this.refuse(name, `an integer from 1 to ${most}`);
    return 1;
  }

  /** The same, or undefined for null and for an absent field without a default. */
  optionalCount(name: string): number | undefined {
    return this.value(name) === null || this.value(name) === undefined ? undefined : this.count(name);
  }

  /** A number above 0 that is finite as a float32, in which the graph computes. */
  positive(name: string): number {
    const value = this.value(name);
    if (typeof value === 'number' && Number.isFinite(Math.fround(value)) && value > 0) return value;
    this.refuse(name, 'a number above 0 and below 3.4e38');
    return 1;
  }

  /** The same, or undefined for null and for an absent field without a default. */
  optionalPositive(name: string): number | undefined {
    return this.value(name) === null || this.value(name) === undefined ? undefined : this.positive(name);
  }

  /** true or false; null counts as false, as in Python. */
  flag(name: string): boolean {
    const value = this.value(name) ?? false;
    if (typeof value === 'boolean') return value;
    this.refuse(name, 'true, false');
    return false;
  }

  /** The value of a table under the name that the field has. */
  choice<Value>(name: string, table: Readonly<Record<string, Value>>): Value | undefined {
    const value = this.value(name);
    if (typeof value === 'string' && Object.hasOwn(table, value)) return table[value];
    this.refuse(name, Object.keys(table).join(', '));
    return undefined;
  }

  /** A list of `length` elements, or undefined for null and for an absent field without a default. */
  list<Element>(
    name: string,
    length: number,
    element: { readonly is: (value: unknown) => value is Element; readonly allowed: string },
  ): readonly Element[] | undefined {
    const value = this.value(name);
    if (value === null || value === undefined) return undefined;
    if (Array.isArray(value) && value.length === length && value.every(element.is)) return value;
    this.refuse(name, `a list of ${length} elements: ${element.allowed}`);
    return undefined;
  }

  /** The fields of an object; none for null and for an absent field. */
  child(name: string): ConfigFields {
    const value = this.value(name) ?? {};
    if (!isObject(value)) this.refuse(name, 'an object, null');
    return new ConfigFields(isObject(value) ? value : {}, {
      problems: this.problems,
      path: `${this.#path}${name}.`,
    });
  }

  /** The name with its path, or the key of the metadata that has the value, in quotation marks. */
  named(name: string): string {
    return quoted(this.problems.origin.fieldName(this.#path + name));
  }

  /** Reports a field whose value is not allowed, or a required one that is absent. */
  refuse(name: string, allowed: string): void {
    const value = this.value(name);
    const field = this.named(name);
    const start = value === undefined ? `lacks ${field}` : `has ${field} ${shown(value)}`;
    this.problems.config(`${start}; allowed: ${allowed}`);
  }

  /** The fields of the file that no method has read, with their values. */
  unread(): readonly (readonly [string, unknown])[] {
    return Object.entries(this.#values).filter(([name]) => !this.#read.has(name));
  }

  /** Reports a field that `owner` does not have. */
  refuseField(name: string, value: unknown, owner: string): void {
    const start = `has the unknown field ${this.named(name)} with the value ${shown(value)}`;
    this.problems.config(`${start}; allowed: the fields of ${owner}`);
  }

  /** Reports all fields that no method has read. `owner` names the object that has no such field. */
  refuseUnread(owner: string): void {
    for (const [name, value] of this.unread()) this.refuseField(name, value, owner);
  }
}

/**
 * String methods and string filters of a template, with Python's behaviour. Pure.
 */
import type { Value } from '@huggingface/jinja';
import { checkTextLength, MAX_INDENT } from '../render-limits.ts';
import {
  bool,
  checkParts,
  int,
  isInt,
  isList,
  isNone,
  isString,
  itemsOf,
  list,
  string,
  toText,
  undefinedValue,
} from './jinja-values.ts';
import * as python from './python-text.ts';
import { indexOf } from './text-search.ts';

type Method = (self: string, args: readonly Value[]) => Value;

const optionalString = (args: readonly Value[], at: number): string | undefined => {
  const value = args[at];
  if (value === undefined || isNone(value)) return undefined;
  if (!isString(value)) throw new Error('a string argument is expected');
  return value.value;
};
const requiredString = (args: readonly Value[], at: number): string => {
  const value = optionalString(args, at);
  if (value === undefined) throw new Error('a string argument is missing');
  return value;
};
const intAt = (args: readonly Value[], at: number, otherwise: number): number => {
  const value = args[at];
  return isInt(value) ? value.value : otherwise;
};
/**
 * True if any of the given prefixes or suffixes matches. The first argument is a string or a tuple of
 * strings.
 */
const matchesAny = (args: readonly Value[], matches: (part: string) => boolean): Value => {
  const value = args[0] ?? undefinedValue();
  checkParts(value);
  return bool(
    isList(value)
      ? value.value.some((part) => isString(part) && matches(part.value))
      : matches(requiredString(args, 0)),
  );
};

const METHODS: Readonly<Record<string, Method>> = {
  strip: (self, args) => string(python.strip(self, optionalString(args, 0))),
  lstrip: (self, args) => string(python.lstrip(self, optionalString(args, 0))),
  rstrip: (self, args) => string(python.rstrip(self, optionalString(args, 0))),
  split: (self, args) => list(python.split(self, optionalString(args, 0), intAt(args, 1, -1)).map(string)),
  splitlines: (self) => list(python.splitLines(self).map(string)),
  upper: (self) => string(self.toUpperCase()),
  lower: (self) => string(self.toLowerCase()),
  title: (self) => string(python.title(self)),
  capitalize: (self) => string(python.capitalize(self)),
  startswith: (self, args) => matchesAny(args, (part) => self.startsWith(part)),
  endswith: (self, args) => matchesAny(args, (part) => self.endsWith(part)),
  removeprefix: (self, args) =>
    string(self.startsWith(requiredString(args, 0)) ? self.slice(requiredString(args, 0).length) : self),
  removesuffix: (self, args) =>
    string(self.endsWith(requiredString(args, 0)) ? self.slice(0, self.length - requiredString(args, 0).length) : self),
  replace: (self, args) =>
    string(python.replace(self, requiredString(args, 0), requiredString(args, 1), intAt(args, 2, -1))),
  find: (self, args) => int(findIn(self, requiredString(args, 0))),
  count: (self, args) => int(python.count(self, requiredString(args, 0))),
  join: (self, args) => {
    const items = itemsOf(args[0] ?? undefinedValue());
    for (const item of items) requiredString([item], 0);
    return string(joined(items, self));
  },
  isdigit: (self) => bool(/^\p{Nd}+$/u.test(self)),
  isspace: (self) => bool(self !== '' && python.strip(self) === ''),
  isupper: (self) => bool(self === self.toUpperCase() && self !== self.toLowerCase()),
  islower: (self) => bool(self === self.toLowerCase() && self !== self.toUpperCase()),
};

/** Method of a string; undefined if strings have no method of this name. */
export function methodOf(self: string, name: string): ((args: readonly Value[]) => Value) | undefined {
  const method = Object.hasOwn(METHODS, name) ? METHODS[name] : undefined;
  return method && ((args) => method(self, args));
}

const FILTERS: Readonly<Record<string, Method>> = {
  trim: (self, args) => string(python.strip(self, optionalString(args, 0))),
  length: (self) => int(python.lengthOf(self)),
  count: (self) => int(python.lengthOf(self)),
  list: (self) => list(itemsOf(string(self))),
  reverse: (self) => string(Array.from(self).reverse().join('')),
  first: (self) => string(python.charAt(self, 0) ?? ''),
  last: (self) => string(python.charAt(self, -1) ?? ''),
  title: (self) => string(python.titleWords(self)),
};
const SHARED: readonly string[] = ['upper', 'lower', 'capitalize', 'replace'];

/** Applies a string filter. Returns undefined if the filter is not one of the string filters. */
export function applyTextFilter(self: string, name: string, args: () => readonly Value[]): Value | undefined {
  if (SHARED.includes(name)) return methodOf(self, name)?.(args());
  const filter = Object.hasOwn(FILTERS, name) ? FILTERS[name] : undefined;
  return filter?.(self, args());
}

function findIn(self: string, part: string): number {
  const at = indexOf(self, part);
  return at < 0 ? -1 : python.lengthOf(self.slice(0, at));
}

/** Printed values, joined: the operator `~` and the filter `join` of a list. */
export function joined(values: readonly Value[], separator: string): string {
  checkParts(list(values));
  const parts = values.map(toText);
  checkTextLength(parts.reduce((sum, part) => sum + part.length, separator.length * parts.length));
  return parts.join(separator);
}

/** @throws Error if a string would be too long with this many more characters in each line. */
export function checkIndent(self: string, width: number): void {
  if (width > MAX_INDENT) throw new Error(`an indent is wider than ${MAX_INDENT} characters`);
  checkTextLength(self.length + (python.count(self, '\n') + 1) * width);
}

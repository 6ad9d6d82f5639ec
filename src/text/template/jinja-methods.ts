/**
 * String methods and string filters of a template, with Python's behaviour. Pure.
 */
import type { Value } from '@huggingface/jinja';
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
import { capitalize, count, lstrip, rstrip, split, splitLines, strip, title, titleWords } from './python-text.ts';

/** UTF-16 units of the longest string that a template may create. */
export const MAX_TEXT = 2 ** 22;
export const TEXT_TOO_LONG = `a string is longer than ${MAX_TEXT} characters`;

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
  return bool(
    isList(value)
      ? value.value.some((part) => isString(part) && matches(part.value))
      : matches(requiredString(args, 0)),
  );
};

const METHODS: Readonly<Record<string, Method>> = {
  strip: (self, args) => string(strip(self, optionalString(args, 0))),
  lstrip: (self, args) => string(lstrip(self, optionalString(args, 0))),
  rstrip: (self, args) => string(rstrip(self, optionalString(args, 0))),
  split: (self, args) => list(split(self, optionalString(args, 0), intAt(args, 1, -1)).map(string)),
  splitlines: (self) => list(splitLines(self).map(string)),
  upper: (self) => string(self.toUpperCase()),
  lower: (self) => string(self.toLowerCase()),
  title: (self) => string(title(self)),
  capitalize: (self) => string(capitalize(self)),
  startswith: (self, args) => matchesAny(args, (part) => self.startsWith(part)),
  endswith: (self, args) => matchesAny(args, (part) => self.endsWith(part)),
  removeprefix: (self, args) =>
    string(self.startsWith(requiredString(args, 0)) ? self.slice(requiredString(args, 0).length) : self),
  removesuffix: (self, args) =>
    string(self.endsWith(requiredString(args, 0)) ? self.slice(0, self.length - requiredString(args, 0).length) : self),
  replace: (self, args) => string(replaced(self, requiredString(args, 0), requiredString(args, 1), intAt(args, 2, -1))),
  find: (self, args) => int(findIn(self, requiredString(args, 0))),
  count: (self, args) => int(count(self, requiredString(args, 0))),
  join: (self, args) =>
    string(
      itemsOf(args[0] ?? undefinedValue())
        .map((item) => requiredString([item], 0))
        .join(self),
    ),
  isdigit: (self) => bool(/^\p{Nd}+$/u.test(self)),
  isspace: (self) => bool(self !== '' && strip(self) === ''),
  isupper: (self) => bool(self === self.toUpperCase() && self !== self.toLowerCase()),
  islower: (self) => bool(self === self.toLowerCase() && self !== self.toUpperCase()),
};

/** Method of a string; undefined if strings have no method of this name. */
export function methodOf(self: string, name: string): ((args: readonly Value[]) => Value) | undefined {
  const method = Object.hasOwn(METHODS, name) ? METHODS[name] : undefined;
  return method && ((args) => method(self, args));
}

const FILTERS: Readonly<Record<string, Method>> = {
  trim: (self, args) => string(strip(self, optionalString(args, 0))),
  length: (self) => int(Array.from(self).length),
  count: (self) => int(Array.from(self).length),
  list: (self) => list(Array.from(self, string)),
  reverse: (self) => string(Array.from(self).reverse().join('')),
  first: (self) => string(Array.from(self)[0] ?? ''),
  last: (self) => string(Array.from(self).at(-1) ?? ''),
  title: (self) => string(titleWords(self)),
};
const SHARED: readonly string[] = ['upper', 'lower', 'capitalize', 'replace'];

/** Applies a string filter. Returns undefined if the filter is not one of the string filters. */
export function applyTextFilter(self: string, name: string, args: () => readonly Value[]): Value | undefined {
  if (SHARED.includes(name)) return methodOf(self, name)?.(args());
  const filter = Object.hasOwn(FILTERS, name) ? FILTERS[name] : undefined;
  return filter?.(self, args());
}

/** Python's `str.replace`, with a limit on the length of the result. */
function replaced(self: string, from: string, to: string, max: number): string {
  const length = self.length + count(self, from) * to.length;
  if (length > MAX_TEXT) throw new Error(TEXT_TOO_LONG);
  const parts = from === '' ? ['', ...Array.from(self), ''] : self.split(from);
  if (max < 0 || parts.length - 1 <= max) return parts.join(to);
  return [...parts.slice(0, max), parts.slice(max).join(from)].join(to);
}

function findIn(self: string, part: string): number {
  const at = self.indexOf(part);
  return at < 0 ? -1 : Array.from(self.slice(0, at)).length;
}

/** Printed values, joined: the operator `~` and the filter `join` of a list. */
export function joined(values: readonly Value[], separator: string): string {
  checkParts(list(values));
  const parts = values.map(toText);
  const length = parts.reduce((sum, part) => sum + part.length, separator.length * parts.length);
  if (length > MAX_TEXT) throw new Error(TEXT_TOO_LONG);
  return parts.join(separator);
}

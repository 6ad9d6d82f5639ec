/**
 * The methods and filters that a template may call on a text. Touches nothing.
 */
import type { Value } from '@huggingface/jinja';
import {
  checkParts,
  isList,
  isNone,
  isText,
  isWhole,
  itemsOf,
  list,
  missing,
  printed,
  text,
  truth,
  whole,
} from './jinja-values.ts';
import { capitalize, count, lstrip, rstrip, split, splitLines, strip, title, titleWords } from './python-text.ts';

/** UTF-16 units of the longest text that a template may make. */
export const LONGEST_TEXT = 2 ** 22;

type Method = (self: string, args: readonly Value[]) => Value;

const characters = (args: readonly Value[], at: number): string | undefined => {
  const value = args[at];
  if (value === undefined || isNone(value)) return undefined;
  if (!isText(value)) throw new Error('a text is expected');
  return value.value;
};
const needed = (args: readonly Value[], at: number): string => {
  const given = characters(args, at);
  if (given === undefined) throw new Error('a text is missing');
  return given;
};
const numberAt = (args: readonly Value[], at: number, otherwise: number): number => {
  const value = args[at];
  return isWhole(value) ? value.value : otherwise;
};
/** One of several beginnings or ends: a text, or a tuple of them. */
const anyOf = (args: readonly Value[], matches: (part: string) => boolean): Value => {
  const given = args[0] ?? missing();
  return truth(
    isList(given) ? given.value.some((part) => isText(part) && matches(part.value)) : matches(needed(args, 0)),
  );
};

const METHODS: Readonly<Record<string, Method>> = {
  strip: (self, args) => text(strip(self, characters(args, 0))),
  lstrip: (self, args) => text(lstrip(self, characters(args, 0))),
  rstrip: (self, args) => text(rstrip(self, characters(args, 0))),
  split: (self, args) => list(split(self, characters(args, 0), numberAt(args, 1, -1)).map(text)),
  splitlines: (self) => list(splitLines(self).map(text)),
  upper: (self) => text(self.toUpperCase()),
  lower: (self) => text(self.toLowerCase()),
  title: (self) => text(title(self)),
  capitalize: (self) => text(capitalize(self)),
  startswith: (self, args) => anyOf(args, (part) => self.startsWith(part)),
  endswith: (self, args) => anyOf(args, (part) => self.endsWith(part)),
  removeprefix: (self, args) => text(self.startsWith(needed(args, 0)) ? self.slice(needed(args, 0).length) : self),
  removesuffix: (self, args) =>
    text(self.endsWith(needed(args, 0)) ? self.slice(0, self.length - needed(args, 0).length) : self),
  replace: (self, args) => text(replaced(self, needed(args, 0), needed(args, 1), numberAt(args, 2, -1))),
  find: (self, args) => whole(placeOf(self, needed(args, 0))),
  count: (self, args) => whole(count(self, needed(args, 0))),
  join: (self, args) =>
    text(
      itemsOf(args[0] ?? missing())
        .map((item) => needed([item], 0))
        .join(self),
    ),
  isdigit: (self) => truth(/^\p{Nd}+$/u.test(self)),
  isspace: (self) => truth(self !== '' && strip(self) === ''),
  isupper: (self) => truth(self === self.toUpperCase() && self !== self.toLowerCase()),
  islower: (self) => truth(self === self.toLowerCase() && self !== self.toUpperCase()),
};

/** A method of a text; undefined if it has none of that name. */
export function methodOf(self: string, name: string): ((args: readonly Value[]) => Value) | undefined {
  const method = Object.hasOwn(METHODS, name) ? METHODS[name] : undefined;
  return method && ((args) => method(self, args));
}

const FILTERS: Readonly<Record<string, Method>> = {
  trim: (self, args) => text(strip(self, characters(args, 0))),
  length: (self) => whole(Array.from(self).length),
  count: (self) => whole(Array.from(self).length),
  list: (self) => list(Array.from(self, text)),
  reverse: (self) => text(Array.from(self).reverse().join('')),
  first: (self) => text(Array.from(self)[0] ?? ''),
  last: (self) => text(Array.from(self).at(-1) ?? ''),
  title: (self) => text(titleWords(self)),
};
const SHARED: readonly string[] = ['upper', 'lower', 'capitalize', 'replace'];

/** What a filter makes of a text; undefined if it is none of those that are for texts only. */
export function filtered(self: string, name: string, args: () => readonly Value[]): Value | undefined {
  if (SHARED.includes(name)) return methodOf(self, name)?.(args());
  const filter = Object.hasOwn(FILTERS, name) ? FILTERS[name] : undefined;
  return filter?.(self, args());
}

/** Python's `str.replace`, that makes no longer text than is allowed. */
function replaced(self: string, from: string, to: string, most: number): string {
  const length = self.length + count(self, from) * to.length;
  if (length > LONGEST_TEXT) throw new Error('it makes a text that is too long');
  const parts = from === '' ? ['', ...Array.from(self), ''] : self.split(from);
  if (most < 0 || parts.length - 1 <= most) return parts.join(to);
  return [...parts.slice(0, most), parts.slice(most).join(from)].join(to);
}

function placeOf(self: string, part: string): number {
  const at = self.indexOf(part);
  return at < 0 ? -1 : Array.from(self.slice(0, at)).length;
}

/** Printed values side by side, what `~` does and `join` of a list. */
export function joined(values: readonly Value[], separator: string): string {
  checkParts(list(values));
  const parts = values.map(printed);
  const length = parts.reduce((sum, part) => sum + part.length, separator.length * parts.length);
  if (length > LONGEST_TEXT) throw new Error('it makes a text that is too long');
  return parts.join(separator);
}

/**
 * String functions that behave as in Python, where JavaScript differs: chat templates are written for Python.
 * Lengths count characters, not UTF-16 units. Pure.
 */

import { checkListLength, checkTextLength, MAX_PARTS } from '../render-limits.ts';
import { occurrences, pieces } from './text-search.ts';

/**
 * Characters of Python's `str.isspace`: Unicode white space and the four ASCII separators, without the
 * byte-order mark.
 */
const SPACE = '\\p{White_Space}\\x1c-\\x1f';
const LEADING = new RegExp(`^[${SPACE}]+`, 'u');
const RUNS = new RegExp(`[${SPACE}]+`, 'gu');
const SPACES = new RegExp(`[${SPACE}]`, 'u');
/** Line ends of `str.splitlines`. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: Python's line ends are these.
const LINE_END = /\r\n|[\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029]/;
/** Words of Jinja's filter `title`: they begin after white space, hyphens and opening brackets. */
const TITLE_WORDS = new RegExp(`[^-${SPACE}({\\[<]+`, 'gu');

export function lstrip(text: string, chars?: string): string {
  if (chars === undefined) return text.replace(LEADING, '');
  const stripped = new Set(chars);
  let start = 0;
  for (const char of text) {
    if (!stripped.has(char)) break;
    start += char.length;
  }
  return text.slice(start);
}

export function rstrip(text: string, chars?: string): string {
  const stripped = chars === undefined ? undefined : new Set(chars);
  let end = text.length;
  while (end > 0) {
    const char = charBefore(text, end);
    if (!(stripped?.has(char) ?? SPACES.test(char))) break;
    end -= char.length;
  }
  return text.slice(0, end);
}

/** The character that ends at a position in UTF-16 units. */
function charBefore(text: string, end: number): string {
  const pair = text.slice(Math.max(0, end - 2), end);
  return (pair.codePointAt(0) ?? 0) > 0xffff ? pair : text.charAt(end - 1);
}

export function strip(text: string, chars?: string): string {
  return rstrip(lstrip(text, chars), chars);
}

/**
 * @param separator undefined = runs of white space
 * @param maxSplits maximum number of splits; negative = no limit
 */
export function split(text: string, separator: string | undefined, maxSplits: number): string[] {
  if (separator === '') throw new Error('empty separator');
  const max = maxSplits < 0 ? Number.POSITIVE_INFINITY : maxSplits;
  return separator === undefined ? splitAtSpaces(text, max) : splitAt(text, separator, max);
}

function splitAt(text: string, separator: string, max: number): string[] {
  const parts: string[] = [];
  let from = 0;
  for (const at of max > 0 ? occurrences(text, separator) : []) {
    parts.push(text.slice(from, at));
    checkListLength(parts.length);
    from = at + separator.length;
    if (parts.length >= max) break;
  }
  return [...parts, text.slice(from)];
}

function splitAtSpaces(text: string, max: number): string[] {
  const rest = lstrip(text);
  const parts: string[] = [];
  let from = 0;
  for (const { 0: spaces, index } of max > 0 ? rest.matchAll(RUNS) : []) {
    parts.push(rest.slice(from, index));
    checkListLength(parts.length);
    from = index + spaces.length;
    if (parts.length >= max) break;
  }
  return from < rest.length ? [...parts, rest.slice(from)] : parts;
}

export function splitLines(text: string): string[] {
  const lines = text.split(LINE_END, MAX_PARTS + 2);
  return lines.at(-1) === '' ? lines.slice(0, -1) : lines;
}

/** Python's `str.replace`. @param max maximum number of replacements; negative = no limit */
export function replace(text: string, from: string, to: string, max: number): string {
  const parts = from === '' ? ['', ...Array.from(text), ''] : pieces(text, from);
  const times = max < 0 ? parts.length - 1 : Math.min(max, parts.length - 1);
  checkTextLength(text.length + times * (to.length - from.length));
  if (times === parts.length - 1) return parts.join(to);
  return [...parts.slice(0, times), parts.slice(times).join(from)].join(to);
}

export function capitalize(text: string): string {
  const [first = ''] = text;
  const [large = '', ...more] = first.toUpperCase();
  return large + more.join('').toLowerCase() + text.slice(first.length).toLowerCase();
}

export function title(text: string): string {
  return text.replaceAll(/\p{L}+/gu, capitalize);
}

/** Jinja's filter `title`. */
export function titleWords(text: string): string {
  return text.replaceAll(TITLE_WORDS, (word) => word.slice(0, 1).toUpperCase() + word.slice(1).toLowerCase());
}

/** Number of characters. */
export function lengthOf(text: string): number {
  let length = text.length;
  for (let at = 1; at < text.length; at += 1) {
    if ((text.charCodeAt(at) & 0xfc00) === 0xdc00 && (text.charCodeAt(at - 1) & 0xfc00) === 0xd800) length -= 1;
  }
  return length;
}

/** The character at an index; a negative index counts from the end. Undefined if there is none. */
export function charAt(text: string, index: number): string | undefined {
  const target = index < 0 ? lengthOf(text) + index : index;
  let at = 0;
  for (const char of target < 0 ? '' : text) {
    if (at === target) return char;
    at += 1;
  }
  return undefined;
}

/** Number of occurrences without overlap (Python's `str.count`). */
export function count(text: string, part: string): number {
  return part === '' ? lengthOf(text) + 1 : pieces(text, part).length - 1;
}

/** A float as Python prints it. */
export function floatRepr(value: number): string {
  return Number.isInteger(value) && Math.abs(value) < 1e16 ? value.toFixed(1) : String(value);
}

/** A string in quotes, as Python prints it inside a list. */
export function stringRepr(text: string): string {
  const quote = text.includes("'") && !text.includes('"') ? '"' : "'";
  let length = text.length;
  const escaped = text.replaceAll(/[\\\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Co}\p{Cn}\p{Cs}'"]|(?! )\p{Zs}/gu, (char) => {
    if (char === '\\' || char === quote) return `\\${char}`;
    if (char === "'" || char === '"') return char;
    const known = { '\n': '\\n', '\r': '\\r', '\t': '\\t' }[char];
    if (known !== undefined) return known;
    length += 3;
    checkTextLength(length);
    const code = char.codePointAt(0) ?? 0;
    const digits = code < 0x100 ? 2 : code < 0x1_0000 ? 4 : 8;
    return `\\${{ 2: 'x', 4: 'u', 8: 'U' }[digits]}${code.toString(16).padStart(digits, '0')}`;
  });
  return quote + escaped + quote;
}

const MONTHS = 'January February March April May June July August September October November December'.split(' ');
const DAYS = 'Sunday Monday Tuesday Wednesday Thursday Friday Saturday'.split(' ');

/** Python's `strftime` for a local time, always in English. Unknown directives stay unchanged. */
export function strftime(date: Date, format: string): string {
  const two = (value: number): string => String(value).padStart(2, '0');
  const month = MONTHS[date.getMonth()] ?? '';
  const day = DAYS[date.getDay()] ?? '';
  const fields: Readonly<Record<string, string>> = {
    Y: String(date.getFullYear()),
    y: two(date.getFullYear() % 100),
    m: two(date.getMonth() + 1),
    d: two(date.getDate()),
    B: month,
    b: month.slice(0, 3),
    A: day,
    a: day.slice(0, 3),
    H: two(date.getHours()),
    I: two(date.getHours() % 12 || 12),
    p: date.getHours() < 12 ? 'AM' : 'PM',
    M: two(date.getMinutes()),
    S: two(date.getSeconds()),
    '%': '%',
  };
  return format.replaceAll(/%([%A-Za-z])/g, (directive, name: string) => fields[name] ?? directive);
}

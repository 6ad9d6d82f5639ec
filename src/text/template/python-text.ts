/**
 * String functions that behave as in Python, where JavaScript differs: chat templates are written for Python.
 * Lengths count characters, not UTF-16 units. Pure.
 */

/**
 * Characters of Python's `str.isspace`: Unicode white space and the four ASCII separators, without the
 * byte-order mark.
 */
const SPACE = '\\p{White_Space}\\x1c-\\x1f';
const LEADING = new RegExp(`^[${SPACE}]+`, 'u');
const RUNS = new RegExp(`[${SPACE}]+`, 'u');
const SPACES = new RegExp(`[${SPACE}]`, 'u');
/** Line ends of `str.splitlines`. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: Python's line ends are these.
const LINE_END = /\r\n|[\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029]/;

export function lstrip(text: string, chars?: string): string {
  if (chars === undefined) return text.replace(LEADING, '');
  const kept = Array.from(text);
  const first = kept.findIndex((char) => !chars.includes(char));
  return first < 0 ? '' : kept.slice(first).join('');
}

export function rstrip(text: string, chars?: string): string {
  const kept = chars === undefined ? text.split('') : Array.from(text);
  let end = kept.length;
  while (end > 0 && (chars === undefined ? SPACES.test(kept[end - 1] ?? '') : chars.includes(kept[end - 1] ?? '')))
    end -= 1;
  return kept.slice(0, end).join('');
}

export function strip(text: string, chars?: string): string {
  return rstrip(lstrip(text, chars), chars);
}

/** @param maxSplits maximum number of splits; negative = no limit */
export function split(text: string, separator: string | undefined, maxSplits: number): string[] {
  if (separator === '') throw new Error('empty separator');
  if (maxSplits < 0 && separator !== undefined) return text.split(separator);
  if (maxSplits < 0) return text.split(RUNS).filter((part) => part !== '');
  const parts: string[] = [];
  let rest = separator === undefined ? lstrip(text) : text;
  while (parts.length < maxSplits) {
    const at = separator === undefined ? rest.search(SPACES) : rest.indexOf(separator);
    if (at < 0) break;
    parts.push(rest.slice(0, at));
    rest = separator === undefined ? lstrip(rest.slice(at)) : rest.slice(at + separator.length);
  }
  return separator === undefined && rest === '' ? parts : [...parts, rest];
}

export function splitLines(text: string): string[] {
  const lines = text.split(LINE_END);
  return lines.at(-1) === '' ? lines.slice(0, -1) : lines;
}

export function capitalize(text: string): string {
  const [first = '', ...rest] = text;
  const [large = '', ...more] = first.toUpperCase();
  return large + more.join('').toLowerCase() + rest.join('').toLowerCase();
}

export function title(text: string): string {
  return text.replaceAll(/\p{L}+/gu, capitalize);
}

/** Jinja's filter `title`: words begin after white space, hyphens and opening brackets. */
export function titleWords(text: string): string {
  const words = text.split(new RegExp(`([-${SPACE}({\\[<]+)`, 'u'));
  return words.map((word) => word.slice(0, 1).toUpperCase() + word.slice(1).toLowerCase()).join('');
}

/** Number of occurrences without overlap (Python's `str.count`). */
export function count(text: string, part: string): number {
  return part === '' ? Array.from(text).length + 1 : text.split(part).length - 1;
}

/** A float as Python prints it. */
export function floatRepr(value: number): string {
  return Number.isInteger(value) && Math.abs(value) < 1e16 ? value.toFixed(1) : String(value);
}

/** A string in quotes, as Python prints it inside a list. */
export function stringRepr(text: string): string {
  const quote = text.includes("'") && !text.includes('"') ? '"' : "'";
  const escaped = text.replaceAll(/[\\\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Co}\p{Cn}\p{Cs}'"]|(?! )\p{Zs}/gu, (char) => {
    if (char === '\\' || char === quote) return `\\${char}`;
    if (char === "'" || char === '"') return char;
    const known = { '\n': '\\n', '\r': '\\r', '\t': '\\t' }[char];
    if (known !== undefined) return known;
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

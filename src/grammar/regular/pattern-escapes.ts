/** Reads escapes and classes of characters of a regular expression. Pure. */
import type { Budget } from '../budget.ts';
import { GrammarError } from '../grammar-error.ts';
import { type CharSet, charOf, charSet, DIGIT, negated, propertySet, SPACE, WORD } from './char-set.ts';

/** The source of a regular expression and a position in it, in UTF-16 code units. */
export class PatternReader {
  readonly source: string;
  at = 0;

  constructor(source: string) {
    this.source = source;
  }

  /** The next character, or '' at the end. */
  get next(): string {
    const code = this.source.codePointAt(this.at);
    return code === undefined ? '' : String.fromCodePoint(code);
  }

  take(): string {
    const char = this.next;
    this.at += char.length;
    return char;
  }

  /** Skips this text if it comes next. */
  skip(text: string): boolean {
    if (!this.source.startsWith(text, this.at)) return false;
    this.at += text.length;
    return true;
  }

  /** Skips a match of a sticky expression. */
  match(sticky: RegExp): RegExpExecArray | undefined {
    sticky.lastIndex = this.at;
    const match = sticky.exec(this.source);
    if (!match) return undefined;
    this.at += match[0].length;
    return match;
  }

  invalid(reason: string, at = this.at): GrammarError {
    return new GrammarError('invalid', [], `is not a valid regular expression: ${reason} at position ${at}`);
  }

  unsupported(construct: string, remedy: string, at = this.at): GrammarError {
    return new GrammarError(
      'unsupported',
      [],
      `uses ${construct} at position ${at}, which is not supported; ${remedy}`,
    );
  }
}

const CLASS_ESCAPES: Readonly<Record<string, CharSet>> = {
  d: DIGIT,
  D: negated(DIGIT),
  w: WORD,
  W: negated(WORD),
  s: SPACE,
  S: negated(SPACE),
};
const CONTROL_ESCAPES: Readonly<Record<string, number>> = { t: 9, n: 10, v: 11, f: 12, r: 13 };

/** A character as its code point, or a set of characters. */
export type Escaped = number | CharSet;

const isSet = (escaped: Escaped): escaped is CharSet => typeof escaped !== 'number';
export const setOf = (escaped: Escaped): CharSet => (isSet(escaped) ? escaped : charOf(escaped));

/**
 * Reads an escape after its backslash, one that has the same meaning inside and outside of a class.
 * @throws GrammarError
 */
export function readEscape(reader: PatternReader, budget: Budget): Escaped {
  const start = reader.at - 1;
  const char = reader.take();
  const set = CLASS_ESCAPES[char];
  if (set) return set;
  const control = CONTROL_ESCAPES[char];
  if (control !== undefined) return control;
  switch (char) {
    case '':
      throw reader.invalid('a backslash without a character', start);
    case '0':
      if (reader.match(/\d/y)) throw reader.invalid('an octal escape; use \\xHH', start);
      return 0;
    case 'c':
      return controlLetter(reader, start);
    case 'x':
      return hexadecimal(reader, /[0-9A-Fa-f]{2}/y, start);
    case 'u':
      return unicodeEscape(reader, start);
    case 'p':
    case 'P':
      return property(reader, char === 'P', budget);
    default:
      return identity(reader, char, start);
  }
}

function controlLetter(reader: PatternReader, start: number): number {
  const letter = reader.match(/[A-Za-z]/y);
  if (!letter) throw reader.invalid('\\c without a letter', start);
  return letter[0].charCodeAt(0) % 32;
}

function hexadecimal(reader: PatternReader, digits: RegExp, start: number): number {
  const match = reader.match(digits);
  if (!match) throw reader.invalid('an escape without its hexadecimal digits', start);
  return Number.parseInt(match[1] ?? match[0], 16);
}

/** `\u{…}`, `\uHHHH`, or two of them that are a pair of surrogates. */
function unicodeEscape(reader: PatternReader, start: number): number {
  if (reader.next === '{') {
    const code = hexadecimal(reader, /\{([0-9A-Fa-f]+)\}/y, start);
    if (code > 0x10_ffff) throw reader.invalid('an escape above \\u{10FFFF}', start);
    return code;
  }
  const code = hexadecimal(reader, /[0-9A-Fa-f]{4}/y, start);
  if (code < 0xd800 || code > 0xdbff) return code;
  const low = reader.match(/\\u([Dd][C-Fc-f][0-9A-Fa-f]{2})/y)?.[1];
  return low === undefined ? code : 0x1_0000 + ((code - 0xd800) << 10) + (Number.parseInt(low, 16) - 0xdc00);
}

/** Steps of the budget for one property, whose characters are read once, in about 10 ms. */
const PROPERTY_STEPS = 10_000;

function property(reader: PatternReader, negative: boolean, budget: Budget): CharSet {
  const start = reader.at - 2;
  const name = reader.match(/\{([^{}]*)\}/y)?.[1];
  if (name === undefined) throw reader.invalid('\\p without a name in braces', start);
  const set = propertySet(name);
  if (!set)
    throw reader.unsupported(`the unknown property \\p{${name.slice(0, 40)}}`, 'list its characters in a class', start);
  budget.step(PROPERTY_STEPS);
  return negative ? negated(set) : set;
}

function identity(reader: PatternReader, char: string, start: number): number {
  if (/[1-9k]/.test(char)) throw reader.unsupported('a backreference', 'write the alternatives out', start);
  if (/[A-Za-z]/.test(char))
    throw reader.invalid(`the unknown escape \\${char}${/[AZz]/.test(char) ? '; use ^ or $' : ''}`, start);
  return char.codePointAt(0) ?? 0;
}

/**
 * Reads a class after its opening bracket.
 * @throws GrammarError
 */
export function readClass(reader: PatternReader, budget: Budget): CharSet {
  const start = reader.at - 1;
  const negative = reader.skip('^');
  const ranges: number[] = [];
  const add = (escaped: Escaped): void => {
    if (!isSet(escaped)) ranges.push(escaped, escaped);
    else for (const code of escaped) ranges.push(code);
    budget.step(isSet(escaped) ? 1 + (escaped.length >> 3) : 1);
  };
  while (!reader.skip(']')) {
    const from = reader.at;
    const first = classAtom(reader, budget, start);
    if (reader.next !== '-' || reader.source[reader.at + 1] === ']') {
      add(first);
      continue;
    }
    reader.take();
    const last = classAtom(reader, budget, start);
    if (isSet(first) || isSet(last)) {
      add(first);
      add(0x2d);
      add(last);
    } else if (first > last) throw reader.invalid('a range out of order', from);
    else ranges.push(first, last);
  }
  budget.step(ranges.length);
  const set = charSet(ranges);
  return negative ? negated(set) : set;
}

function classAtom(reader: PatternReader, budget: Budget, start: number): Escaped {
  const char = reader.take();
  if (char === '') throw reader.invalid('a class without its closing bracket', start);
  if (char !== '\\') return char.codePointAt(0) ?? 0;
  if (reader.skip('b')) return 8;
  return readEscape(reader, budget);
}

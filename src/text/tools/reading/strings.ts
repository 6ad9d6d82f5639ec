/**
 * Reads a text of JSON, of Python, or between two equal marks, and writes it as a text of JSON while it
 * arrives. Pure.
 */
import type { Input, Reading } from './input.ts';

export type Write = (text: string) => void;

const BACKSLASH = 92;
const QUOTE = 34;
const FIRST_VISIBLE = 32;

/** How a text is written: its end, and the meaning of a backslash. */
export interface Quoted {
  readonly close: string;
  readonly escapes: 'json' | 'python' | 'none';
}

const JSON_ESCAPES = '"\\/bfnrt';
const PYTHON_ESCAPES: Readonly<Record<string, string>> = {
  ...{ n: '\\n', t: '\\t', r: '\\r', b: '\\b', f: '\\f', '\\': '\\\\', "'": "'", '"': '\\"', '\n': '' },
  ...{ a: '\\u0007', v: '\\u000b', '0': '\\u0000' },
};
const HEX_DIGITS: Readonly<Record<string, number>> = { x: 2, u: 4, U: 8 };

/**
 * Reads from behind the opening mark to behind the closing mark. Characters that JSON forbids in a text, and
 * backslashes without a meaning, are escaped. False at the end of the output.
 */
export function* copyString(input: Input, { close, escapes }: Quoted, write: Write): Reading<boolean> {
  write('"');
  for (;;) {
    const run = plainEnd(input, close.charCodeAt(0));
    if (run > input.at) {
      const text = input.text.slice(input.at, run);
      input.at = run;
      write(text);
    }
    if (!input.ready && !(yield* input.more())) return false;
    if (input.char === close) {
      input.at += 1;
      write('"');
      return true;
    }
    if (close.length > 1 && input.char === close.charAt(0) && (yield* input.literal(close))) {
      write('"');
      return true;
    }
    // The end of the output cuts the mark.
    if (close.length > 1 && input.ended && input.ranOut) return false;
    if (input.char === '\\' && escapes !== 'none') {
      if (!(yield* copyEscape(input, escapes, write))) return false;
      continue;
    }
    const { char } = input;
    input.at += 1;
    write(char === '"' || char === '\\' || char < ' ' ? escaped(char) : char);
  }
}

/** The end of the characters that need no attention. */
function plainEnd({ text, at, limit }: Input, close: number): number {
  const last = Math.min(text.length, limit);
  let end = at;
  for (; end < last; end += 1) {
    const code = text.charCodeAt(end);
    if (code === close || code === BACKSLASH || code === QUOTE || code < FIRST_VISIBLE) break;
  }
  return end;
}

/** A text in the form between the quotes of JSON. */
export const escaped = (text: string): string => JSON.stringify(text).slice(1, -1);

function* copyEscape(input: Input, kind: 'json' | 'python', write: Write): Reading<boolean> {
  if (input.text.length - input.at < 2 && !(yield* input.need(2))) return false;
  const char = input.text.charAt(input.at + 1);
  const digits = kind === 'python' || char === 'u' ? HEX_DIGITS[char] : undefined;
  if (digits !== undefined) {
    // Fewer digits, or the end of the text, make no escape: the text continues.
    const { ranOut } = input;
    yield* input.need(2 + digits);
    input.ranOut = ranOut;
    const code = codeOf(input.text.slice(input.at + 2, input.at + 2 + digits), digits);
    if (code !== undefined) {
      const as = kind === 'json' ? input.text.slice(input.at, input.at + 2 + digits) : unitsOf(code);
      input.at += 2 + digits;
      write(as);
      return true;
    }
  }
  const meaning = kind === 'python' ? PYTHON_ESCAPES[char] : jsonEscape(char);
  input.at += meaning === undefined ? 1 : 2;
  write(meaning ?? '\\\\');
  return true;
}

const jsonEscape = (char: string): string | undefined =>
  JSON_ESCAPES.includes(char) ? `\\${char}` : char === "'" ? char : undefined;

function codeOf(hex: string, digits: number): number | undefined {
  if (hex.length < digits || !/^[0-9a-f]+$/i.test(hex)) return undefined;
  const code = Number.parseInt(hex, 16);
  return code <= 0x10ffff ? code : undefined;
}

/** A code point in a text of JSON: `JSON.stringify` escapes half a pair. */
const unitsOf = (code: number): string => escaped(String.fromCodePoint(code));

/**
 * Parses JSON of a foreign file. V8's own message quotes the text ("Unexpected token 'r', "root:x" is not
 * valid JSON"), so an error here states only the place. Pure.
 */

/** The text is not JSON. The message names the line and the column, and quotes nothing. */
export class JsonError extends Error {
  override readonly name = 'JsonError';
}

/**
 * Parses a text.
 * @throws JsonError with the line and the column (from 1, in UTF-16 units) of the first wrong token.
 */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    const at = jsonErrorAt(text);
    const line = text.slice(0, at).split('\n').length;
    const column = at - (at === 0 ? -1 : text.lastIndexOf('\n', at - 1));
    throw new JsonError(`not valid JSON (${at === text.length ? 'ends early: ' : ''}line ${line}, column ${column})`);
  }
}

const SPACE = /[ \t\n\r]*/y;
const COLON = /[ \t\n\r]*:/y;
const SCALAR = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null/y;
const ESCAPE = /\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})/y;
const [QUOTE, BACKSLASH, SPACE_CODE] = [0x22, 0x5c, 0x20];

/**
 * Offset of the first token that makes a text invalid; the length of the text if the text is valid or only
 * ends too early. Linear in the text.
 */
export function jsonErrorAt(text: string): number {
  const closers: ('}' | ']')[] = [];
  let next: 'value' | 'key' | 'comma' = 'value';
  let isFirst = false;
  for (let at = endOf(SPACE, text, 0) ?? 0; at < text.length; at = endOf(SPACE, text, at) ?? at) {
    const character = text[at] ?? '';
    const closer = closers.at(-1);
    if (closer !== undefined && character === closer && (next === 'comma' || isFirst)) {
      closers.pop();
      next = 'comma';
      isFirst = false;
      at += 1;
      continue;
    }
    isFirst = false;
    if (next === 'comma') {
      if (closer === undefined || character !== ',') return at;
      next = closer === '}' ? 'key' : 'value';
      at += 1;
    } else if (next === 'key') {
      const key = character === '"' ? stringFrom(text, at) : { end: at, isWhole: false };
      const colon = key.isWhole ? endOf(COLON, text, key.end) : undefined;
      if (colon === undefined) return key.isWhole ? (endOf(SPACE, text, key.end) ?? key.end) : key.end;
      next = 'value';
      at = colon;
    } else if (character === '{' || character === '[') {
      closers.push(character === '{' ? '}' : ']');
      next = character === '{' ? 'key' : 'value';
      isFirst = true;
      at += 1;
    } else {
      const { end, isWhole } = character === '"' ? stringFrom(text, at) : scalarFrom(text, at);
      if (!isWhole) return end;
      next = 'comma';
      at = end;
    }
  }
  return text.length;
}

/** End of a token, or the offset of its fault. */
interface Token {
  readonly end: number;
  readonly isWhole: boolean;
}

function endOf(pattern: RegExp, text: string, from: number): number | undefined {
  pattern.lastIndex = from;
  return pattern.test(text) ? pattern.lastIndex : undefined;
}

function scalarFrom(text: string, from: number): Token {
  const end = endOf(SCALAR, text, from);
  return { end: end ?? from, isWhole: end !== undefined };
}

function stringFrom(text: string, from: number): Token {
  for (let at = from + 1; at < text.length; ) {
    const code = text.charCodeAt(at);
    if (code === QUOTE) return { end: at + 1, isWhole: true };
    const next = code === BACKSLASH ? endOf(ESCAPE, text, at) : at + 1;
    if (next === undefined || code < SPACE_CODE) return { end: at, isWhole: false };
    at = next;
  }
  return { end: text.length, isWhole: false };
}

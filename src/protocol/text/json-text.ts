/**
 * Parses JSON of a foreign file: strict JSON, and the three numbers that Python's json module writes besides
 * (NaN, Infinity, -Infinity). V8's own message quotes the text ("Unexpected token 'r', "root:x" is not valid
 * JSON"), so an error here states only the place. Pure.
 */

/** The text is not JSON. The message names the line and the column, and quotes nothing. */
export class JsonError extends Error {
  override readonly name = 'JsonError';
}

/** Maximum size of a tokenizer.json in bytes. The largest known ones have 35 MB. */
export const MAX_TOKENIZER_BYTES = 256 * 2 ** 20;

/** The text without a byte-order mark, which Windows tools write at the start of a file. */
export function withoutMark(text: string): string {
  return text.startsWith('\ufeff') ? text.slice(1) : text;
}

/**
 * Parses the text of a file. A byte-order mark is ignored. The platform's parser reads strict JSON; only a
 * text that it refuses is read again, in the same linear time.
 * @throws JsonError with the line and the column (from 1, in UTF-16 units, without the byte-order mark) of
 *   the first wrong token.
 */
export function parseJson(file: string): unknown {
  const text = withoutMark(file);
  try {
    return JSON.parse(text);
  } catch {
    const values = new ValueBuilder();
    const at = scan(text, values);
    if (at === text.length && values.isWhole) return values.root;
    const line = text.slice(0, at).split('\n').length;
    const column = at - (at === 0 ? -1 : text.lastIndexOf('\n', at - 1));
    throw new JsonError(`not valid JSON (${at === text.length ? 'ends early: ' : ''}line ${line}, column ${column})`);
  }
}

const SPACE = /[ \t\n\r]*/y;
const COLON = /[ \t\n\r]*:/y;
const SCALAR = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null|NaN|-?Infinity/y;
const ESCAPE = /\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})/y;
const [QUOTE, BACKSLASH, SPACE_CODE] = [0x22, 0x5c, 0x20];

/** Receives the tokens of a text, in order. */
interface TokenSink {
  open(isObject: boolean): void;
  close(): void;
  key(token: string): void;
  scalar(token: string): void;
}

const NO_SINK: TokenSink = { open: () => {}, close: () => {}, key: () => {}, scalar: () => {} };

/**
 * Offset of the first token that makes a text invalid; the length of the text if the text is valid or only
 * ends too early. Linear in the text.
 */
export function jsonErrorAt(text: string): number {
  return scan(text, NO_SINK);
}

function scan(text: string, sink: TokenSink): number {
  const closers: ('}' | ']')[] = [];
  let next: 'value' | 'key' | 'comma' = 'value';
  let isFirst = false;
  for (let at = endOf(SPACE, text, 0) ?? 0; at < text.length; at = endOf(SPACE, text, at) ?? at) {
    const character = text[at] ?? '';
    const closer = closers.at(-1);
    if (closer !== undefined && character === closer && (next === 'comma' || isFirst)) {
      closers.pop();
      sink.close();
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
      sink.key(text.slice(at, key.end));
      next = 'value';
      at = colon;
    } else if (character === '{' || character === '[') {
      closers.push(character === '{' ? '}' : ']');
      sink.open(character === '{');
      next = character === '{' ? 'key' : 'value';
      isFirst = true;
      at += 1;
    } else {
      const { end, isWhole } = character === '"' ? stringFrom(text, at) : scalarFrom(text, at);
      if (!isWhole) return end;
      sink.scalar(text.slice(at, end));
      next = 'comma';
      at = end;
    }
  }
  return text.length;
}

const PYTHON_NUMBERS: ReadonlyMap<string, number> = new Map([
  ['NaN', Number.NaN],
  ['Infinity', Number.POSITIVE_INFINITY],
  ['-Infinity', Number.NEGATIVE_INFINITY],
]);

type Container = unknown[] | Record<string, unknown>;

/** Builds the value of a text. Needs no recursion, so a deep text does not exhaust the stack. */
class ValueBuilder implements TokenSink {
  /** The value; meaningful once it is whole. */
  root: unknown;
  /** True once the value is complete. */
  isWhole = false;
  readonly #open: Container[] = [];
  /** The key of the next value, if it is a field. */
  #key = '';

  open(isObject: boolean): void {
    const container = isObject ? {} : [];
    this.#add(container);
    this.#open.push(container);
  }

  close(): void {
    this.#open.pop();
    this.isWhole = this.#open.length === 0;
  }

  key(token: string): void {
    this.#key = tokenValue(token) as string;
  }

  scalar(token: string): void {
    this.#add(tokenValue(token));
    this.isWhole = this.#open.length === 0;
  }

  #add(value: unknown): void {
    const container = this.#open.at(-1);
    if (container === undefined) this.root = value;
    else if (Array.isArray(container)) container.push(value);
    else setField(container, this.#key, value);
  }
}

/** The value of a valid token. Most strings have no escape, so the parser is not needed for them. */
function tokenValue(token: string): unknown {
  if (token.startsWith('"')) return token.includes('\\') ? JSON.parse(token) : token.slice(1, -1);
  return PYTHON_NUMBERS.get(token) ?? JSON.parse(token);
}

/** Sets a field as the platform's parser does: `__proto__` is a field like any other. */
function setField(object: Record<string, unknown>, name: string, value: unknown): void {
  if (name !== '__proto__') object[name] = value;
  else Object.defineProperty(object, name, { value, configurable: true, enumerable: true, writable: true });
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

/**
 * Reads a value of JSON, of Python or of Gemma's notation, and writes it as JSON while it arrives. JSON is
 * written unchanged. Pure.
 */
import { Input, isSpace, MAX_NAME_UNITS, type Reading } from './input.ts';
import { scalarOf } from './scalars.ts';
import { copyString, type Quoted, type Write } from './strings.ts';

/**
 * Values inside of values of one call. It is not less than the depth of a schema (`MAX_DEPTH` of
 * grammar/budget), so a call that a grammar lets through is read as a call; only a recursive schema can nest
 * deeper. The reader is iterative: it keeps a stack of its own.
 */
export const MAX_NESTING = 256;
/** UTF-16 units of the longest number. */
export const MAX_NUMBER_UNITS = 400;

/** `gemma`: texts are between two marks `quote`, and keys have no marks. */
export type Notation = { readonly name: 'json' | 'python' } | { readonly name: 'gemma'; readonly quote: string };

export const JSON_NOTATION: Notation = { name: 'json' };
export const PYTHON_NOTATION: Notation = { name: 'python' };

/** An open object or list: its end in the notation and in JSON, and the separator after a key. */
interface Frame {
  readonly close: string;
  readonly end: '}' | ']';
  readonly separator?: ':' | '=';
}

const OBJECT: Frame = { close: '}', end: '}', separator: ':' };
const LIST: Frame = { close: ']', end: ']' };
const TUPLE: Frame = { close: ')', end: ']' };
/** The arguments of a call of Python, behind the first bracket. */
const ARGUMENTS: Frame = { close: ')', end: '}', separator: '=' };

const SCALAR = /[A-Za-z0-9_+\-.]/;
/** Ends a value of Gemma's notation that has no marks. */
const GEMMA_END = /[,}\]\r\n]/;
const BARE_KEY_END = /[\s:=,{}()[\]'"<>]/;

/** Reads one value. False if it is not a value or the output ends before its end: the place is `input.at`. */
export function copyValue(input: Input, notation: Notation, write: Write): Reading<boolean> {
  return new Copy(input, notation, { write }).entries([]);
}

export interface CopyOptions {
  readonly write: Write;
  /** Markers that can follow the call: they, and the end of an output, close all that is open. */
  readonly ends?: readonly string[];
  /** Names of the arguments that Python writes without a name, in order. */
  readonly keys?: readonly string[];
}

/** Reads the rest of an object of which the opening bracket is read; of Python, the arguments of a call. */
export function copyObject(input: Input, notation: Notation, options: CopyOptions): Reading<boolean> {
  options.write('{');
  return new Copy(input, notation, options).entries([notation.name === 'python' ? ARGUMENTS : OBJECT]);
}

class Copy {
  readonly #input: Input;
  readonly #notation: Notation;
  readonly #write: Write;
  readonly #ends: readonly string[] | undefined;
  readonly #keys: readonly string[];
  /** Arguments of Python without a name so far. */
  #positional = 0;
  /** A comma and the white space before it: written if another value follows. */
  #comma = '';

  constructor(input: Input, notation: Notation, { write, ends, keys = [] }: CopyOptions) {
    this.#input = input;
    this.#notation = notation;
    this.#write = write;
    this.#ends = ends;
    this.#keys = keys;
  }

  /** Reads values until the stack is empty. */
  *entries(stack: Frame[]): Reading<boolean> {
    do {
      const space = this.#input.ready && !isSpace(this.#input.char) ? '' : yield* this.#space();
      if (space === undefined) return yield* this.#closedAll(stack);
      const top = stack.at(-1);
      // A comma before the end of the call.
      if (this.#comma !== '' && this.#mayEnd() && (yield* this.#closedAll(stack))) return true;
      if (top !== undefined && this.#input.char === top.close) {
        this.#comma = '';
        this.#close(stack, top, space);
      } else {
        this.#write(this.#comma + space);
        this.#comma = '';
        if (top?.separator !== undefined && !(yield* this.#key(top.separator))) return false;
        const frame = this.#frame();
        if (frame) {
          if (stack.length >= MAX_NESTING) return false;
          this.#input.at += 1;
          this.#write(frame.end === '}' ? '{' : '[');
          stack.push(frame);
          continue;
        }
        if (!(yield* this.#single())) return false;
      }
      if (!(yield* this.#next(stack))) return false;
    } while (stack.length > 0);
    return true;
  }

  /** After a value: closes the objects and lists that end here. False if no end and no value follows. */
  *#next(stack: Frame[]): Reading<boolean> {
    for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
      const space = this.#input.ready && !isSpace(this.#input.char) ? '' : yield* this.#space();
      if (space === undefined) return yield* this.#closedAll(stack);
      if (this.#input.char === ',') {
        this.#input.at += 1;
        this.#comma = `${space},`;
        return true;
      }
      if (this.#input.char !== top.close) return yield* this.#closedAll(stack);
      this.#close(stack, top, space);
    }
    return true;
  }

  #mayEnd(): boolean {
    return this.#ends?.some((end) => end.startsWith(this.#input.char)) === true;
  }

  /** Closes all open values if the call ends here. False if other text follows. */
  *#closedAll(stack: Frame[]): Reading<boolean> {
    if (this.#ends === undefined || stack.length === 0 || !(yield* this.#input.callEnds(this.#ends))) return false;
    for (let top = stack.pop(); top !== undefined; top = stack.pop()) this.#write(top.end);
    return true;
  }

  #close(stack: Frame[], { end }: Frame, space: string): void {
    this.#input.at += 1;
    stack.pop();
    this.#write(space + end);
  }

  #frame(): Frame | undefined {
    const { char } = this.#input;
    if (char === '{') return OBJECT;
    if (char === '[') return LIST;
    return char === '(' && this.#notation.name === 'python' ? TUPLE : undefined;
  }

  /** Reads a key and the separator, and the white space to the value. */
  *#key(separator: string): Reading<boolean> {
    if (separator === '=') return yield* this.#argumentName();
    const quoted = yield* this.#opened();
    let name = '';
    if (quoted) {
      if (!(yield* copyString(this.#input, quoted, this.#write))) return false;
    } else {
      if (this.#notation.name !== 'gemma') return false;
      const bare = yield* bareName(this.#input);
      if (bare === undefined) return false;
      name = JSON.stringify(bare);
    }
    const before = yield* this.#space();
    if (before === undefined || this.#input.char !== separator) return false;
    this.#input.at += 1;
    this.#write(`${name}${before}:`);
    const after = yield* this.#space();
    if (after !== undefined) this.#write(after);
    return after !== undefined;
  }

  /** Reads the name of an argument of Python and the separator. A value without a name gets the next one. */
  *#argumentName(): Reading<boolean> {
    const input = this.#input;
    const { held } = input;
    let name = yield* bareName(input);
    if (name !== undefined && (yield* this.#space()) !== undefined && input.char === '=') {
      input.at += 1;
      yield* input.space();
    } else {
      if (input.ended && input.ranOut) return false;
      input.at = input.mark + held;
      const isValue =
        name === undefined ? /["'[{(]/.test(input.char) : scalarOf(name, this.#notation.name) !== undefined;
      if (!isValue) return false;
      name = this.#keys[this.#positional];
      this.#positional += 1;
    }
    if (name !== undefined) this.#write(`${JSON.stringify(name)}:`);
    return name !== undefined;
  }

  /** Reads the opening mark of a text, if one follows. */
  *#opened(): Reading<Quoted | undefined> {
    const notation = this.#notation;
    const { char } = this.#input;
    if (notation.name === 'gemma') {
      if (yield* this.#input.literal(notation.quote)) return { close: notation.quote, escapes: 'none' };
      if (char !== '"') return undefined;
      this.#input.at += 1;
      return { close: char, escapes: 'json' };
    }
    if (char !== '"' && (char !== "'" || notation.name === 'json')) return undefined;
    this.#input.at += 1;
    return { close: char, escapes: notation.name };
  }

  /** Reads a text, a number or a word. */
  *#single(): Reading<boolean> {
    const quoted = yield* this.#opened();
    if (quoted) return yield* copyString(this.#input, quoted, this.#write);
    const input = this.#input;
    const isGemma = this.#notation.name === 'gemma';
    const inside = isGemma ? (char: string) => !GEMMA_END.test(char) : (char: string) => SCALAR.test(char);
    let length = 0;
    for (; ; length += 1) {
      if (length > MAX_NUMBER_UNITS) return false;
      if (input.at + length >= input.text.length && !(yield* input.need(length + 1))) {
        // The end of the output ends a number.
        if (length > 0 && this.#ends && input.ended && input.complete) break;
        return false;
      }
      if (!inside(input.text.charAt(input.at + length))) break;
    }
    const value = scalarOf(input.text.slice(input.at, input.at + length), this.#notation.name);
    if (value === undefined) return false;
    input.at += length;
    this.#write(value);
    return true;
  }

  /** White space up to the next character; undefined at the end of the output. */
  *#space(): Reading<string | undefined> {
    const input = this.#input;
    const length = input.held;
    if (!(yield* input.space())) return undefined;
    const from = input.mark + length;
    return input.text.slice(from, input.at);
  }
}

/**
 * Reads a name without quotes. Undefined if none follows or the output ends before its end.
 * @param end matches the characters that end the name
 */
export function* bareName(input: Input, end: RegExp = BARE_KEY_END): Reading<string | undefined> {
  for (let length = 0; length <= MAX_NAME_UNITS; length += 1) {
    if (!(yield* input.need(length + 1))) return undefined;
    if (!end.test(input.text.charAt(input.at + length))) continue;
    const name = input.text.slice(input.at, input.at + length);
    if (name === '') return undefined;
    input.at += length;
    return name;
  }
  return undefined;
}

/** JSON of a complete text that holds one value; undefined for any other text. */
export function converted(text: string, notation: Notation): string | undefined {
  const input = new Input();
  input.add(text);
  input.ended = true;
  let result = '';
  // A blank at the end closes a number.
  input.text += ' ';
  const reading = copyValue(input, notation, (piece) => {
    result += piece;
    input.mark = input.at;
  });
  for (;;) {
    const { done, value } = reading.next();
    if (done) return value && input.text.slice(input.at).trim() === '' ? result.trim() : undefined;
  }
}

/**
 * Reads a call that is an object of JSON: `{"name": …, "arguments": {…}}`, with its keys in any order. Pure.
 */
import type { FunctionTool } from '../../template/conversation.ts';
import type { JsonCalls } from '../output-profile.ts';
import { type Input, MAX_NAME_UNITS, type Reading } from './input.ts';
import { copyObject, copyValue, JSON_NOTATION } from './notation.ts';
import type { Parts } from './parts.ts';
import { copyString } from './strings.ts';

const ARGUMENTS = ['arguments', 'parameters'];
/** Keys that calls have before their name. */
const OTHERS = ['type', 'id', 'function', 'index'];
const nothing = (): void => undefined;

export class JsonCall {
  readonly #input: Input;
  readonly #parts: Parts;
  readonly #format: JsonCalls;
  /** The name alone makes no call: without markers, any object may have a name. */
  readonly #bare: boolean;
  #tool: FunctionTool | undefined;
  #begun = false;
  /** Arguments that came before the name. */
  #held: string | undefined;
  #named = false;
  #argued = false;

  constructor(context: { readonly input: Input; readonly parts: Parts }, format: JsonCalls, bare: boolean) {
    this.#input = context.input;
    this.#parts = context.parts;
    this.#format = format;
    this.#bare = bare;
  }

  /** The object has the keys of a call. */
  get looksLikeCall(): boolean {
    return !this.#bare || (this.#named && this.#argued);
  }

  /** Reads from the opening bracket. False if this is no call or the output ends before its end. */
  *read(): Reading<boolean> {
    if (!(yield* this.#input.marker(['{']))) return false;
    return (yield* this.#members(true)) && this.#end();
  }

  /** Reads from behind the first key: the object is known to be no list of calls. */
  *readFrom(key: string): Reading<boolean> {
    if (!(yield* this.#member(key, true)) || !(yield* this.#next(true))) return false;
    return this.#end();
  }

  #end(): boolean {
    if (this.#tool === undefined || (this.#bare && !this.#argued)) return false;
    this.#begin();
    if (!this.#argued) this.#parts.arguments('{}');
    return true;
  }

  *#members(outer: boolean): Reading<boolean> {
    yield* this.#input.space();
    if (yield* this.#input.literal('}')) return true;
    const key = yield* readKey(this.#input);
    return key !== undefined && (yield* this.#member(key, outer)) && (yield* this.#next(outer));
  }

  /** After a member: the end of the object, or the other members. */
  *#next(outer: boolean): Reading<boolean> {
    for (;;) {
      yield* this.#input.space();
      if (yield* this.#input.literal('}')) return true;
      if (!(yield* this.#input.literal(','))) return false;
      const key = yield* readKey(this.#input);
      if (key === undefined || !(yield* this.#member(key, outer))) return false;
    }
  }

  /** @param outer false inside of `"function": {…}`, which is not nested again */
  *#member(key: string, outer: boolean): Reading<boolean> {
    if (!(yield* this.#input.marker([':']))) return false;
    yield* this.#input.space();
    const { nameKey, argumentsKey } = this.#format;
    if ((key === nameKey || key === 'name') && this.#input.char === '"') return yield* this.#name();
    if (key === argumentsKey || ARGUMENTS.includes(key)) return yield* this.#arguments();
    if (key === 'function' && outer && this.#input.char === '{') {
      this.#input.at += 1;
      return yield* this.#members(false);
    }
    // Any other object than a call is an answer, which must not wait for its end.
    if (this.#bare && !this.#named && !this.#argued && !OTHERS.includes(key)) return false;
    return yield* copyValue(this.#input, JSON_NOTATION, nothing);
  }

  *#name(): Reading<boolean> {
    const name = yield* readText(this.#input, MAX_NAME_UNITS);
    this.#named = name !== undefined;
    if (name === undefined) return false;
    this.#tool ??= this.#parts.toolOf(name);
    if (this.#tool === undefined && !this.#bare) return false;
    if (!this.#bare || this.#held !== undefined) this.#begin();
    return true;
  }

  #begin(): void {
    if (this.#begun || this.#tool === undefined) return;
    this.#begun = true;
    this.#parts.begin(this.#tool.name);
    if (this.#held !== undefined) this.#parts.arguments(this.#held);
  }

  *#arguments(): Reading<boolean> {
    if (this.#argued) return yield* copyValue(this.#input, JSON_NOTATION, nothing);
    this.#argued = true;
    if (this.#named && this.#tool === undefined) return false;
    this.#begin();
    let held = '';
    const hold = (text: string): void => {
      held += text;
    };
    const write = this.#begun ? this.#parts.arguments : hold;
    const { char } = this.#input;
    if (char === '{') {
      this.#input.at += 1;
      if (!(yield* copyObject(this.#input, JSON_NOTATION, write))) return false;
    } else if (char === '"') {
      const text = yield* readText(this.#input, Number.POSITIVE_INFINITY);
      if (text === undefined || !isObject(text)) return false;
      write(text);
    } else {
      if (!(yield* this.#input.literal('null'))) return false;
      write('{}');
    }
    if (!this.#begun) this.#held = held;
    return true;
  }
}

/** Reads a key of an object. Undefined if none follows. */
export function* readKey(input: Input): Reading<string | undefined> {
  yield* input.space();
  return input.char === '"' ? yield* readText(input, MAX_NAME_UNITS) : undefined;
}

/** Reads a text of JSON. Undefined if it is longer than `most`, or the output ends before its end. */
function* readText(input: Input, most: number): Reading<string | undefined> {
  let json = '';
  input.at += 1;
  const read = yield* copyString(input, { close: '"', escapes: 'json' }, (piece) => {
    json += piece;
  });
  const text: unknown = read ? JSON.parse(json) : undefined;
  return typeof text === 'string' && text.length <= most ? text : undefined;
}

function isObject(text: string): boolean {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value);
  } catch {
    return false;
  }
}

/**
 * Reads a call that is an object of JSON: `{"name": …, "arguments": {…}}`, with its keys in any order. Pure.
 */
import type { FunctionTool } from '../../template/conversation.ts';
import { jsonObjectOf } from '../json-object.ts';
import type { JsonCalls } from '../output-profile.ts';
import { type Input, MAX_HELD_UNITS, MAX_HELD_VALUE_UNITS, MAX_NAME_UNITS, type Reading } from './input.ts';
import { copyObject, copyValue, JSON_NOTATION } from './notation.ts';
import type { Parts } from './parts.ts';
import { copyString } from './strings.ts';

const ARGUMENTS = ['arguments', 'parameters'];
/** Keys of a call beside its name and its arguments. */
const OTHERS = ['type', 'id', 'function', 'index'];
const nothing = (): void => undefined;

export class JsonCall {
  readonly #input: Input;
  readonly #parts: Parts;
  readonly #format: JsonCalls;
  /** A name is not enough for a call: without markers, any object may have a name. */
  readonly #bare: boolean;
  readonly #ends: readonly string[];
  #tool: FunctionTool | undefined;
  #begun = false;
  /** Arguments that came before the name. */
  #held: string | undefined;
  #named = false;
  #argued = false;
  /** The object has a key that no call has: it may hold the arguments. */
  #strange = false;

  /** @param ends markers that can follow the call */
  constructor(
    { input, parts }: { readonly input: Input; readonly parts: Parts },
    format: JsonCalls,
    { bare, ends }: { readonly bare: boolean; readonly ends: readonly string[] },
  ) {
    this.#input = input;
    this.#parts = parts;
    this.#format = format;
    this.#bare = bare;
    this.#ends = ends;
  }

  /** The object has the keys of a call. */
  get looksLikeCall(): boolean {
    return !this.#bare || (this.#named && this.#argued);
  }

  /** Reads from the opening bracket. False if this is not a call or the output ends before its end. */
  *read(): Reading<boolean> {
    if (!(yield* this.#input.marker(['{']))) return false;
    return (yield* this.#members(true)) && this.#end();
  }

  /** Reads from behind the first key: the object is not a list of calls. */
  *readFrom(key: string): Reading<boolean> {
    if (!(yield* this.#member(key, true)) || !(yield* this.#next(true))) return false;
    return this.#end();
  }

  #end(): boolean {
    if (this.#tool === undefined || (!this.#argued && (this.#bare || this.#strange))) return false;
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
      // Small models leave out brackets at the end.
      if (!(yield* this.#input.literal(','))) return this.#argued && (yield* this.#input.callEnds(this.#ends));
      yield* this.#input.space();
      if (yield* this.#input.literal('}')) return true;
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
    if (!OTHERS.includes(key)) {
      this.#strange = true;
      // Any other object than a call is an answer, which must not wait for its end.
      if (this.#bare && this.#tool === undefined && !this.#argued) return false;
    }
    return yield* copyValue(this.#input, JSON_NOTATION, nothing);
  }

  *#name(): Reading<boolean> {
    const name = yield* readText(this.#input, MAX_NAME_UNITS);
    this.#named = name !== undefined;
    if (name === undefined) return false;
    this.#tool ??= this.#parts.toolOf(name);
    if (this.#tool === undefined) return this.#bare;
    if (this.#held !== undefined) this.#begin();
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
    const { char } = this.#input;
    if (char === '{') return yield* this.#object();
    if (char === '"') {
      if (this.#tool) this.#input.most = MAX_HELD_VALUE_UNITS;
      const text = yield* readText(this.#input, Number.POSITIVE_INFINITY);
      this.#input.most = MAX_HELD_UNITS;
      if (text === undefined) return false;
      const isEmpty = text.trim() === '';
      if (!isEmpty && jsonObjectOf(text) === undefined) return false;
      this.#held = isEmpty ? '{}' : text;
    } else {
      if (!(yield* this.#input.literal('null'))) return false;
      this.#held = '{}';
    }
    this.#begin();
    return true;
  }

  /** Reads the arguments from their bracket: they stream if the function is known. */
  *#object(): Reading<boolean> {
    const input = this.#input;
    input.at += 1;
    if (this.#tool) {
      this.#begun = true;
      const write = this.#parts.beginner(this.#tool.name);
      return yield* copyObject(input, JSON_NOTATION, { write, ends: this.#ends });
    }
    let held = '';
    const write = (text: string): void => {
      held += text;
    };
    const read = yield* copyObject(input, JSON_NOTATION, { write });
    this.#held = held;
    return read;
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

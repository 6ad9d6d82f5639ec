/**
 * Reads the arguments of a call that are between tags, and writes them as JSON: texts while they arrive,
 * other values at their end. Pure.
 */
import type { FunctionTool } from '../../template/conversation.ts';
import type { TaggedCalls } from '../output-profile.ts';
import { type Input, MAX_HELD_UNITS, MAX_HELD_VALUE_UNITS, partsOf, type Reading, Stops } from './input.ts';
import { bareName, converted, JSON_NOTATION, PYTHON_NOTATION } from './notation.ts';
import type { Parts } from './parts.ts';
import { ANY_TYPE, typesOf } from './schema-types.ts';
import { escaped } from './strings.ts';

/** Ends a name or a key in a tag: an attribute has an equals sign; a key may have a comma or a bar. */
const TAG_NAME_END = /[\s<>"'{}[\]()=]/;

export class TaggedCall {
  readonly #input: Input;
  readonly #parts: Parts;
  readonly #format: TaggedCalls;
  readonly #valueEnds: Stops;

  constructor(context: { readonly input: Input; readonly parts: Parts }, format: TaggedCalls) {
    this.#input = context.input;
    this.#parts = context.parts;
    this.#format = format;
    const { valueClose, lines } = format;
    this.#valueEnds = new Stops(lines ? [`\n${valueClose}`, valueClose] : [valueClose]);
  }

  /** Reads from the name. False if this is not a call, or the output ends inside of a value. */
  *read(): Reading<boolean> {
    const { nameClose, keyOpen } = this.#format;
    yield* this.#input.space();
    const name = yield* bareName(this.#input, TAG_NAME_END);
    const tool = name === undefined ? undefined : this.#parts.toolOf(name);
    if (!tool || !(yield* this.#input.marker(partsOf(nameClose)))) return false;
    let isArgument = yield* this.#input.marker(partsOf(keyOpen));
    // Only the next tag shows that this is a call.
    let isEnd = !isArgument && (yield* this.#end());
    if (!isArgument && !isEnd) return false;
    this.#parts.begin(tool.name);
    this.#parts.arguments('{');
    for (let first = true; isArgument; first = false) {
      if (!(yield* this.#argument(tool, first))) return false;
      isArgument = yield* this.#input.marker(partsOf(keyOpen));
      isEnd = !isArgument && ((yield* this.#end()) || (yield* this.#cut()));
    }
    if (!isEnd) return false;
    this.#parts.arguments('}');
    return true;
  }

  /** Reads the end of the call. Small models omit its first part. */
  *#end(): Reading<boolean> {
    const [first = '', ...rest] = partsOf(this.#format.callClose);
    if (yield* this.#input.marker([first])) {
      yield* this.#input.marker(rest);
      return true;
    }
    return rest.length > 0 && (yield* this.#input.marker(rest.slice(-1)));
  }

  /** True if the section or the output ends without an end of the call. */
  *#cut(): Reading<boolean> {
    yield* this.#input.space();
    return yield* this.#input.callEnds(partsOf(this.#format.sectionClose).slice(0, 1));
  }

  *#argument(tool: FunctionTool, first: boolean): Reading<boolean> {
    const { keyClose, otherKeyClose, lines } = this.#format;
    const key = yield* bareName(this.#input, TAG_NAME_END);
    if (key === undefined) return false;
    const types = typesOf(tool, key);
    const isText = yield* this.#input.marker(partsOf(keyClose));
    if (!isText && !(yield* this.#input.marker(partsOf(otherKeyClose)))) return false;
    if (lines && (yield* this.#input.more()) && this.#input.char === '\n') this.#input.at += 1;
    const start = `${first ? '' : ', '}${JSON.stringify(key)}: `;
    const streams = isText && (keyClose !== otherKeyClose || types === undefined);
    return streams ? yield* this.#text(start) : yield* this.#value(start, isText ? types : undefined);
  }

  *#text(start: string): Reading<boolean> {
    this.#parts.arguments(`${start}"`);
    const end = yield* this.#input.until(this.#valueEnds, (text) => this.#parts.arguments(escaped(text)), false);
    if (end === undefined) {
      this.#input.ranOut = true;
      return false;
    }
    this.#input.at += end.length;
    this.#parts.arguments('"');
    return true;
  }

  /** @param types the types that the schema allows; undefined: all, as the tag says that it is not a text */
  *#value(start: string, types: ReadonlySet<string> | undefined): Reading<boolean> {
    let length = 0;
    for (;;) {
      const { text: all, at, ended, mark } = this.#input;
      const { position, stop } = this.#valueEnds.find(all, at + length, ended);
      const held = position - mark;
      if (held > MAX_HELD_UNITS && types?.has('string')) {
        const isLong = held > MAX_HELD_VALUE_UNITS;
        if (isLong || !mayHold(all.slice(at, at + MAX_HELD_UNITS), types)) return yield* this.#text(start);
      } else if (held > MAX_HELD_VALUE_UNITS) return false;
      if (stop === undefined) {
        if (ended) {
          // Without the beginning of an end tag.
          const cut = this.#valueEnds.find(all, at + length, false).position;
          this.#input.at = cut;
          this.#input.ranOut = true;
          this.#parts.arguments(start + beginningOf(all.slice(at, cut), types));
          return false;
        }
        length = position - at;
        yield;
        continue;
      }
      const text = all.slice(at, position);
      this.#input.at = position + stop.length;
      this.#parts.arguments(start + jsonOf(text, types));
      return true;
    }
  }
}

/** A value that the end of the output cuts: the beginning of a text, or as it stands. */
function beginningOf(text: string, types: ReadonlySet<string> | undefined): string {
  return types?.has('string') && !mayHold(text, types) ? `"${escaped(text)}` : text;
}

/** True if a long text may be an allowed object or list. */
function mayHold(text: string, types: ReadonlySet<string>): boolean {
  const first = text.trimStart().charAt(0);
  return (first === '{' && types.has('object')) || (first === '[' && types.has('array'));
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** JSON of a value: of an allowed type, otherwise a text. */
function jsonOf(text: string, types: ReadonlySet<string> | undefined): string {
  if (types === ANY_TYPE) return isJson(text) ? text.trim() : JSON.stringify(text);
  const json = converted(text, JSON_NOTATION) ?? converted(text, PYTHON_NOTATION);
  if (json === undefined) return JSON.stringify(text);
  const first = json.charAt(0);
  const type =
    first === '{'
      ? 'object'
      : first === '['
        ? 'array'
        : first === '"'
          ? 'string'
          : /^[tf]/.test(first)
            ? 'boolean'
            : first === 'n'
              ? 'null'
              : 'number';
  if (types === undefined) return json;
  const allowed = types.has(type) || (type === 'number' && types.has('integer'));
  return allowed && type !== 'string' ? json : JSON.stringify(text);
}

/**
 * Reads the arguments of a call that stand between tags, and writes them as JSON: texts while they arrive,
 * other values at their end. Pure.
 */
import type { FunctionTool, Json } from '../../template/conversation.ts';
import type { TaggedCalls } from '../output-profile.ts';
import { type Input, partsOf, type Reading, Stops } from './input.ts';
import { bareName, converted, JSON_NOTATION, PYTHON_NOTATION } from './notation.ts';
import type { Parts } from './parts.ts';
import { escaped } from './strings.ts';

const NAME_END = /[\s<>"'{}[\]()=]/;
/** Levels of a schema that are searched for the types of a value. */
const MAX_SCHEMA_LEVELS = 8;

type Schema = FunctionTool['parameters'];

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

  /** Reads from the name. False if this is no call, or the output ends inside of a value. */
  *read(): Reading<boolean> {
    const { nameClose, keyOpen, callClose } = this.#format;
    const [close = ''] = partsOf(callClose);
    yield* this.#input.space();
    const name = yield* bareName(this.#input, NAME_END);
    const tool = name === undefined ? undefined : this.#parts.toolOf(name);
    if (!tool || !(yield* this.#input.marker(partsOf(nameClose)))) return false;
    let isArgument = yield* this.#input.marker(partsOf(keyOpen));
    // Without a mark behind the name, only the next tag tells that this is a call.
    let isEnd = !isArgument && (yield* this.#input.marker([close]));
    if (nameClose === '' && !isArgument && !isEnd) return false;
    this.#parts.begin(tool.name);
    this.#parts.arguments('{');
    for (let first = true; isArgument; first = false) {
      if (!(yield* this.#argument(tool, first))) return false;
      isArgument = yield* this.#input.marker(partsOf(keyOpen));
      isEnd = !isArgument && (yield* this.#input.marker([close]));
    }
    if (!isEnd) return false;
    this.#parts.arguments('}');
    yield* this.#input.marker(partsOf(callClose).slice(1));
    return true;
  }

  *#argument({ parameters }: FunctionTool, first: boolean): Reading<boolean> {
    const { keyClose, otherKeyClose, lines } = this.#format;
    const key = yield* bareName(this.#input, NAME_END);
    if (key === undefined) return false;
    const types = typesOf(parameters?.['properties'], key);
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

  /** @param types the types that the schema allows; undefined: all */
  *#value(start: string, types: ReadonlySet<string> | undefined): Reading<boolean> {
    let length = 0;
    for (;;) {
      const { text: all, at, ended, limit } = this.#input;
      const { position, stop } = this.#valueEnds.find(all, at + length, ended);
      if (position > limit) return false;
      if (stop === undefined) {
        if (ended) {
          this.#input.ranOut = true;
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

/** JSON of a value: of an allowed type, otherwise a text. */
function jsonOf(text: string, types: ReadonlySet<string> | undefined): string {
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

/** The types other than a text that a schema allows for a property; undefined: a text only. */
function typesOf(properties: Json | undefined, key: string): ReadonlySet<string> | undefined {
  const types = new Set<string>();
  const isKnown = isRecord(properties) && Object.hasOwn(properties, key);
  if (isKnown) collect(properties[key], types, MAX_SCHEMA_LEVELS);
  return [...types].some((type) => type !== 'string') ? types : undefined;
}

function collect(schema: Json | undefined, types: Set<string>, levels: number): void {
  if (!isRecord(schema) || levels === 0) return;
  const { type, anyOf, oneOf, allOf, enum: values } = schema;
  for (const one of [type].flat()) if (typeof one === 'string') types.add(one);
  for (const one of [anyOf, oneOf, allOf].flat()) collect(one as Json, types, levels - 1);
  if (type !== undefined) return;
  for (const value of [values, schema['const']].flat())
    if (value === null || ['number', 'boolean'].includes(typeof value))
      types.add(value === null ? 'null' : typeof value);
}

const isRecord = (value: unknown): value is Readonly<Record<string, Json>> & NonNullable<Schema> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/**
 * The restrictions of a value, collected from one or more schemas. Objects and arrays keep the restrictions
 * of each schema as a layer, because `additionalProperties` and `items` refer to their own schema only. Pure.
 */
import { GrammarError } from '../grammar-error.ts';
import type { Json } from '../output-format.ts';
import type { Path, Place } from './places.ts';

/** Types of values, as bits. A number is an integer or has a fraction. */
export const NULL = 1;
export const BOOLEAN = 2;
export const INTEGER = 4;
export const FRACTION = 8;
export const NUMBER = INTEGER | FRACTION;
export const STRING = 16;
export const ARRAY = 32;
export const OBJECT = 64;
export const EVERY_TYPE = 127;

/** Maximum of `minLength`, `minItems`, `minProperties` and `minContains`: more would never end. */
export const MAX_LEAST = 10_000;

/** @throws GrammarError `too_complex` if a value must have too many parts */
export function checkLeast(least: number, path: Path): void {
  if (least > MAX_LEAST)
    throw new GrammarError('too_complex', path, `needs more than ${MAX_LEAST} characters, items or members; use fewer`);
}

/** Values by their canonical text. */
export type Values = ReadonlyMap<string, Json>;

export interface TextRule {
  readonly kind: 'pattern' | 'format';
  readonly source: string;
  readonly path: Path;
  /** The string must not match. */
  readonly banned: boolean;
}

export interface TextFacts {
  /** Code points. */
  readonly min: number;
  readonly max: number;
  readonly rules: readonly TextRule[];
  readonly path: Path;
}

export interface NumberFacts {
  readonly minimum: number;
  readonly maximum: number;
  /** The bound itself is not allowed. */
  readonly above: boolean;
  readonly below: boolean;
  readonly multiples: readonly { readonly of: number; readonly path: Path }[];
  readonly path: Path;
}

export interface ObjectLayer {
  readonly properties: ReadonlyMap<string, Place>;
  readonly patterns: readonly { readonly source: string; readonly place: Place; readonly path: Path }[];
  readonly additional?: Place;
  /** The layer counts for `unevaluatedProperties`. */
  readonly evaluates: boolean;
}

export interface ObjectFacts {
  readonly layers: readonly ObjectLayer[];
  readonly names: readonly Place[];
  readonly required: ReadonlySet<string>;
  readonly dependent: readonly (readonly [name: string, required: readonly string[]])[];
  readonly min: number;
  readonly max: number;
  readonly path: Path;
}

export interface ArrayLayer {
  readonly prefix: readonly Place[];
  readonly rest?: Place;
  /** The layer counts for `unevaluatedItems`. */
  readonly evaluates: boolean;
}

export interface Contained {
  readonly place: Place;
  readonly min: number;
  readonly max: number;
  readonly path: Path;
}

export interface ArrayFacts {
  readonly layers: readonly ArrayLayer[];
  readonly contains: readonly Contained[];
  readonly min: number;
  readonly max: number;
  /** Place of `uniqueItems`, if items must differ. */
  readonly unique?: Path;
  readonly path: Path;
}

/** One alternative of a schema. */
export interface Facts {
  readonly types: number;
  /** The only values, if they are listed. */
  readonly values?: Values;
  readonly excluded?: Values;
  readonly text?: TextFacts;
  readonly number?: NumberFacts;
  readonly object?: ObjectFacts;
  readonly array?: ArrayFacts;
  /** It depends on the value which layers count for `unevaluated…`. */
  readonly ambiguous?: boolean;
}

export const ANYTHING: Facts = { types: EVERY_TYPE };
export const ANY_TEXT: TextFacts = { min: 0, max: Number.POSITIVE_INFINITY, rules: [], path: [] };
export const ANY_NUMBER: NumberFacts = {
  minimum: Number.NEGATIVE_INFINITY,
  maximum: Number.POSITIVE_INFINITY,
  above: false,
  below: false,
  multiples: [],
  path: [],
};
export const ANY_OBJECT: ObjectFacts = {
  layers: [],
  names: [],
  required: new Set(),
  dependent: [],
  min: 0,
  max: Number.POSITIVE_INFINITY,
  path: [],
};
export const ANY_ARRAY: ArrayFacts = { layers: [], contains: [], min: 0, max: Number.POSITIVE_INFINITY, path: [] };

/** The restrictions of both, or undefined if they obviously exclude each other. */
export function merge(a: Facts, b: Facts): Facts | undefined {
  if (a === ANYTHING || a === b) return b;
  if (b === ANYTHING) return a;
  const types = a.types & b.types;
  const values = both(a.values, b.values, common);
  if (types === 0 || values?.size === 0) return undefined;
  const excluded = both(a.excluded, b.excluded, (x, y) => new Map([...x, ...y]));
  const text = both(a.text, b.text, mergeText);
  const number = both(a.number, b.number, mergeNumber);
  const object = both(a.object, b.object, mergeObject);
  const array = both(a.array, b.array, mergeArray);
  return {
    types,
    ...(values && { values }),
    ...(excluded && { excluded }),
    ...(text && { text }),
    ...(number && { number }),
    ...(object && { object }),
    ...(array && { array }),
    ...((a.ambiguous || b.ambiguous) && { ambiguous: true }),
  };
}

function both<T>(a: T | undefined, b: T | undefined, join: (a: T, b: T) => T): T | undefined {
  if (a === undefined || b === undefined || a === b) return a ?? b;
  return join(a, b);
}

function common(a: Values, b: Values): Values {
  const [few, many] = a.size < b.size ? [a, b] : [b, a];
  return new Map([...few].filter(([key]) => many.has(key)));
}

const union = <T>(a: readonly T[], b: readonly T[]): readonly T[] => {
  if (a.length === 0 || b.length === 0) return a.length === 0 ? b : a;
  return [...new Set([...a, ...b])];
};

const mergeText = (a: TextFacts, b: TextFacts): TextFacts => ({
  min: Math.max(a.min, b.min),
  max: Math.min(a.max, b.max),
  rules: union(a.rules, b.rules),
  path: a.min < b.min ? b.path : a.path,
});

function mergeNumber(a: NumberFacts, b: NumberFacts): NumberFacts {
  const minimum = Math.max(a.minimum, b.minimum);
  const maximum = Math.min(a.maximum, b.maximum);
  return {
    minimum,
    maximum,
    above: (a.above && a.minimum === minimum) || (b.above && b.minimum === minimum),
    below: (a.below && a.maximum === maximum) || (b.below && b.maximum === maximum),
    multiples: union(a.multiples, b.multiples),
    path: b.path,
  };
}

const mergeObject = (a: ObjectFacts, b: ObjectFacts): ObjectFacts => ({
  layers: union(a.layers, b.layers),
  names: union(a.names, b.names),
  required: a.required.size === 0 ? b.required : new Set([...a.required, ...b.required]),
  dependent: union(a.dependent, b.dependent),
  min: Math.max(a.min, b.min),
  max: Math.min(a.max, b.max),
  path: a.min < b.min ? b.path : a.path,
});

function mergeArray(a: ArrayFacts, b: ArrayFacts): ArrayFacts {
  const unique = a.unique ?? b.unique;
  return {
    layers: union(a.layers, b.layers),
    contains: union(a.contains, b.contains),
    min: Math.max(a.min, b.min),
    max: Math.min(a.max, b.max),
    ...(unique && { unique }),
    path: a.min < b.min ? b.path : a.path,
  };
}

/** The facts of a schema whose annotations do not count, such as the schema inside of `not`. */
export function silent(facts: Facts): Facts {
  const { object, array, ambiguous: _, ...others } = facts;
  if (!object && !array) return facts;
  const quiet = <T extends { evaluates: boolean }>(layers: readonly T[]): T[] =>
    layers.map((layer) => (layer.evaluates ? { ...layer, evaluates: false } : layer));
  return {
    ...others,
    ...(object && { object: { ...object, layers: quiet(object.layers) } }),
    ...(array && { array: { ...array, layers: quiet(array.layers) } }),
  };
}

/**
 * A text that is equal for equal values: members in the order of their names.
 * @throws GrammarError `too_complex` for values that are nested too deep
 */
export function canonical(value: Json, step: () => void, depth = 256): string {
  step();
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  if (depth === 0) throw new GrammarError('too_complex', [], 'lists a value that is nested deeper than 256 levels');
  if (Array.isArray(value)) return `[${value.map((item) => canonical(item, step, depth - 1)).join()}]`;
  const members = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${members.map(([name, item]) => `${JSON.stringify(name)}:${canonical(item, step, depth - 1)}`).join()}}`;
}

/** The type of a value, as a bit. */
export function typeOf(value: Json): number {
  if (value === null) return NULL;
  if (Array.isArray(value)) return ARRAY;
  switch (typeof value) {
    case 'boolean':
      return BOOLEAN;
    case 'number':
      return Number.isInteger(value) ? INTEGER : FRACTION;
    case 'string':
      return STRING;
    default:
      return OBJECT;
  }
}

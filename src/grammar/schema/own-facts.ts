/** The restrictions that a schema states itself, without those of the schemas that it applies. Pure. */
import type { Budget } from '../budget.ts';
import type { Json } from '../output-format.ts';
import * as f from './facts.ts';
import { Reader } from './keywords.ts';
import { EVERYTHING, type Place, type Places } from './places.ts';

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

const TYPES: Readonly<Record<string, number>> = {
  null: f.NULL,
  boolean: f.BOOLEAN,
  integer: f.INTEGER,
  number: f.NUMBER,
  string: f.STRING,
  array: f.ARRAY,
  object: f.OBJECT,
};

/** The bits of `type`. */
export function typesOf(reader: Reader): number {
  const value = reader.value('type');
  if (value === undefined) return f.EVERY_TYPE;
  const names = typeof value === 'string' ? [value] : value;
  let types = 0;
  for (const name of Array.isArray(names) ? names : [undefined]) {
    const bits = typeof name === 'string' && Object.hasOwn(TYPES, name) ? TYPES[name] : undefined;
    if (bits === undefined) throw reader.wrong('type', `one or several of ${Object.keys(TYPES).join(', ')}`);
    types |= bits;
  }
  return types;
}

/** The values of `enum` or `const`. */
export function listedValues(reader: Reader, name: 'enum' | 'const', budget: Budget): f.Values | undefined {
  const values = name === 'enum' ? reader.list('enum') : [reader.value('const')];
  if (values === undefined || values[0] === undefined) return values && name === 'enum' ? new Map() : undefined;
  return new Map((values as readonly Json[]).map((value) => [f.canonical(value, () => budget.step()), value]));
}

/**
 * The restrictions of the keywords of one schema that do not apply other schemas at the same place, or
 * undefined if no value meets them.
 * @throws GrammarError `invalid`
 */
export function ownFacts(place: Place, places: Places, budget: Budget): f.Facts | undefined {
  if (typeof place.schema === 'boolean') return place.schema ? f.ANYTHING : undefined;
  const reader = new Reader(place.schema, place.path);
  const facts: Mutable<f.Facts> = { types: typesOf(reader) };
  const values = valuesOf(reader, budget);
  if (values) facts.values = values;
  for (const [name, part] of [
    ['text', textFacts(reader)],
    ['number', numberFacts(reader)],
    ['object', objectFacts(place, reader, places)],
    ['array', arrayFacts(place, reader, places)],
  ] as const)
    if (part) Object.assign(facts, { [name]: part });
  if (facts.types === 0 || values?.size === 0) return undefined;
  return Object.keys(facts).length === 1 && facts.types === f.EVERY_TYPE ? f.ANYTHING : facts;
}

function valuesOf(reader: Reader, budget: Budget): f.Values | undefined {
  const [listed, only] = [listedValues(reader, 'enum', budget), listedValues(reader, 'const', budget)];
  if (!listed || !only) return listed ?? only;
  return new Map([...only].filter(([key]) => listed.has(key)));
}

function textFacts(reader: Reader): f.TextFacts | undefined {
  const [min, max] = [reader.count('minLength'), reader.count('maxLength')];
  const rules: f.TextRule[] = [];
  for (const kind of ['pattern', 'format'] as const) {
    const source = reader.text(kind);
    if (source !== undefined) rules.push({ kind, source, path: reader.pathOf(kind), banned: false });
  }
  if (min === undefined && max === undefined && rules.length === 0) return undefined;
  return { min: min ?? 0, max: max ?? Number.POSITIVE_INFINITY, rules, path: reader.pathOf() };
}

function numberFacts(reader: Reader): f.NumberFacts | undefined {
  const [minimum, maximum] = [reader.number('minimum'), reader.number('maximum')];
  const [above, below] = [reader.number('exclusiveMinimum'), reader.number('exclusiveMaximum')];
  const of = reader.number('multipleOf');
  if (of !== undefined && of <= 0) throw reader.wrong('multipleOf', 'more than 0');
  if ([minimum, maximum, above, below, of].every((value) => value === undefined)) return undefined;
  const least = Math.max(minimum ?? Number.NEGATIVE_INFINITY, above ?? Number.NEGATIVE_INFINITY);
  const most = Math.min(maximum ?? Number.POSITIVE_INFINITY, below ?? Number.POSITIVE_INFINITY);
  return {
    minimum: least,
    maximum: most,
    above: above === least,
    below: below === most,
    multiples: of === undefined ? [] : [{ of, path: reader.pathOf('multipleOf') }],
    path: reader.pathOf(),
  };
}

function objectFacts(place: Place, reader: Reader, places: Places): f.ObjectFacts | undefined {
  const layer = objectLayer(place, reader, places);
  const names = reader.value('propertyNames') === undefined ? undefined : places.child(place, 'propertyNames');
  const required = reader.texts('required');
  const dependent = [
    ...(place.dialect.modern ? reader.textsByName('dependentRequired') : []),
    ...Object.entries(reader.map('dependencies') ?? {}).flatMap(([name, value]) =>
      Array.isArray(value) ? [[name, reader.textList('dependencies', value)] as const] : [],
    ),
  ];
  const [min, max] = [reader.count('minProperties'), reader.count('maxProperties')];
  if (!layer && !names && !required && dependent.length === 0 && min === undefined && max === undefined)
    return undefined;
  return {
    layers: layer ? [layer] : [],
    names: names ? [names] : [],
    required: new Set(required),
    dependent,
    min: min ?? 0,
    max: max ?? Number.POSITIVE_INFINITY,
    path: reader.pathOf(),
  };
}

function objectLayer(place: Place, reader: Reader, places: Places): f.ObjectLayer | undefined {
  const [properties, patterns] = [reader.map('properties'), reader.map('patternProperties')];
  const additional = reader.value('additionalProperties');
  if (!properties && !patterns && additional === undefined) return undefined;
  return {
    properties: new Map(
      Object.keys(properties ?? {}).map((name) => [name, places.child(place, 'properties', name)] as const),
    ),
    patterns: Object.keys(patterns ?? {}).map((source) => {
      return {
        source,
        place: places.child(place, 'patternProperties', source),
        path: reader.pathOf('patternProperties', source),
      };
    }),
    ...(additional !== undefined && { additional: places.child(place, 'additionalProperties') }),
    evaluates: true,
  };
}

function arrayFacts(place: Place, reader: Reader, places: Places): f.ArrayFacts | undefined {
  const layer = arrayLayer(place, reader, places);
  const contains = containedIn(place, reader, places);
  const [min, max, unique] = [reader.count('minItems'), reader.count('maxItems'), reader.flag('uniqueItems')];
  if (!layer && !contains && min === undefined && max === undefined && !unique) return undefined;
  return {
    layers: layer ? [layer] : [],
    contains: contains ? [contains] : [],
    min: min ?? 0,
    max: max ?? Number.POSITIVE_INFINITY,
    ...(unique && { unique: reader.pathOf('uniqueItems') }),
    path: reader.pathOf(),
  };
}

function arrayLayer(place: Place, reader: Reader, places: Places): f.ArrayLayer | undefined {
  const tuple = place.dialect.tuples && Array.isArray(reader.value('items'));
  const listName = tuple ? 'items' : 'prefixItems';
  const restName = tuple ? 'additionalItems' : 'items';
  const list = tuple || !place.dialect.tuples ? reader.list(listName) : undefined;
  const rest = reader.value(restName);
  if (!list && rest === undefined) return undefined;
  return {
    prefix: (list ?? []).map((_, index) => places.child(place, listName, index)),
    ...(rest !== undefined && { rest: places.child(place, restName) }),
    evaluates: true,
  };
}

function containedIn(place: Place, reader: Reader, places: Places): f.Contained | undefined {
  const modern = place.dialect.modern;
  const min = modern ? reader.count('minContains') : undefined;
  const max = modern ? reader.count('maxContains') : undefined;
  if (reader.value('contains') === undefined) return undefined;
  const path = reader.pathOf(max === undefined ? 'contains' : 'maxContains');
  return { place: places.child(place, 'contains'), min: min ?? 1, max: max ?? Number.POSITIVE_INFINITY, path };
}

/** A layer that gives everything that these layers name to EVERYTHING, and the rest to a schema. */
export function restOfObject(layers: readonly f.ObjectLayer[], rest: Place): f.ObjectLayer | undefined {
  const counted = layers.filter(({ evaluates }) => evaluates);
  if (counted.some(({ additional }) => additional)) return undefined;
  return {
    properties: new Map(counted.flatMap(({ properties }) => [...properties.keys()].map((name) => [name, EVERYTHING]))),
    patterns: counted.flatMap(({ patterns }) => patterns.map((pattern) => ({ ...pattern, place: EVERYTHING }))),
    additional: rest,
    evaluates: true,
  };
}

/** The same for arrays. */
export function restOfArray(layers: readonly f.ArrayLayer[], rest: Place): f.ArrayLayer | undefined {
  const counted = layers.filter(({ evaluates }) => evaluates);
  if (counted.some((layer) => layer.rest)) return undefined;
  const length = Math.max(0, ...counted.map(({ prefix }) => prefix.length));
  return { prefix: Array.from({ length }, () => EVERYTHING), rest, evaluates: true };
}

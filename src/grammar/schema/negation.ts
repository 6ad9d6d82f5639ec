/** The values that a schema does not accept: for `not`, `if` and `oneOf`. Pure. */
import type { Budget } from '../budget.ts';
import { GrammarError } from '../grammar-error.ts';
import * as f from './facts.ts';
import { Reader } from './keywords.ts';
import { listedValues, typesOf } from './own-facts.ts';
import { EVERYTHING, NOTHING, type Place, type Places } from './places.ts';

/** The alternatives of a schema. */
interface Source {
  readonly budget: Budget;
  of(place: Place): readonly f.Facts[];
  all(places: readonly Place[]): readonly f.Facts[];
  any(places: readonly Place[], owner: Place): readonly f.Facts[];
}

/** What one keyword needs to be negated. */
interface Negation {
  readonly place: Place;
  readonly reader: Reader;
  readonly places: Places;
  readonly source: Source;
  readonly name: string;
}

type Rule = (negation: Negation) => readonly f.Facts[];

/**
 * The alternatives of the values that a schema refuses: those that at least one of its keywords refuses.
 * @param place a negated schema
 * @throws GrammarError `unsupported` if a keyword has no negation here
 */
export function negated(place: Place, places: Places, source: Source): f.Facts[] {
  if (typeof place.schema === 'boolean') return place.schema ? [] : [f.ANYTHING];
  const reader = new Reader(place.schema, place.path);
  const result: f.Facts[] = [];
  for (const name of Object.keys(place.schema)) {
    source.budget.step();
    if (!place.dialect.modern && MODERN_ONLY.has(name)) continue;
    const rule = Object.hasOwn(RULES, name) ? RULES[name] : undefined;
    if (rule) for (const facts of rule({ place, reader, places, source, name })) result.push(facts);
    else if (IMPOSSIBLE.has(name)) throw refusal(reader, name);
  }
  return result;
}

const MODERN_ONLY = new Set(['dependentRequired', 'dependentSchemas', 'unevaluatedItems', 'unevaluatedProperties']);
/** The automaton of a format accepts a part of its texts, so its negation would accept too much. */
const IMPOSSIBLE = new Set(
  (
    'format patternProperties propertyNames multipleOf oneOf if dependencies dependentSchemas additionalItems ' +
    'unevaluatedItems unevaluatedProperties $dynamicRef $recursiveRef'
  ).split(' '),
);

const refusal = (reader: Reader, name: string): GrammarError =>
  new GrammarError('unsupported', reader.pathOf(name), 'is not supported inside of not, if or overlapping oneOf');

const UNBOUND = Number.POSITIVE_INFINITY;
const texts = (part: Partial<f.TextFacts>): f.Facts[] => [{ types: f.STRING, text: { ...f.ANY_TEXT, ...part } }];
const numbers = (part: Partial<f.NumberFacts>): f.Facts[] => [
  { types: f.NUMBER, number: { ...f.ANY_NUMBER, ...part } },
];
const objects = (part: Partial<f.ObjectFacts>): f.Facts[] => [
  { types: f.OBJECT, object: { ...f.ANY_OBJECT, ...part } },
];
const arrays = (part: Partial<f.ArrayFacts>): f.Facts[] => [{ types: f.ARRAY, array: { ...f.ANY_ARRAY, ...part } }];

/** A layer that gives one member a schema. */
const layerOf = (name: string, place: Place): readonly f.ObjectLayer[] => [
  { properties: new Map([[name, place]]), patterns: [], evaluates: false },
];

/** Below a least number: nothing if it is 0. */
const below = (make: (max: number) => f.Facts[], least: number): f.Facts[] => (least > 0 ? make(least - 1) : []);

const RULES: Readonly<Record<string, Rule>> = {
  type: ({ reader }) => {
    const types = f.EVERY_TYPE & ~typesOf(reader);
    return types === 0 ? [] : [{ types }];
  },
  enum: excludedValues,
  const: excludedValues,
  minimum: ({ reader }) => numbers({ maximum: reader.number('minimum') ?? UNBOUND, below: true }),
  exclusiveMinimum: ({ reader }) => numbers({ maximum: reader.number('exclusiveMinimum') ?? UNBOUND }),
  maximum: ({ reader }) => numbers({ minimum: reader.number('maximum') ?? -UNBOUND, above: true }),
  exclusiveMaximum: ({ reader }) => numbers({ minimum: reader.number('exclusiveMaximum') ?? -UNBOUND }),
  minLength: ({ reader }) => below((max) => texts({ max }), reader.count('minLength') ?? 0),
  maxLength: ({ reader }) => texts({ min: 1 + (reader.count('maxLength') ?? UNBOUND) }),
  pattern: ({ reader }) =>
    texts({
      rules: [{ kind: 'pattern', source: reader.text('pattern') ?? '', path: reader.pathOf('pattern'), banned: true }],
    }),
  minProperties: ({ reader }) => below((max) => objects({ max }), reader.count('minProperties') ?? 0),
  maxProperties: ({ reader }) => objects({ min: 1 + (reader.count('maxProperties') ?? UNBOUND) }),
  required: ({ reader }) =>
    (reader.texts('required') ?? []).flatMap((name) => objects({ layers: layerOf(name, NOTHING) })),
  dependentRequired: ({ reader }) =>
    reader
      .textsByName('dependentRequired')
      .flatMap(([name, others]) =>
        others.flatMap((other) => objects({ required: new Set([name]), layers: layerOf(other, NOTHING) })),
      ),
  properties: ({ reader, place, places }) =>
    Object.keys(reader.map('properties') ?? {}).flatMap((name) => {
      const value = places.not(places.child(place, 'properties', name));
      return value === NOTHING ? [] : objects({ required: new Set([name]), layers: layerOf(name, value) });
    }),
  additionalProperties: onlyWithout('additionalProperties'),
  minItems: ({ reader }) => below((max) => arrays({ max }), reader.count('minItems') ?? 0),
  maxItems: ({ reader }) => arrays({ min: 1 + (reader.count('maxItems') ?? UNBOUND) }),
  uniqueItems: ({ reader, name }) => {
    if (reader.flag('uniqueItems')) throw refusal(reader, name);
    return [];
  },
  prefixItems: ({ reader, place, places }) => {
    if (place.dialect.tuples) return [];
    return (reader.list('prefixItems') ?? []).flatMap((_, index) => {
      const prefix = Array.from({ length: index }, () => EVERYTHING);
      const item = places.not(places.child(place, 'prefixItems', index));
      return arrays({ min: index + 1, layers: [{ prefix: [...prefix, item], evaluates: false }] });
    });
  },
  items: ({ reader, place, places, name }) => {
    if (Array.isArray(reader.value('items')) || reader.value('prefixItems') !== undefined) throw refusal(reader, name);
    const item = places.not(places.child(place, 'items'));
    return arrays({ contains: [{ place: item, min: 1, max: UNBOUND, path: reader.pathOf('items') }] });
  },
  contains: ({ reader, place, places, name }) => {
    const isCounted = reader.value('minContains') !== undefined || reader.value('maxContains') !== undefined;
    if (isCounted && place.dialect.modern) throw refusal(reader, name);
    return arrays({ layers: [{ prefix: [], rest: places.not(places.child(place, 'contains')), evaluates: false }] });
  },
  allOf: ({ reader, place, places, source }) =>
    source.any(
      (reader.list('allOf') ?? []).map((_, index) => places.not(places.child(place, 'allOf', index))),
      place,
    ),
  anyOf: ({ reader, place, places, source }) =>
    source.all((reader.list('anyOf') ?? []).map((_, index) => places.not(places.child(place, 'anyOf', index)))),
  not: ({ place, places, source }) => source.of(places.child(place, 'not')),
  $ref: ({ place, places, source }) => source.of(places.not(places.target(place))),
};

function excludedValues({ reader, source, name }: Negation): readonly f.Facts[] {
  const excluded = listedValues(reader, name === 'enum' ? 'enum' : 'const', source.budget);
  return excluded ? [{ types: f.EVERY_TYPE, excluded }] : [];
}

/** A keyword that has a negation only if it says nothing. */
function onlyWithout(keyword: string): Rule {
  return ({ reader, place, places, name }) => {
    const { schema } = places.child(place, keyword);
    if (schema === true || (schema !== false && Object.keys(schema).length === 0)) return [];
    throw refusal(reader, name);
  };
}

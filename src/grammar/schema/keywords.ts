/** The keywords of JSON Schema: dialects, annotations, and reading values of the right form. Pure. */
import { GrammarError } from '../grammar-error.ts';
import type { Json } from '../output-format.ts';

/** Differences between the versions of JSON Schema. */
export interface Dialect {
  /** Keywords next to `$ref` count. */
  readonly siblings: boolean;
  /** A list in `items` describes the first items, and `additionalItems` the others. */
  readonly tuples: boolean;
  /** `dependentRequired`, `dependentSchemas`, `minContains`, `maxContains` and `unevaluated…` exist. */
  readonly modern: boolean;
}

const MODERN: Dialect = { siblings: true, tuples: false, modern: true };
export const DIALECTS = {
  modern: MODERN,
  '2020-12': MODERN,
  '2019-09': { siblings: true, tuples: true, modern: true },
  '07': { siblings: false, tuples: true, modern: false },
  '06': { siblings: false, tuples: true, modern: false },
} as const satisfies Record<string, Dialect>;

const DIALECT = /^https?:\/\/json-schema\.org\/draft(?:\/(2020-12|2019-09)|-(07|06))\/schema#?$/;

/**
 * The dialect that `$schema` names: 2020-12 without it.
 * @throws GrammarError `unsupported` if it is an unknown one
 */
export function dialectOf(schema: { readonly [name: string]: Json }, path: readonly (string | number)[]): Dialect {
  const named = Object.hasOwn(schema, '$schema') ? schema['$schema'] : undefined;
  if (named === undefined) return DIALECTS.modern;
  const found = typeof named === 'string' ? DIALECT.exec(named) : undefined;
  const version = (found?.[1] ?? found?.[2]) as keyof typeof DIALECTS | undefined;
  if (version) return DIALECTS[version];
  throw new GrammarError(
    'unsupported',
    [...path, '$schema'],
    'names an unknown dialect; use 2020-12 or draft-07, or leave it out',
  );
}

const among = (names: string): ReadonlySet<string> => new Set(names.split(' '));

/** Keywords that hold one schema; `items` and `additionalItems` of older dialects may hold a list. */
export const WITH_SCHEMA = among(
  'additionalItems additionalProperties contains else if items not propertyNames then unevaluatedItems ' +
    'unevaluatedProperties',
);
/** Keywords that hold a list of schemas. */
export const WITH_LIST = among('allOf anyOf oneOf prefixItems items');
/** Keywords that hold schemas by name. */
export const WITH_MAP = among('definitions $defs dependencies dependentSchemas patternProperties properties');

/** Keywords that restrict the value. `$dynamicRef` and `$recursiveRef` are refused. */
const ASSERTIONS = among(
  'type enum const properties required additionalProperties patternProperties propertyNames minProperties ' +
    'maxProperties dependencies items contains minItems maxItems uniqueItems minLength maxLength pattern format ' +
    'minimum maximum exclusiveMinimum exclusiveMaximum multipleOf anyOf oneOf allOf not $ref if then else',
);
const MODERN_ASSERTIONS = among(
  'dependentRequired dependentSchemas minContains maxContains unevaluatedItems unevaluatedProperties $dynamicRef ' +
    '$recursiveRef',
);
/** Keywords that by the standard, or by the habit of generators, say nothing about the value. */
const ANNOTATIONS = among(
  'title description default examples example deprecated readOnly writeOnly contentMediaType contentEncoding ' +
    'contentSchema discriminator externalDocs xml $comment $schema $id $anchor $dynamicAnchor $recursiveAnchor ' +
    '$vocabulary $defs definitions',
);

/** True if a keyword of a schema has no effect although its author may expect one. */
export function isWithoutEffect(name: string, dialect: Dialect): boolean {
  if (ASSERTIONS.has(name) || ANNOTATIONS.has(name) || name.startsWith('x-')) return false;
  if (MODERN_ASSERTIONS.has(name)) return !dialect.modern;
  if (name === 'prefixItems') return dialect.tuples;
  return name !== 'additionalItems' || !dialect.tuples;
}

/** Reads the keywords of one schema. Methods throw GrammarError `invalid` for a value of the wrong form. */
export class Reader {
  readonly #schema: { readonly [name: string]: Json };
  readonly #path: readonly (string | number)[];

  constructor(schema: { readonly [name: string]: Json }, path: readonly (string | number)[]) {
    this.#schema = schema;
    this.#path = path;
  }

  value(name: string): Json | undefined {
    return Object.hasOwn(this.#schema, name) ? this.#schema[name] : undefined;
  }

  pathOf(...keys: readonly (string | number)[]): readonly (string | number)[] {
    return [...this.#path, ...keys];
  }

  wrong(name: string, form: string): GrammarError {
    return new GrammarError('invalid', this.pathOf(name), `must be ${form}`);
  }

  number(name: string): number | undefined {
    const value = this.value(name);
    if (value === undefined || (typeof value === 'number' && Number.isFinite(value))) return value;
    throw this.wrong(name, 'a number');
  }

  count(name: string): number | undefined {
    const value = this.number(name);
    if (value === undefined || (Number.isInteger(value) && value >= 0)) return value;
    throw this.wrong(name, 'a whole number of at least 0');
  }

  text(name: string): string | undefined {
    const value = this.value(name);
    if (value === undefined || typeof value === 'string') return value;
    throw this.wrong(name, 'a string');
  }

  flag(name: string): boolean | undefined {
    const value = this.value(name);
    if (value === undefined || typeof value === 'boolean') return value;
    throw this.wrong(name, 'true or false');
  }

  list(name: string): readonly Json[] | undefined {
    const value = this.value(name);
    if (value === undefined || Array.isArray(value)) return value;
    throw this.wrong(name, 'a list');
  }

  texts(name: string): readonly string[] | undefined {
    const value = this.list(name);
    return value && this.textList(name, value);
  }

  map(name: string): { readonly [key: string]: Json } | undefined {
    const value = this.value(name);
    if (value === undefined || (typeof value === 'object' && value !== null && !Array.isArray(value)))
      return value as { readonly [key: string]: Json } | undefined;
    throw this.wrong(name, 'an object');
  }

  /** Lists of strings by name. */
  textsByName(name: string): [key: string, texts: readonly string[]][] {
    return Object.entries(this.map(name) ?? {}).map(([key, value]) => [key, this.textList(name, value)]);
  }

  /** A list of strings inside of a keyword. */
  textList(name: string, value: Json | undefined): readonly string[] {
    if (Array.isArray(value) && value.every((item) => typeof item === 'string')) return value;
    throw this.wrong(name, 'a list of strings');
  }
}

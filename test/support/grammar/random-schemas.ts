/** Random schemas and values, the same ones in each run. */
import type { Json } from '../../../src/grammar/output-format.ts';

const NAMES = ['a', 'b', 'ab', 'c1'];
const PATTERNS = ['^a', 'b', '^[a-c]$', '1$', '^.{2}$'];
const SCALARS: readonly Json[] = [null, true, false, 0, 1, -1, 2, 1.5, 10, '', 'a', 'b', 'ab', 'c1', 'abc'];
export const TYPES: readonly Json[] = [
  'string',
  'object',
  'array',
  'number',
  'integer',
  ['object', 'array'],
  ['null', 'object'],
];

let state = 20_261_129;
/** A number from 0 to `below` - 1: the linear congruential generator of Numerical Recipes. */
export function random(below: number): number {
  state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
  return Math.floor((state / 2 ** 32) * below);
}
export const pick = <T>(list: readonly T[]): T => list[random(list.length)] as T;
export const several = <T>(least: number, most: number, make: () => T): T[] =>
  Array.from({ length: least + random(most - least + 1) }, make);

export function randomValue(depth: number): Json {
  const kind = random(depth > 0 ? 10 : 7);
  if (kind < 7) return pick(SCALARS);
  if (kind === 7) return several(0, 3, () => randomValue(depth - 1));
  return Object.fromEntries(several(0, 3, () => [pick(NAMES), randomValue(depth - 1)]));
}

/** The value of each keyword, given a maker of schemas. */
const KEYWORDS: Readonly<Record<string, (sub: () => Json) => Json>> = {
  type: () => pick(TYPES),
  enum: () => [...new Map(several(1, 4, () => randomValue(2)).map((value) => [JSON.stringify(value), value])).values()],
  const: () => randomValue(2),
  properties: (sub) => Object.fromEntries(several(1, 3, () => [pick(NAMES), sub()])),
  required: () => [...new Set(several(1, 2, () => pick(NAMES)))],
  additionalProperties: (sub) => sub(),
  patternProperties: (sub) => ({ [pick(PATTERNS)]: sub() }),
  propertyNames: () => pick<Json>([{ maxLength: 1 }, { enum: ['a', 'c1'] }, { pattern: '^a' }, { type: 'string' }]),
  minProperties: () => random(3),
  maxProperties: () => random(3),
  dependentRequired: () => ({ [pick(NAMES)]: [pick(NAMES)] }),
  items: (sub) => sub(),
  prefixItems: (sub) => several(1, 2, sub),
  contains: (sub) => sub(),
  minContains: () => random(3),
  minItems: () => random(3),
  maxItems: () => random(3),
  minLength: () => random(3),
  maxLength: () => random(3),
  pattern: () => pick(PATTERNS),
  minimum: () => pick([0, 1, -1, 1.5]),
  exclusiveMinimum: () => pick([0, 1, -1, 1.5]),
  maximum: () => pick([0, 1, -1, 1.5]),
  exclusiveMaximum: () => pick([0, 1, -1, 1.5]),
  multipleOf: () => pick([1, 2, 0.5]),
  anyOf: (sub) => several(1, 3, sub),
  oneOf: (sub) => several(1, 3, sub),
  allOf: (sub) => several(1, 3, sub),
  not: (sub) => sub(),
  if: (sub) => sub(),
  // biome-ignore lint/suspicious/noThenProperty: a keyword of JSON Schema.
  then: (sub) => sub(),
  else: (sub) => sub(),
  dependentSchemas: (sub) => ({ [pick(NAMES)]: sub() }),
  unevaluatedProperties: (sub) => sub(),
  unevaluatedItems: (sub) => sub(),
  $ref: () => '#/$defs/x',
};

/** A schema of some keywords. Never `false` alone: ajv accepts some arrays under `contains: false`. */
export function randomSchema(depth: number): Json {
  if (depth <= 0) return pick<Json>([true, {}, { type: 'string' }, { type: 'integer' }, { const: pick(SCALARS) }]);
  const names = several(1, 3, () => pick(Object.keys(KEYWORDS)));
  const sub = (): Json => randomSchema(depth - 1 - random(2));
  return Object.fromEntries(names.map((name) => [name, KEYWORDS[name]?.(sub) ?? true]));
}

/** A random schema with references. Their target refers to nothing, so that ajv does not recurse without end. */
export function randomDocument(): { readonly [name: string]: Json } {
  const target = { anyOf: [{ type: pick(TYPES) }, { const: randomValue(1) }] };
  return { allOf: [randomSchema(3)], $defs: { x: target } };
}

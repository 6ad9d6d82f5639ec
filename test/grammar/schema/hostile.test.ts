/** Schemas that are made to cost time or memory end with an error, even if the clock stands still. */
import { describe, expect, test } from 'vitest';
import { Budget } from '../../../src/grammar/budget.ts';
import type { Json } from '../../../src/grammar/output-format.ts';
import { MAX_ALTERNATIVES } from '../../../src/grammar/schema/alternatives.ts';
import { MAX_FIRST_ITEMS } from '../../../src/grammar/schema/arrays.ts';
import { MAX_LEAST } from '../../../src/grammar/schema/facts.ts';
import { MAX_NAME_CHARACTERS, MAX_REQUIRED } from '../../../src/grammar/schema/objects.ts';
import { accepts, compileSchema, refusalOf } from './compile-schema.ts';

type Schema = { [name: string]: Json };

/** A schema inside of itself, `depth` times. */
function nested(depth: number, wrap: (inner: Json) => Json, inner: Json = true): Json {
  let schema = inner;
  for (let level = 0; level < depth; level += 1) schema = wrap(schema);
  return schema;
}

const range = (count: number): number[] => Array.from({ length: count }, (_, index) => index);

/** A clock that goes on by a millisecond each time it is read. */
function ticking(): Budget {
  let now = 0;
  return new Budget(() => {
    now += 1;
    return now;
  });
}

describe('depth', () => {
  test.each<[string, (inner: Json) => Json]>([
    ['properties', (inner) => ({ properties: { a: inner } })],
    ['items', (inner) => ({ items: inner })],
    ['allOf', (inner) => ({ allOf: [inner] })],
    ['anyOf', (inner) => ({ anyOf: [inner, { type: 'null' }] })],
    ['oneOf', (inner) => ({ oneOf: [inner, { type: 'null' }] })],
    ['not', (inner) => ({ not: inner })],
    ['if', (inner) => ({ if: { type: 'null' }, else: inner })],
    ['additionalProperties', (inner) => ({ additionalProperties: inner })],
    ['contains', (inner) => ({ contains: inner })],
    ['dependentSchemas', (inner) => ({ dependentSchemas: { a: inner } })],
  ])('%s of 5000 levels', (_, wrap) => {
    expect(refusalOf(nested(5_000, wrap, { minLength: 1 })).problem).toBe('too_complex');
  });

  test('a chain of 5000 references', () => {
    const $defs = Object.fromEntries(range(5_000).map((index) => [`d${index}`, { $ref: `#/$defs/d${index + 1}` }]));
    expect(refusalOf({ $ref: '#/$defs/d0', $defs: { ...$defs, d5000: { type: 'null' } } }).problem).toBe('too_complex');
  });

  test('a value of 5000 levels', () => {
    expect(refusalOf({ const: nested(5_000, (inner) => [inner]) }).problem).toBe('too_complex');
    expect(refusalOf({ enum: [nested(5_000, (inner) => ({ a: inner }))] }).problem).toBe('too_complex');
  });

  test('100 levels are allowed', () => {
    const wrap = (inner: Json): Json => ({ type: 'object', properties: { a: inner }, required: ['a'] });
    const program = compileSchema(nested(100, wrap, { const: 1 }));
    expect(
      accepts(
        program,
        nested(100, (inner) => ({ a: inner }), 1),
      ),
    ).toBe(true);
    expect(
      accepts(
        program,
        nested(99, (inner) => ({ a: inner }), 1),
      ),
    ).toBe(false);
  });
});

describe('width', () => {
  test('100 000 members', () => {
    const properties = Object.fromEntries(range(100_000).map((index) => [`p${index}`, { type: 'null' }]));
    expect(refusalOf({ properties }).problem).toBe('too_complex');
  });

  test('100 000 values', () => {
    const values = range(100_000).map((index) => [index]);
    expect(refusalOf({ enum: values }).problem).toBe('too_complex');
  });

  test('100 000 branches', () => {
    const branches = range(100_000).map((index) => ({ const: index }));
    expect(refusalOf({ anyOf: branches }).problem).toBe('too_complex');
    expect(refusalOf({ oneOf: branches }, ticking()).problem).toBe('too_complex');
  });

  test('100 000 first items', () => {
    expect(refusalOf({ prefixItems: range(100_000).map((index) => ({ const: index })) }).problem).toBe('too_complex');
  });

  test.each<[string, Json]>([
    ['minLength', { type: 'string', minLength: MAX_LEAST + 1 }],
    ['minItems', { type: 'array', minItems: MAX_LEAST + 1 }],
    ['minProperties', { type: 'object', minProperties: MAX_LEAST + 1 }],
    ['minContains', { type: 'array', contains: { type: 'null' }, minContains: MAX_LEAST + 1 }],
  ])('%s above its bound', (_, schema) => {
    expect(refusalOf(schema)).toMatchObject({
      problem: 'too_complex',
      message: expect.stringContaining(`more than ${MAX_LEAST}`),
    });
  });

  test('long names of members beside a pattern for names', () => {
    const names = (length: number): Json => ({
      properties: Object.fromEntries(range(10).map((index) => [`${index}${'x'.repeat(length)}`, { type: 'null' }])),
      patternProperties: { x: true },
      additionalProperties: false,
    });
    expect(accepts(compileSchema(names(10)), { '0xxxxxxxxxx': null, x: 1 })).toBe(true);
    expect(refusalOf(names(MAX_NAME_CHARACTERS / 10))).toMatchObject({
      problem: 'too_complex',
      message: expect.stringContaining(`${MAX_NAME_CHARACTERS} characters`),
    });
  });

  test('more than four patterns for names', () => {
    const patternProperties = Object.fromEntries(range(5).map((index) => [`^${index}`, true]));
    expect(refusalOf({ patternProperties })).toMatchObject({ problem: 'too_complex', path: [] });
  });

  test('chains of required members', () => {
    const chain = (length: number): Schema => {
      const dependent = range(length).map((index) => [`p${index}`, [`p${index + 1}`]] as const);
      return { type: 'object', dependentRequired: Object.fromEntries(dependent) };
    };
    expect(accepts(compileSchema(chain(20)), { p19: 1, p20: 1 })).toBe(true);
    expect(refusalOf({ properties: { a: chain(600) } })).toMatchObject({
      problem: 'too_complex',
      path: ['properties', 'a'],
      message: expect.stringContaining(`more than ${MAX_REQUIRED}`),
    });
  });

  test('many first items, of which some must match', () => {
    const first = (length: number): Json => ({
      type: 'array',
      prefixItems: range(length).map(() => true),
      contains: { const: 1 },
    });
    expect(accepts(compileSchema(first(MAX_FIRST_ITEMS)), [0, 1])).toBe(true);
    expect(refusalOf(first(MAX_FIRST_ITEMS + 1))).toMatchObject({ problem: 'too_complex', path: [] });
  });

  test('5000 numbers of an enumeration become one automaton, and all can be written', () => {
    const program = compileSchema({ enum: [...range(5_000), null, 0.5] });
    expect(program.nodes.map(({ kind }) => kind)).toEqual(['chars']);
    for (const value of [0, 7, 4_999, null, 0.5]) expect(accepts(program, value)).toBe(true);
    for (const value of [5_000, -1, true, '7']) expect(accepts(program, value)).toBe(false);
  });

  test('5000 strings of an enumeration become one automaton', () => {
    const values = range(5_000).map((index) => `value ${index}`);
    const program = compileSchema({ enum: values });
    expect(program.nodes.map(({ kind }) => kind)).toEqual(['string']);
    expect(accepts(program, 'value 4999')).toBe(true);
    expect(accepts(program, 'value 5000')).toBe(false);
  });
});

describe('exponential growth', () => {
  test('alternatives that are multiplied', () => {
    const pair = (index: number): Json => ({
      anyOf: [{ properties: { [`a${index}`]: { const: 1 } } }, { properties: { [`b${index}`]: { const: 1 } } }],
    });
    expect(refusalOf({ allOf: range(40).map(pair) }).problem).toBe('too_complex');
  });

  test('references that double', () => {
    const $defs: Schema = { d0: { type: 'string', minLength: 1 } };
    for (const index of range(60)) {
      const $ref = `#/$defs/d${index}`;
      $defs[`d${index + 1}`] = { allOf: [{ $ref }, { $ref }] };
    }
    expect(accepts(compileSchema({ $ref: '#/$defs/d60', $defs }), 'a')).toBe(true);
  });

  test.each<[string, (inner: Json) => Json, Json]>([
    ['anyOf', (inner) => ({ anyOf: [inner, inner] }), { $ref: '#/$defs/d25' }],
    [
      'oneOf',
      (inner) => ({ oneOf: [{ type: 'null' }, { type: 'array', anyOf: [inner, inner] }] }),
      { $ref: '#/$defs/d25' },
    ],
    ['allOf inside of not', (inner) => ({ allOf: [inner, inner] }), { not: { $ref: '#/$defs/d25' } }],
    ['anyOf inside of not not', (inner) => ({ anyOf: [inner, inner] }), { not: { not: { $ref: '#/$defs/d25' } } }],
  ])('references that double in %s', (_, wrap, schema) => {
    const $defs: Schema = { d0: { type: 'array', minItems: 1 } };
    for (const index of range(25)) $defs[`d${index + 1}`] = wrap({ $ref: `#/$defs/d${index}` });
    expect(refusalOf({ ...(schema as Schema), $defs })).toMatchObject({
      problem: 'too_complex',
      message: expect.stringContaining(`${MAX_ALTERNATIVES} alternatives`),
    });
  });

  test('references that double inside of members', () => {
    const $defs: Schema = { d0: { type: 'null' } };
    for (const index of range(60)) {
      const $ref = `#/$defs/d${index}`;
      $defs[`d${index + 1}`] = { type: 'object', properties: { a: { $ref }, b: { $ref } } };
    }
    expect(accepts(compileSchema({ $ref: '#/$defs/d60', $defs }), { a: { b: {} } })).toBe(true);
  });

  test('recursion that merges more and more schemas', () => {
    const $defs: Schema = {};
    for (const index of range(12))
      $defs[`d${index}`] = {
        properties: {
          a: { allOf: [{ $ref: `#/$defs/d${(index + 1) % 12}` }, { $ref: `#/$defs/d${(index * 5) % 12}` }] },
        },
        additionalProperties: { $ref: `#/$defs/d${(index + 7) % 12}` },
      };
    const run = (): unknown => compileSchema({ allOf: [{ $ref: '#/$defs/d0' }, { $ref: '#/$defs/d1' }], $defs });
    expect(accepts(run() as ReturnType<typeof compileSchema>, { a: { a: { z: 1 } } })).toBe(true);
  });

  test('disjoint branches that refer to each other', () => {
    const node = (kind: string): Json => ({
      type: 'object',
      properties: { kind: { const: kind }, left: { $ref: '#' }, right: { $ref: '#' } },
      required: ['kind', 'left'],
    });
    const schema = { oneOf: [...range(6).map((index) => node(`k${index}`)), { type: 'null' }] };
    const program = compileSchema(schema);
    expect(accepts(program, { kind: 'k1', left: { kind: 'k5', left: null } })).toBe(true);
    expect(accepts(program, { kind: 'k1' })).toBe(false);
  });
});

describe('a clock that goes on', () => {
  test.each<[string, Json]>([
    ['wide', { properties: Object.fromEntries(range(30_000).map((index) => [`p${index}`, {}])) }],
    ['a megabyte of values', { enum: range(40_000).map((index) => `${index} ${'x'.repeat(20)}`) }],
    ['many references', { allOf: range(30_000).map(() => ({ $ref: '#/$defs/a' })), $defs: { a: { type: 'null' } } }],
    [
      'many anchors',
      { $ref: '#z', $defs: Object.fromEntries(range(30_000).map((index) => [`a${index}`, { $anchor: `a${index}` }])) },
    ],
  ])('%s', (_, schema) => {
    expect(refusalOf(schema, ticking())).toMatchObject({ problem: 'too_complex' });
  });
});

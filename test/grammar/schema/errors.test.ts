/** Schemas that are refused: which problem, at which place. */
import { describe, expect, test } from 'vitest';
import type { Json } from '../../../src/grammar/output-format.ts';
import { compileSchema, refusalOf } from './compile-schema.ts';

/** `problem place: the rest of the sentence`. */
function sentenceOf(schema: Json): string {
  const { problem, path, message } = refusalOf(schema);
  return `${problem} ${path.join('/')}: ${message}`;
}

const at = (keyword: string, value: Json): Json => ({ properties: { a: { [keyword]: value } } });
const DRAFT_7 = 'http://json-schema.org/draft-07/schema#';

describe('a keyword of the wrong form is invalid', () => {
  test.each<[string, Json, string]>([
    ['type', 'text', 'must be one or several of null, boolean, integer, number, string, array, object'],
    ['type', ['string', 7], 'must be one or several of null, boolean, integer, number, string, array, object'],
    ['enum', 'a', 'must be a list'],
    ['properties', [], 'must be an object'],
    ['required', ['a', 1], 'must be a list of strings'],
    ['minLength', -1, 'must be a whole number of at least 0'],
    ['maxLength', 1.5, 'must be a whole number of at least 0'],
    ['pattern', 7, 'must be a string'],
    ['format', null, 'must be a string'],
    ['minimum', '1', 'must be a number'],
    ['exclusiveMinimum', true, 'must be a number'],
    ['multipleOf', 0, 'must be more than 0'],
    ['uniqueItems', 'yes', 'must be true or false'],
    ['items', [], 'must be a schema: an object, true or false; use prefixItems for a list of schemas'],
    ['additionalProperties', 'no', 'must be a schema: an object, true or false'],
    ['not', 1, 'must be a schema: an object, true or false'],
    ['anyOf', [], 'must be a list of at least one schema'],
    ['oneOf', {}, 'must be a list'],
    ['dependentRequired', { b: 'c' }, 'must be a list of strings'],
    ['$ref', 1, 'must be a string'],
    ['$ref', '#/$defs/missing', 'names a place that does not exist'],
    ['$ref', '#/properties/a/$ref', 'names a place that is no schema'],
    ['$ref', '#missing', 'names an anchor that does not exist'],
    ['$ref', '#/%E0', 'must be the address of a schema'],
  ])('%s: %j', (keyword, value, message) => {
    expect(sentenceOf(at(keyword, value))).toBe(`invalid properties/a/${keyword}: ${message}`);
  });

  test('also inside of lists and maps', () => {
    expect(sentenceOf({ anyOf: [true, { allOf: ['x'] }] })).toBe(
      'invalid anyOf/1/allOf/0: must be a schema: an object, true or false',
    );
  });

  test('a document that is no schema', () => {
    expect(sentenceOf('text')).toBe('invalid : must be a schema: an object, true or false');
  });

  test('a schema that only refers to itself', () => {
    const schema = { $ref: '#/$defs/a', $defs: { a: { allOf: [{ $ref: '#/$defs/b' }] }, b: { $ref: '#/$defs/a' } } };
    expect(sentenceOf(schema)).toBe('invalid $defs/a: refers to itself without end');
  });
});

describe('a keyword that cannot be enforced is refused with a way out', () => {
  test.each<[string, Json]>([
    ['$schema: names an unknown dialect; use 2020-12 or draft-07, or leave it out', { $schema: 'https://a.b/c' }],
    [
      'properties/a/$ref: names another document, which is not read; copy it to $defs',
      at('$ref', 'https://example.com/other.json#/x'),
    ],
    ['properties/a/$dynamicRef: is not supported; use $ref', at('$dynamicRef', '#x')],
    [
      'properties/a/uniqueItems: is not supported for arrays of several items; ' +
        'leave it out, or use an object with a member for each item',
      at('uniqueItems', true),
    ],
    [
      'maxContains: is not supported; use maxItems, or leave it out',
      { contains: { const: 1 }, maxContains: 2, type: 'array' },
    ],
    [
      'allOf/1/contains: is not supported twice for one array; use one',
      { allOf: [{ contains: { const: 1 } }, { contains: { const: 2 } }] },
    ],
    [
      'oneOf: has branches that may accept the same value, which is not supported; use anyOf',
      { oneOf: [{ patternProperties: { a: { const: 1 } } }, { patternProperties: { b: { const: 1 } } }] },
    ],
    [
      'not/patternProperties: is not supported inside of not, if or overlapping oneOf',
      { not: { patternProperties: { a: false } } },
    ],
    ['not/format: is not supported inside of not, if or overlapping oneOf', { not: { format: 'date' } }],
    [
      'unevaluatedProperties: is not supported next to anyOf, if or contains; use additionalProperties in each branch',
      { anyOf: [{ properties: { a: true } }, { properties: { b: true } }], unevaluatedProperties: false },
    ],
    [': excludes an array or an object, which is not supported', { not: { const: [1] } }],
  ])('%s', (sentence, schema) => {
    expect(sentenceOf(schema)).toBe(`unsupported ${sentence}`);
  });

  test('the error of a pattern has the place of the keyword', () => {
    const { problem, path } = refusalOf(at('pattern', '(?=a)b'));
    expect([problem, path]).toEqual(['unsupported', ['properties', 'a', 'pattern']]);
    expect(refusalOf({ patternProperties: { '(': true } })).toMatchObject({
      problem: 'invalid',
      path: ['patternProperties', '('],
    });
  });

  test('the error of a number has the place of the keyword', () => {
    expect(refusalOf(at('multipleOf', 1e-300))).toMatchObject({ path: ['properties', 'a', 'multipleOf'] });
  });

  test('only if it restricts a value that is possible', () => {
    expect(() => compileSchema({ type: 'string', uniqueItems: true, $defs: { a: { $ref: 'b.json' } } })).not.toThrow();
    expect(() => compileSchema({ uniqueItems: true, maxItems: 1 })).not.toThrow();
  });
});

describe('a schema without a value is unsatisfiable', () => {
  test.each<[string, Json]>([
    ['false', false],
    ['bounds', { type: 'integer', minimum: 3, maximum: 2 }],
    ['no value of an enum', { enum: ['a', 1], type: 'boolean' }],
    ['an empty enum', { enum: [] }],
    ['types', { allOf: [{ type: 'string' }, { type: 'null' }] }],
    ['a required member', { type: 'object', required: ['a'], properties: { a: false } }],
    [
      'a required member that another one needs',
      { type: 'object', required: ['a'], dependentRequired: { a: ['b'] }, properties: { b: false } },
    ],
    ['too few members', { type: 'object', additionalProperties: false, properties: { a: true }, minProperties: 2 }],
    ['too few items', { type: 'array', prefixItems: [true, false], minItems: 2 }],
    ['no match', { type: 'array', contains: { type: 'string' }, items: { type: 'null' } }],
    ['lengths', { type: 'string', minLength: 3, maxLength: 2 }],
    ['patterns', { type: 'string', allOf: [{ pattern: '^a' }, { pattern: '^b' }] }],
  ])('%s', (_, schema) => {
    expect(refusalOf(schema)).toMatchObject({ problem: 'unsatisfiable', path: [], message: 'accepts no value' });
  });

  test('recursion without an end', () => {
    const schema = { type: 'object', properties: { next: { $ref: '#' } }, required: ['next'] };
    expect(sentenceOf(schema)).toBe('unsatisfiable : accepts no finite value');
  });
});

describe('keywords without effect', () => {
  test('are reported with their places, once; annotations are not', () => {
    const found: string[] = [];
    const schema = {
      title: 'a',
      'x-order': 1,
      nullable: true,
      properties: {
        a: { $ref: '#/$defs/a' },
        b: { $ref: '#/$defs/a' },
        c: { type: 'string', format: 'colour' },
        d: { type: 'number', format: 'float' },
      },
      $defs: { a: { additionalItems: false, description: 'a' } },
    };
    compileSchema(schema, { ignored: (path) => found.push(path.join('/')) });
    expect(found).toEqual(['nullable', '$defs/a/additionalItems', 'properties/c/format']);
  });

  test('depend on the dialect', () => {
    const found: string[] = [];
    const schema = { $schema: DRAFT_7, dependentRequired: { a: ['b'] }, additionalItems: false, prefixItems: [] };
    compileSchema(schema, { ignored: (path) => found.push(path.join('/')) });
    expect(found).toEqual(['dependentRequired', 'prefixItems']);
  });
});

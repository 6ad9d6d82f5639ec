/** The meaning of keywords beyond the test suite of JSON Schema: texts, merging, references, dialects. */
import { describe, expect, test } from 'vitest';
import type { Json } from '../../../src/grammar/output-format.ts';
import { recognizes } from '../../support/grammar/recognizer.ts';
import { acceptedBy, accepts, compileSchema } from './compile-schema.ts';

const texts = (schema: Json, list: readonly string[]): string[] => {
  const program = compileSchema(schema);
  return list.filter((text) => recognizes(program, text));
};

describe('texts', () => {
  test('members in any order, each at most once, with at most one space after a mark', () => {
    const schema = { type: 'object', properties: { a: { type: 'null' }, b: { type: 'null' } }, required: ['a'] };
    const right = ['{"a":null}', '{"b": null, "a": null}', '{"a":null,"c":[1, 2]}'];
    const wrong = [
      '{}',
      '{"a":null,"a":null}',
      '{"a":null,"c":1,"c":2}',
      '{"a":  null}',
      '{ "a":null}',
      '{"\\u0061":null}',
    ];
    expect(texts(schema, [...right, ...wrong])).toEqual(right);
  });

  test('listed values match by value, objects in any order of their members', () => {
    const schema = { enum: [{ a: 1, b: [true, null] }, 'x', 2.0, null] };
    const right = ['{"a":1,"b":[true,null]}', '{"b": [true, null], "a": 1}', '"x"', '2', 'null'];
    expect(texts(schema, [...right, '{"a":1}', '{"a":1,"b":[true,null],"c":1}', '"\\u0078"', '[]'])).toEqual(right);
  });

  test('a string with lengths only may have any spelling, one with a pattern has one', () => {
    expect(texts({ type: 'string', maxLength: 1 }, ['"\\u0061"', '"a"', '"😀"', '"ab"'])).toEqual([
      '"\\u0061"',
      '"a"',
      '"😀"',
    ]);
    expect(texts({ type: 'string', pattern: '^a' }, ['"\\u0061"', '"a"'])).toEqual(['"a"']);
  });

  test('an integer has digits only', () => {
    expect(texts({ type: 'integer' }, ['1', '-20', '1.0', '1e2', '01', '+1'])).toEqual(['1', '-20']);
  });

  test('strings that are no Unicode text can be listed', () => {
    expect(texts({ enum: ['\ud800', 'a'] }, ['"\\ud800"', '"a"', '"\ufffd"'])).toEqual(['"\\ud800"', '"a"']);
  });
});

describe('keywords of another type do not restrict', () => {
  test.each<[string, Json, unknown[], unknown[]]>([
    ['minLength', { minLength: 2 }, ['ab', 1, null, [], {}], ['a', '']],
    ['minimum', { minimum: 2 }, [2, '1', true, [1]], [1, -3.5]],
    ['required', { required: ['a'] }, [{ a: 1 }, [], 'a', 0], [{}, { b: 1 }]],
    ['items', { items: { type: 'null' } }, [[], [null], {}, 'a'], [[1]]],
    ['maxProperties', { maxProperties: 1 }, [{}, { a: 1 }, [1, 2]], [{ a: 1, b: 2 }]],
  ])('%s', (_, schema, right, wrong) => {
    expect(acceptedBy(schema, [...right, ...wrong])).toEqual(right);
  });
});

describe('merging', () => {
  test('additionalProperties refers to the properties of its own schema', () => {
    const schema = {
      allOf: [
        { properties: { a: { type: 'integer' } }, additionalProperties: { type: 'string' } },
        { properties: { b: { minLength: 2 } } },
      ],
    };
    expect(acceptedBy(schema, [{ a: 1 }, { a: 'a' }, { b: 'bb' }, { b: 'b' }, { b: 1 }, { c: '' }, { c: 1 }])).toEqual([
      { a: 1 },
      { b: 'bb' },
      { c: '' },
    ]);
  });

  test('names that match several patterns get all schemas', () => {
    const schema = {
      properties: { ab: { minimum: 1 } },
      patternProperties: { '^a': { maximum: 5 }, b$: { multipleOf: 2 } },
      additionalProperties: false,
      type: 'object',
    };
    const values = [{ ab: 4 }, { ab: 0 }, { ab: 6 }, { ab: 3 }, { a: 5 }, { a: 6 }, { xb: 8 }, { xb: 7 }, { x: 0 }];
    expect(acceptedBy(schema, values)).toEqual([{ ab: 4 }, { a: 5 }, { xb: 8 }]);
  });

  test('names of a finite pattern become members', () => {
    const program = compileSchema({
      type: 'object',
      patternProperties: { '^[ab]$': { const: 1 } },
      additionalProperties: false,
    });
    expect(program.nodes.find(({ kind }) => kind === 'object')).toMatchObject({
      members: [{ name: 'a' }, { name: 'b' }],
      others: [],
    });
  });

  test('numbers, lengths, listed and excluded values', () => {
    const schema = {
      allOf: [{ minimum: 1 }, { exclusiveMinimum: 1, multipleOf: 2 }, { multipleOf: 3 }, { not: { const: 6 } }],
      type: 'integer',
      maximum: 24,
    };
    expect(acceptedBy(schema, [0, 1, 2, 3, 6, 12, 18, 24, 30])).toEqual([12, 18, 24]);
    expect(
      acceptedBy({ enum: ['a', 'ab', 1, 2.5, [], [1]], maxLength: 1, minItems: 1, multipleOf: 1 }, [
        'a',
        'ab',
        1,
        2.5,
        [],
        [1],
      ]),
    ).toEqual(['a', 1, [1]]);
  });

  test('a member that cannot exist is left out, and those that need it', () => {
    const schema = {
      type: 'object',
      properties: { a: false, b: true, c: true },
      dependentRequired: { b: ['a'], c: ['b'] },
    };
    expect(acceptedBy(schema, [{}, { a: 1 }, { b: 1 }, { c: 1, b: 1 }, { d: 1 }])).toEqual([{}, { d: 1 }]);
  });
});

describe('applicators', () => {
  test('oneOf: branches that exclude each other, and branches that overlap', () => {
    const cat = { type: 'object', properties: { kind: { const: 'cat' } }, required: ['kind'] };
    const dog = { type: 'object', properties: { kind: { enum: ['dog', 'wolf'] } }, required: ['kind'] };
    expect(acceptedBy({ oneOf: [cat, dog] }, [{ kind: 'cat' }, { kind: 'wolf' }, { kind: 'cow' }, {}])).toEqual([
      { kind: 'cat' },
      { kind: 'wolf' },
    ]);
    expect(acceptedBy({ oneOf: [{ type: 'integer' }, { minimum: 2 }] }, [1, 2, 2.5, 1.5])).toEqual([1, 2.5]);
  });

  test('if, then, else over a member', () => {
    const schema = {
      type: 'object',
      properties: { kind: { enum: ['a', 'b'] } },
      required: ['kind'],
      if: { properties: { kind: { const: 'a' } } },
      // biome-ignore lint/suspicious/noThenProperty: a keyword of JSON Schema.
      then: { required: ['x'] },
      else: { required: ['y'] },
    };
    expect(
      acceptedBy(schema, [
        { kind: 'a', x: 1 },
        { kind: 'a', y: 1 },
        { kind: 'b', x: 1 },
        { kind: 'b', y: 1 },
      ]),
    ).toEqual([
      { kind: 'a', x: 1 },
      { kind: 'b', y: 1 },
    ]);
  });

  test('unevaluatedProperties sees allOf and $ref', () => {
    const schema = {
      allOf: [{ properties: { a: true } }],
      $ref: '#/$defs/b',
      unevaluatedProperties: false,
      $defs: { b: { properties: { b: true } } },
    };
    expect(acceptedBy(schema, [{ a: 1, b: 2 }, { c: 1 }])).toEqual([{ a: 1, b: 2 }]);
  });
});

describe('references', () => {
  test('recursion, with the finite parts only', () => {
    const schema = {
      $ref: '#/$defs/tree',
      $defs: {
        tree: {
          type: 'object',
          properties: { left: { $ref: '#/$defs/tree' }, endless: { $ref: '#/$defs/endless' } },
          additionalProperties: false,
        },
        endless: { type: 'object', properties: { next: { $ref: '#/$defs/endless' } }, required: ['next'] },
      },
    };
    expect(acceptedBy(schema, [{}, { left: { left: {} } }, { left: 1 }, { endless: {} }])).toEqual([
      {},
      { left: { left: {} } },
    ]);
    const members = compileSchema(schema).nodes.flatMap((node) => (node.kind === 'object' ? node.members : []));
    expect(members.map(({ name }) => name)).not.toContain('endless');
  });

  test('any value is one recursive node', () => {
    const { nodes } = compileSchema({ type: 'object', properties: { a: {}, b: { title: 'b' }, c: { items: {} } } });
    expect(nodes.filter(({ kind }) => kind === 'array')).toHaveLength(1);
  });

  test('siblings of $ref count in 2020-12, not in draft-07', () => {
    const schema = { $ref: '#/$defs/a', maxLength: 1, $defs: { a: { type: 'string' } } };
    expect(acceptedBy(schema, ['a', 'aa'])).toEqual(['a']);
    const old = { $schema: 'http://json-schema.org/draft-07/schema#', properties: { a: schema }, $defs: schema.$defs };
    expect(acceptedBy(old, [{ a: 'aa' }, { a: 1 }])).toEqual([{ a: 'aa' }]);
  });

  test('draft-07: items as a list, dependencies', () => {
    const schema = {
      $schema: 'http://json-schema.org/draft-07/schema#',
      items: [{ type: 'null' }],
      additionalItems: { type: 'boolean' },
      dependencies: { a: ['b'], c: { required: ['d'] } },
    };
    const right = [[null, true], [], { a: 1, b: 1 }, { c: 1, d: 1 }];
    expect(acceptedBy(schema, [...right, [true], [null, null], { a: 1 }, { c: 1 }])).toEqual(right);
  });

  test('names of Object.prototype are plain names', () => {
    const program = compileSchema(
      JSON.parse('{"properties":{"__proto__":{"type":"null"}},"required":["constructor"]}'),
    );
    expect(accepts(program, { constructor: 1 })).toBe(true);
    expect(recognizes(program, '{"constructor":1,"__proto__":null}')).toBe(true);
    expect(recognizes(program, '{"constructor":1,"__proto__":1}')).toBe(false);
    expect(accepts(program, {})).toBe(false);
  });
});

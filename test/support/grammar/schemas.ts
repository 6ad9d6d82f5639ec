/** Schemas of many kinds, for tests of masks. */
import type { Json } from '../../../src/grammar/output-format.ts';

const string = { type: 'string' };
const integer = { type: 'integer' };

export const SCHEMAS: Readonly<Record<string, Json>> = {
  'any value': true,
  'any object': { type: 'object' },
  'a closed object': {
    type: 'object',
    properties: { name: string, id: integer, value: { type: ['number', 'null'] } },
    required: ['name', 'value'],
    additionalProperties: false,
  },
  'an open object': { type: 'object', properties: { a: { type: 'boolean' }, ab: integer }, required: ['ab'] },
  'members of a type': { type: 'object', additionalProperties: integer, minProperties: 2, maxProperties: 3 },
  'names by patterns': {
    type: 'object',
    patternProperties: { '^a': integer, '^b+$': { type: 'boolean' } },
    additionalProperties: false,
  },
  'names that run out': {
    type: 'object',
    patternProperties: { '^(a|b|xx*)$': integer },
    additionalProperties: false,
    minProperties: 3,
  },
  'nested arrays': { type: 'array', items: { type: 'array', items: integer, maxItems: 2 }, minItems: 1, maxItems: 4 },
  'a tuple': {
    type: 'array',
    prefixItems: [string, integer, { const: 'x y' }],
    minItems: 2,
    items: { type: 'boolean' },
  },
  'an array that contains': { type: 'array', contains: { type: 'string', maxLength: 3 }, minContains: 2, maxItems: 6 },
  enumerations: { enum: ['name', 'na', 'value', 1, null, { a: [1, true] }, 'é"\n'] },
  'lengths of strings': { type: 'string', minLength: 2, maxLength: 4 },
  'many lengths': { type: 'array', items: { type: 'string', maxLength: 1 }, minItems: 3, maxItems: 3 },
  'a pattern': { type: 'string', pattern: '^[a-c]{2,}(-[0-9]+)?$' },
  'a pattern within': { type: 'string', pattern: 'ab', maxLength: 6 },
  'a pattern of characters': { type: 'string', pattern: '^[é-界]{1,3}$' },
  'numbers in a range': { type: 'number', minimum: -1.5, exclusiveMaximum: 12 },
  multiples: { type: 'integer', multipleOf: 7, minimum: 10, maximum: 100 },
  'a date and a time': {
    type: 'object',
    properties: { on: { type: 'string', format: 'date' }, at: { type: 'string', format: 'date-time' } },
    required: ['on', 'at'],
    additionalProperties: false,
  },
  'a uuid': { type: 'string', format: 'uuid' },
  alternatives: {
    anyOf: [
      {
        type: 'object',
        properties: { name: { const: 'a' }, value: integer },
        required: ['name'],
        additionalProperties: false,
      },
      { type: 'object', properties: { name: { const: 'ab' }, items: { type: 'array' } }, required: ['name', 'items'] },
      string,
    ],
  },
  'a tree': {
    $defs: {
      node: {
        type: 'object',
        properties: { value: integer, items: { type: 'array', items: { $ref: '#/$defs/node' }, maxItems: 2 } },
        required: ['value'],
        additionalProperties: false,
      },
    },
    $ref: '#/$defs/node',
  },
  'members that require others': {
    type: 'object',
    properties: { a: integer, b: integer, c: integer },
    dependentRequired: { a: ['b'], b: ['c'] },
    additionalProperties: false,
    maxProperties: 2,
  },
};

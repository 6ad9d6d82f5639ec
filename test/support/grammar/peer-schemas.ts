/** Schemas that this engine and web-xgrammar take, and the known differences between the two. */
import type { Json } from '../../../src/grammar/output-format.ts';
import { SCHEMAS } from './schemas.ts';

const string = { type: 'string' };
const integer = { type: 'integer' };
const closed = (properties: { readonly [name: string]: Json }, required = Object.keys(properties)): Json => ({
  type: 'object',
  properties,
  required,
  additionalProperties: false,
});

export const PEER_SCHEMAS: Readonly<Record<string, Json>> = {
  ...SCHEMAS,
  'a boolean': { type: 'boolean' },
  nothing: { type: 'null' },
  'a string': string,
  'an integer': integer,
  'a number': { type: 'number' },
  'several types': { type: ['string', 'integer', 'null'] },
  'a constant': { const: 'value' },
  'words to choose': { type: 'string', enum: ['name', 'na', 'value', 'é'] },
  'numbers to choose': { enum: [0, 1, 12, 123] },
  'an integer in a range': { type: 'integer', minimum: -3, maximum: 120 },
  'an integer above a bound': { type: 'integer', exclusiveMinimum: 9 },
  'a list of integers': { type: 'array', items: integer },
  'a list of two or three': { type: 'array', items: { type: 'boolean' }, minItems: 2, maxItems: 3 },
  'a pair': { type: 'array', prefixItems: [string, integer], items: false, minItems: 2 },
  'a phone number': { type: 'string', pattern: '^[0-9]{3}-[0-9]{4}$' },
  'words of a pattern': { type: 'string', pattern: '^(ab|name)+$' },
  'an e-mail address': { type: 'string', format: 'email' },
  'an address of a host': { type: 'string', format: 'ipv4' },
  'a tool': closed({ id: integer, name: string, value: { enum: ['a', 'b'] } }),
  'a tool with optional fields': closed({ id: integer, name: string, value: { type: 'boolean' } }, ['name']),
  'a tool with lists': closed({ items: { type: 'array', items: closed({ id: integer }) }, name: { const: 'x y' } }),
  'levels of objects': closed({ a: closed({ b: closed({ name: { type: ['string', 'null'] } }) }), id: integer }),
  'one of two types': { oneOf: [{ type: 'boolean' }, integer] },
  'a reference': {
    $defs: { id: { type: 'integer', minimum: 1 } },
    ...(closed({ id: { $ref: '#/$defs/id' } }) as object),
  },
};

export interface Difference {
  /** The peer refuses a valid output of this engine. */
  readonly refuses?: string;
  /** The peer writes a text that is not valid. */
  readonly invalid?: string;
  /** The masks of the peer lead to texts without an end. */
  readonly writesNone?: string;
  /** This engine refuses a valid text of the peer. */
  readonly narrower?: string;
}

/**
 * Reasons, by the name of the schema. Two more differences belong to many schemas, and have tests of their own:
 * the peer refuses escapes in a string with a length, and writes bytes that are no UTF-8.
 */
export const DIFFERENCES: Readonly<Record<string, Difference>> = {
  'names by patterns': { refuses: 'reads the pattern of a name as one of the whole name' },
  'names that run out': { invalid: 'writes a name twice, and counts it twice' },
  'a tuple': { refuses: 'demands all items of prefixItems, also beyond minItems' },
  'an array that contains': { invalid: 'ignores contains' },
  enumerations: { refuses: 'demands objects in an enum without spaces' },
  'lengths of strings': { invalid: 'writes control characters in a string with a length' },
  'many lengths': { invalid: 'writes control characters in a string with a length' },
  'a pattern within': { refuses: 'reads a pattern as one of the whole text' },
  'a pattern of characters': {
    refuses: 'has no class of characters beyond ASCII',
    writesNone: 'has no class of characters beyond ASCII',
  },
  'numbers in a range': {
    refuses: 'has at most six digits after the point, and no number between -1 and 0',
    invalid: 'takes any character as the point of a bound, and 12.5 as less than 12',
  },
  multiples: { invalid: 'ignores multipleOf' },
  'a date and a time': {
    refuses: 'has no t and z of small letters',
    invalid: 'has a day 31 in each month, and a minute 60',
    narrower: 'a fraction of a second has at most 9 digits',
  },
  'members that require others': { invalid: 'ignores dependentRequired' },
  'an integer in a range': { invalid: 'takes 129 as at most 120' },
  'an e-mail address': {
    refuses: 'has no label of one character after the first one',
    invalid: 'has domains of one label',
  },
  'an address of a host': { invalid: 'has zeros before a number' },
};

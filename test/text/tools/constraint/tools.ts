/** Random tools, and the check of the arguments of their calls. */
import { Ajv2020 } from 'ajv/dist/2020.js';
import fc from 'fast-check';
import type { FunctionTool, Json } from '../../../../src/text/template/conversation.ts';

const ajv = new Ajv2020({ strict: false, validateFormats: false });
/** True if a value is an object that the schema of a tool accepts. */
export const valid = (tool: FunctionTool | undefined, value: unknown): boolean =>
  ajv.validate({ ...(tool?.parameters ?? {}), type: 'object' }, value) === true;

type Schema = Readonly<Record<string, Json>>;
const scalar: fc.Arbitrary<Schema> = fc.constantFrom<Schema>(
  { type: 'string' },
  { type: 'string', minLength: 2, maxLength: 5 },
  { type: 'string', pattern: '^[a-z]{1,4}$' },
  { type: 'integer', minimum: -3, maximum: 40 },
  { type: 'integer' },
  { type: 'number' },
  { type: 'boolean' },
  { type: 'null' },
  { enum: ['metric', 'imperial', 'a "b"'] },
  { enum: [1, 'two', null, true] },
  { const: 'fixed' },
  { type: ['string', 'null'] },
  { type: ['integer', 'string'] },
  { anyOf: [{ type: 'string' }, { type: 'number' }] },
  {},
);
const value: fc.Arbitrary<Schema> = fc.oneof(
  { weight: 3, arbitrary: scalar },
  { weight: 1, arbitrary: scalar.map((items): Schema => ({ type: 'array', items, maxItems: 3 })) },
  {
    weight: 1,
    arbitrary: scalar.map((inner): Schema => {
      const properties = { inner, other: { type: 'string' } };
      return { type: 'object', properties, required: ['inner'], additionalProperties: false };
    }),
  },
);
const names = ['city', 'days', 'unit-of', 'x'] as const;
const parameters: fc.Arbitrary<Schema> = fc
  .tuple(fc.array(value, { minLength: 0, maxLength: names.length }), fc.nat(15), fc.boolean())
  .map(([values, required, closed]): Schema => {
    const properties = Object.fromEntries(values.map((schema, at) => [names[at] ?? '', schema]));
    return {
      type: 'object',
      properties,
      required: Object.keys(properties).filter((_, at) => required & (1 << at)),
      ...(closed && { additionalProperties: false }),
    };
  });
/** Three tools: the first one may be strict, the last one has no schema. */
export const randomTools = fc
  .tuple(parameters, parameters, fc.boolean())
  .map(([one, two, strict]): readonly FunctionTool[] => [
    { name: 'get_weather', parameters: one, strict },
    { name: 'get_time', parameters: two },
    { name: 'ping_all' },
  ]);

/** Calls that a text shows by the names of the tools, which no random text of arguments has. */
export const namesIn = (text: string): readonly string[] => text.match(/get_weather|get_time|ping_all/g) ?? [];

/** Calls that a request demands: the reader finds exactly the calls that the grammar lets through. */
import { Ajv2020 } from 'ajv/dist/2020.js';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { FunctionTool, Json } from '../../../../src/text/template/conversation.ts';
import type { ToolUse } from '../../../../src/text/tools/tool-use.ts';
import { FAMILIES } from '../families.ts';
import { constrained, readOf, seeded, textOf } from './grammar.ts';

const ajv = new Ajv2020({ strict: false, validateFormats: false });
const valid = (tool: FunctionTool | undefined, value: unknown): boolean =>
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
const tools = fc.tuple(parameters, parameters, fc.boolean()).map(([one, two, strict]): readonly FunctionTool[] => [
  { name: 'get_weather', parameters: one, strict },
  { name: 'get_time', parameters: two },
  { name: 'ping' },
]);

describe.each(FAMILIES)('the family $name', ({ name, facts }) => {
  const choices: ToolUse['choice'][] = ['required', { name: 'get_weather' }, { name: 'ping' }];
  const wishes = fc.record({
    tools,
    choice: fc.constantFrom(...choices),
    parallel: fc.boolean(),
    special: fc.boolean(),
    seed: fc.integer(),
  });

  it('reads every demanded call with arguments of its schema', () => {
    fc.assert(
      fc.property(wishes, ({ tools: offered, choice, parallel, special, seed }) => {
        const grammar = constrained(name, { tools: offered, use: { choice, parallel }, special });
        const random = seeded(seed);
        for (let count = 0; count < 4; count += 1) {
          const text = textOf(grammar, random);
          const { content, reasoning, unparsed, calls } = readOf(grammar, text);
          const shown = JSON.stringify({ text, calls });
          expect({ content, reasoning, unparsed }, shown).toEqual({ content: '', reasoning: '', unparsed: 0 });
          expect(calls.length, shown).toBeGreaterThanOrEqual(1);
          if (!parallel || !facts.parallel) expect(calls.length, shown).toBe(1);
          for (const call of calls) {
            const tool = offered.find((one) => one.name === call.name);
            if (typeof choice === 'object') expect(call.name, shown).toBe(choice.name);
            expect(valid(tool, JSON.parse(call.arguments)), `${shown} ${JSON.stringify(tool)}`).toBe(true);
          }
        }
      }),
      { numRuns: 40 },
    );
  });
});

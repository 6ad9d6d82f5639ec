/** A form that tests demand of outputs, and the check that an output has it. */
import { Ajv2020 } from 'ajv/dist/2020.js';
import formats from 'ajv-formats';
import { expect } from 'vitest';

const ajv = new Ajv2020({ strict: false, allErrors: true });
// The package has no types for imports of ES modules.
(formats as unknown as (ajv: Ajv2020) => void)(ajv);

/** A schema with bounds, so that each of its values has fewer tokens than `TOKENS`. */
export const POEM = {
  type: 'object' as const,
  properties: {
    title: { type: 'string' as const, minLength: 1, maxLength: 24 },
    mood: { enum: ['calm', 'wild', null] },
    syllables: { type: 'integer' as const, minimum: 1, maximum: 17 },
    lines: { type: 'array' as const, items: { type: 'string' as const, maxLength: 16 }, minItems: 1, maxItems: 3 },
  },
  required: ['title', 'mood', 'lines'],
  additionalProperties: false,
};
/** The maximum of tokens for a poem. */
export const TOKENS = 320;
export const PROMPT = 'Write a haiku about the sea';

/**
 * The value of a JSON text. Checks that the schema accepts it, that no member occurs twice, and that white
 * space is at most one space behind a comma or a colon.
 */
export function validValue(text: string, schema: object | boolean): unknown {
  const value: unknown = JSON.parse(text);
  const validate = ajv.compile(schema);
  expect({ text, valid: validate(value), errors: validate.errors }).toEqual({ text, valid: true, errors: null });
  const bare = text.replace(/"(?:[^"\\]|\\.)*"/g, '""');
  expect({ text, members: bare.match(/:/g)?.length ?? 0 }).toEqual({ text, members: membersOf(value) });
  expect(bare).not.toMatch(/(?:^|[^,:]) |[^\S ]/);
  return value;
}

/** Members of all objects of a value. */
function membersOf(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0;
  const inner = Object.values(value).reduce<number>((sum, one) => sum + membersOf(one), 0);
  return inner + (Array.isArray(value) ? 0 : Object.keys(value).length);
}

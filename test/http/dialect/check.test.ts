/** Violations of a dialect's body: their sizes are bounded, whatever the caller sends. */
import { expect, test } from 'vitest';
import { z } from 'zod';
import { refusalOf } from '../../../src/contract/errors.ts';
import { listOf } from '../../../src/contract/openai/chosen-form.ts';
import { checkBody, MAX_VIOLATIONS } from '../../../src/http/dialect/check.ts';

const FIELDS = new Set(['metadata', 'list']);
const schema = z.object({
  metadata: z.record(z.string(), z.string()).optional(),
  list: listOf(z.object({ name: z.string() }), 100).optional(),
});

function violationsOf(body: object): { readonly field: string; readonly message: string }[] {
  try {
    checkBody(schema, FIELDS, body);
  } catch (error) {
    return (error as { violations: { field: string; message: string }[] }).violations;
  }
  return [];
}

test('a key of the caller is cut in the name of the field and in the sentence', () => {
  const [violation] = violationsOf({ metadata: { ['k'.repeat(100_000)]: 1 } });
  expect(violation?.field).toMatch(/^metadata\.k{10,100}…$/);
  expect(violation?.message.length).toBeLessThan(200);
});

test('a short key is named as it is', () => {
  expect(violationsOf({ metadata: { a: 1 } })).toMatchObject([
    { field: 'metadata.a', message: 'metadata.a must be a string, but is 1' },
  ]);
});

test('a value of another type has no rule for its size', () => {
  const sized = z.object({ texts: z.array(z.string().min(1)).min(1).max(3), name: z.string().max(4) });
  expect(() => checkBody(sized, new Set(['texts', 'name']), { texts: 'longer', name: [1, 2, 3, 4, 5] })).toThrow(
    expect.objectContaining({
      violations: [
        { field: 'texts', constraint: 'type', message: 'texts must be an array' },
        { field: 'name', constraint: 'type', message: 'name must be a string' },
      ],
    }),
  );
});

test('a list names its broken elements, at most as many as an error reports', () => {
  expect(violationsOf({ list: [{ name: 'a' }, { name: 1 }, 2] })).toMatchObject([
    { field: 'list[1].name', message: 'list[1].name must be a string, but is 1' },
    { field: 'list[2]', message: 'list[2] must be an object, but is 2' },
  ]);
  const many = violationsOf({ list: Array(100).fill(1) });
  expect(many.map(({ field }) => field)).toEqual(Array.from({ length: MAX_VIOLATIONS }, (_, at) => `list[${at}]`));
});

test('a list that is too long, or is no list, has one violation', () => {
  expect(violationsOf({ list: Array(101).fill(1) })).toMatchObject([
    { field: 'list', message: 'list must have at most 100 items' },
  ]);
  expect(violationsOf({ list: 1 })).toMatchObject([{ field: 'list', constraint: 'type' }]);
});

test('a valid list is read', () => {
  expect(checkBody(schema, FIELDS, { list: [{ name: 'a' }] }).value).toEqual({ list: [{ name: 'a' }] });
});

test('a field has one violation: its type, or the lower one of two maxima', () => {
  const sizes = z.object({ count: z.int().max(20).optional(), name: z.string().min(1).optional() });
  const sentences = (body: object): string[] => {
    const refusal = refusalOf(() => checkBody(sizes, new Set(['count', 'name']), body));
    return (refusal?.violations ?? []).map(({ message }) => message);
  };
  expect(sentences({ count: 2 ** 60 })).toEqual([`count must be at most 20, but is ${2 ** 60}`]);
  expect(sentences({ count: '5', name: [] })).toEqual(['count must be a number', 'name must be a string']);
});

test('a sentence lists all forms and all words of a field', () => {
  const forms = z.object({
    input: z.string({ error: 'a text or an array of items' }).optional(),
    role: z.enum(['user', 'assistant', 'tool']).optional(),
    type: z.literal('function').optional(),
  });
  const refusal = refusalOf(() => checkBody(forms, new Set(), { input: 5, role: 'me', type: 'x' }));
  expect(refusal?.violations?.map(({ message }) => message)).toEqual([
    'input must be a text or an array of items, but is 5',
    'role must be user, assistant or tool, but is "me"',
    'type must be function, but is "x"',
  ]);
});

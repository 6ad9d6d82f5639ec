/** Patterns and formats together with lengths, and how many states and units of work they need. */
import { describe, expect, test } from 'vitest';
import { Budget, MAX_STATES, SURE_STEPS } from '../../../src/grammar/budget.ts';
import type { Json } from '../../../src/grammar/output-format.ts';
import { ProgramBuilder, statesOf } from '../../../src/grammar/program-builder.ts';
import { complement } from '../../../src/grammar/regular/operations.ts';
import { wordsAutomaton } from '../../../src/grammar/regular/words.ts';
import { MAX_COPIED_STATES } from '../../../src/grammar/schema/scalars.ts';
import { addSchema } from '../../../src/grammar/schema/schema.ts';
import { untimed } from '../regular/support.ts';
import { acceptedBy, accepts, compileSchema, refusalOf } from './compile-schema.ts';

const range = (count: number): number[] => Array.from({ length: count }, (_, index) => index);
const code = (index: number): string => `item-${((index * 7919) % 100_003).toString(36)}-${index}`;

/** Units of work that a schema needs. */
function workOf(schema: Json): number {
  const builder = new ProgramBuilder(new Budget(() => 0));
  builder.program(addSchema(builder, schema));
  return builder.budget.steps;
}

const statesIn = (schema: Json): number => compileSchema(schema).nodes.reduce((sum, node) => sum + statesOf(node), 0);

describe('a maximum length', () => {
  test.each<[string, Json]>([
    ['a URL', { type: 'string', format: 'uri', maxLength: 2048 }],
    ['a URL of one scheme', { type: 'string', format: 'uri', pattern: '^https://', maxLength: 2000 }],
    ['an address', { type: 'string', pattern: '^[a-z0-9._%+-]+@[a-z0-9.-]+\\.[a-z]{2,63}$', maxLength: 320 }],
    ['a text', { type: 'string', pattern: '^\\S', maxLength: 1_000_000 }],
  ])('of %s needs a bounded number of states', (_, schema) => {
    expect(statesIn(schema)).toBeLessThan(MAX_COPIED_STATES + 100);
  });

  test('allows ordinary texts, and none that is longer', () => {
    const url = (length: number): string => 'https://example.com/'.padEnd(length, 'a');
    const schema = { type: 'string', format: 'uri', maxLength: 350 };
    expect(acceptedBy(schema, [url(30), url(350), url(351), url(3000), 'no url'])).toEqual([url(30), url(350)]);
    const short = { type: 'string', format: 'uri', maxLength: 60 };
    expect(acceptedBy(short, ['ldap://[2001:db8::7]/c=GB', url(61)])).toEqual(['ldap://[2001:db8::7]/c=GB']);
  });

  test('of a name of a host leaves out no name', () => {
    const name = ['a'.repeat(63), ...range(6).map(() => 'b'.repeat(30))].join('.');
    expect(acceptedBy({ type: 'string', format: 'hostname', maxLength: 253 }, [name])).toEqual([name]);
  });

  test('leaves out no text if all others are shorter than the minimum', () => {
    const pattern = `^(?:${'[a-c]'.repeat(600)})*$`;
    const schema = { type: 'string', pattern, minLength: 10, maxLength: 1000 };
    expect(acceptedBy(schema, ['', 'a'.repeat(600), 'a'.repeat(599)])).toEqual(['a'.repeat(600)]);
  });

  test('that members share is counted once', () => {
    const name = { type: 'string', pattern: '^[a-z]+(?:-[a-z]+)*$', maxLength: 2000 };
    const properties = Object.fromEntries(range(20).map((index) => [`m${index}`, { ...name }]));
    expect(statesIn({ type: 'object', properties, additionalProperties: false })).toBeLessThan(statesIn(name) + 100);
  });
});

describe('ten thousand words', () => {
  const words = range(10_000).map(code);

  test('are forbidden with one state more than they need', () => {
    const budget = untimed();
    const allowed = wordsAutomaton(words, budget);
    const before = budget.steps;
    expect(complement(allowed, budget)?.accepts.length).toBe(allowed.accepts.length + 1);
    expect(budget.steps - before).toBeLessThan(4 * allowed.accepts.length);
    expect(acceptedBy({ type: 'string', not: { enum: words } }, [code(0), code(9999), 'item', ''])).toEqual([
      'item',
      '',
    ]);
  });

  test('are an enumeration that needs no more than the sure units of work', () => {
    expect(workOf({ enum: words.map((word) => word.slice(0, 9)) })).toBeLessThan(SURE_STEPS);
  });
});

describe('conditions on a member', () => {
  const kinds = range(12).map((index) => `kind-${index}`);
  const schema = {
    type: 'object',
    properties: {
      kind: { enum: kinds },
      ...Object.fromEntries(kinds.map((kind) => [`of-${kind}`, { type: 'integer' }])),
    },
    required: ['kind'],
    additionalProperties: false,
    allOf: kinds.map((kind) => ({
      if: { properties: { kind: { const: kind } }, required: ['kind'] },
      // biome-ignore lint/suspicious/noThenProperty: a keyword of JSON Schema
      then: { required: [`of-${kind}`] },
    })),
  };

  test('grow with their number, not with its power', () => {
    expect(workOf(schema)).toBeLessThan(SURE_STEPS / 5);
  });

  test('hold', () => {
    const program = compileSchema(schema);
    expect(accepts(program, { kind: 'kind-3', 'of-kind-3': 1 })).toBe(true);
    expect(accepts(program, { kind: 'kind-3', 'of-kind-4': 1 })).toBe(false);
    expect(accepts(program, { kind: 'kind-11', 'of-kind-11': 1, 'of-kind-0': 2 })).toBe(true);
    expect(accepts(program, { 'of-kind-11': 1 })).toBe(false);
  });
});

describe('the budget', () => {
  /** A clock that stands at 0 when it is first read, and then at `ms`. */
  const late = (ms = 4 * 50): (() => number) => {
    let looks = 0;
    return () => (looks++ === 0 ? 0 : ms);
  };

  test('has sure units of work on a slow machine', () => {
    const budget = new Budget(late(), 50, SURE_STEPS);
    for (let count = 0; count < SURE_STEPS; count += 100) budget.step(100);
    expect(() => {
      for (let count = 0; count < 1000; count += 1) budget.step();
    }).toThrow('needs more than 50 ms');
    expect(budget.timeIsOver).toBe(true);
    expect(() => new Budget(late()).step(1000)).toThrow('needs more than 50 ms');
  });

  test('ends at four times its time also for sure units of work', () => {
    const budget = new Budget(late(4 * 50 + 1), 50, SURE_STEPS);
    expect(() => budget.step(1000)).toThrow('needs more than 50 ms');
    expect(budget.timeIsOver).toBe(true);
  });

  test('limits the states in any case', () => {
    expect(() => new Budget(late(), 50, Number.POSITIVE_INFINITY).states(MAX_STATES + 1)).toThrow('states');
    expect(refusalOf({ enum: range(60_000).map((index) => [index]) }).problem).toBe('too_complex');
  });
});

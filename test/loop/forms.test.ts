/** No form of an output holds the event loop while it is compiled, whether it is accepted or not. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Json } from '../../src/grammar/output-format.ts';
import { GrammarCompiler } from '../../src/text/grammar/grammar-compiler.ts';
import { CEILING_MS, turnMs } from './longest-turn.ts';

/**
 * A thread that refuses each source at once: the processor time of a compilation on another thread would count
 * as that of the event loop.
 */
const THREAD = `
import { parentPort } from 'node:worker_threads';
const refusal = { type: 'refused', problem: 'too_complex', path: [], message: 'refused' };
parentPort.on('message', () => parentPort.postMessage(refusal));
parentPort.postMessage({ type: 'ready' });`;

let compiler: GrammarCompiler;
beforeAll(async () => {
  // Loads the code of the compiler.
  await import('../../src/text/grammar/compile-source.ts');
  compiler = new GrammarCompiler({ threadEntry: new URL(`data:text/javascript,${encodeURIComponent(THREAD)}`) });
});
afterAll(() => compiler.close());

const never = new AbortController().signal;
const range = (count: number): number[] => Array.from({ length: count }, (_, index) => index);
const repeated = (count: number, wrap: (inner: Json) => Json, inner: Json): Json => range(count).reduce(wrap, inner);
const chain = (count: number, wrap: (inner: Json) => Json): Json => ({
  $ref: `#/$defs/d${count}`,
  $defs: Object.fromEntries(
    range(count + 1).map((at) => [`d${at}`, at === 0 ? { enum: [1, 2] } : wrap({ $ref: `#/$defs/d${at - 1}` })]),
  ),
});
const text = (rules: object): Json => ({ type: 'string', ...rules });

const SCHEMAS: readonly (readonly [name: string, schema: Json])[] = [
  ['references that double', chain(30, (inner) => ({ anyOf: [inner, inner] }))],
  ['branches that exclude each other', chain(12, (inner) => ({ oneOf: [inner, { not: inner }] }))],
  [
    'conditions that are multiplied',
    { allOf: range(20).map((at) => ({ anyOf: [{ required: [`${at}`] }, { maximum: at }] })) },
  ],
  ['150 levels of lists', repeated(150, (items) => ({ type: 'array', items, minItems: 1 }), true)],
  ['a pattern with many states', text({ pattern: '^(a|b)*a(a|b){14}$' })],
  ['counts in counts', text({ pattern: '^((a{1,30}b){1,30}c){1,30}$' })],
  ['a pattern with a length', text({ pattern: '^[a-z]+(-[a-z]+)*$', minLength: 3, maxLength: 5_000 })],
  ['a property of Unicode', text({ pattern: '^\\p{L}{1,100}$' })],
  ...['date-time', 'email', 'hostname', 'ipv6', 'uri'].map((format) => [format, text({ format })] as const),
  ['300 short texts', { enum: range(300).map((at) => `${at}-${at}`) }],
  ['5 000 texts', { enum: range(5_000).map((at) => `${at * 7919}`) }],
  ['not one of 1 000 texts', text({ not: { enum: range(1_000).map((at) => `${at * 7919}`) } })],
  ['2 000 members', { type: 'object', properties: Object.fromEntries(range(2_000).map((at) => [`m${at}`, true])) }],
  ['multiples in a range', { type: 'number', multipleOf: 0.007, minimum: -1e9, exclusiveMaximum: 1e9 }],
];

let runs = 0;

test.each(SCHEMAS)('%s', async (_, inner) => {
  const compile = (): Promise<unknown> => {
    // A schema of its own in each run: none is in the cache.
    runs += 1;
    const schema: Json = {
      $comment: `${runs}`,
      type: 'array',
      items: { $ref: '#/$defs/form' },
      $defs: { form: inner },
    };
    const own = JSON.parse(JSON.stringify(schema).replaceAll('#/$defs/d', '#/$defs/form/$defs/d')) as Json;
    const outcome = compiler.compile({ kind: 'format', format: { kind: 'schema', schema: own } }, never);
    return outcome.catch((error: unknown) => expect(error).toHaveProperty('problem'));
  };
  expect(await turnMs(compile)).toBeLessThan(CEILING_MS);
});

/**
 * Forms that are made to cost time or memory, over real HTTP: each is refused with its place, or served. While
 * they are compiled, the worker answers probes and streams go on.
 */

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { messagesIn } from '../../../src/client/client.ts';
import { CACHE_BOUNDS } from '../../../src/text/grammar/grammar-compiler.ts';
import { PROMPT, validValue } from '../../support/forms.ts';
import { Listener } from '../../support/listener.ts';
import { all, startWorker, type TestWorker, textOf } from '../../support/worker.ts';

let worker: TestWorker;
beforeAll(async () => {
  worker = await startWorker({ args: ['--slots', '4'] });
});
afterAll(() => worker.kill());

const range = (count: number): number[] => Array.from({ length: count }, (_, index) => index);
let jobs = 0;
const messages = [{ role: 'user', content: PROMPT }];
const CHAT = '/v1/chat/completions';
const reference = (index: number): object => ({ $ref: `#/$defs/d${index}` });
/** A schema whose definitions each refer to the one before. */
const chain = (length: number, wrap: (inner: object) => object, base: object): object => ({
  ...reference(length),
  $defs: {
    d0: base,
    ...Object.fromEntries(range(length).map((index) => [`d${index + 1}`, wrap(reference(index))])),
  },
});
/** A text in a text in a text. JSON.stringify cannot make so many levels. */
const nested = (levels: number, open: string, close: string, inner: string): string =>
  `${open.repeat(levels)}${inner}${close.repeat(levels)}`;
const text = JSON.stringify;

/** It depends on the speed of the machine which limit is reached first: time, states or alternatives. */
const COMPLEX = /needs more than (?:50|2000|50000) |combines more than/;

/** Schemas as JSON that are refused, with a part of the error. */
const REFUSED: readonly (readonly [name: string, schema: string, error: string | RegExp])[] = [
  ['10 000 levels', nested(10_000, '{"items":', '}', 'true'), 'nested deeper than'],
  ['10 000 levels of a list', nested(10_000, '[', ']', ''), 'nested deeper than'],
  ['100 000 members', text({ properties: Object.fromEntries(range(100_000).map((at) => [`p${at}`, true])) }), 'keys'],
  ['20 000 texts', text({ enum: range(20_000).map((at) => `${at * 7_919} ${at * 104_729}`) }), COMPLEX],
  ['a million characters of texts', text({ enum: range(1_000).map((at) => `${at * 7_919} `.repeat(140)) }), COMPLEX],
  [
    'alternatives that are multiplied',
    text({ allOf: range(30).map((at) => ({ anyOf: [{ required: [`a${at}`] }, { required: [`b${at}`] }] })) }),
    COMPLEX,
  ],
  [
    'references that double in anyOf',
    text(chain(30, (inner) => ({ anyOf: [inner, inner] }), { enum: [1, 2] })),
    COMPLEX,
  ],
  [
    'references that double inside of not',
    text({
      ...chain(30, (inner) => ({ allOf: [inner, inner] }), { minItems: 1 }),
      $ref: undefined,
      not: reference(30),
    }),
    COMPLEX,
  ],
  ['an exponential pattern', text({ type: 'string', pattern: '(a|b)*a(a|b){20}' }), COMPLEX],
  ['nested repetitions', text({ pattern: '(((a{1,99}b){1,99}c){1,99}d){1,99}' }), COMPLEX],
  ['minItems', text({ properties: { a: { type: 'array', minItems: 10_001 } } }), '.properties.a needs more than 10000'],
  ['minLength', text({ type: 'string', minLength: 1e9 }), ' needs more than 10000'],
  [
    'recursion without an end',
    text(chain(3, (inner) => ({ type: 'object', properties: { a: inner }, required: ['a'] }), reference(3))),
    ' accepts no finite value',
  ],
  [
    'recursion without a finite value',
    text({ type: 'object', properties: { a: { $ref: '#' } }, required: ['a'] }),
    ' accepts no finite value',
  ],
  ['a cycle of references', text(chain(3, (inner) => inner, reference(3))), ' refers to itself without end'],
  [
    'five patterns for names',
    text({ patternProperties: Object.fromEntries(range(5).map((at) => [`p${at}`, true])) }),
    ' has more than 4 patterns',
  ],
  [
    'patterns for names that multiply',
    text({ patternProperties: Object.fromEntries([...'abcd'].map((letter) => [`^.*${letter}.{12}$`, true])) }),
    COMPLEX,
  ],
  ['multipleOf 1e-300', text({ type: 'number', multipleOf: 1e-300 }), '.multipleOf '],
  ['a number that is infinite', '{"minimum":1e400}', '.minimum must be '],
  ['a long pattern', text({ pattern: 'a'.repeat(500_000) }), '.pattern '],
  ['half of a surrogate pair in a pattern', '{"type":"string","pattern":"\\ud800"}', ' accepts no value'],
  ['a definition that only a prototype has', text({ $ref: '#/$defs/toString', $defs: {} }), '.$ref '],
  ['a member of the name __proto__', '{"properties":{"__proto__":true}}', 'body must not have a key __proto__'],
  ['a reference to a prototype', '{"$ref":"#/__proto__"}', '.$ref '],
  ['a broken pointer', text({ $ref: '#/$defs/~2' }), '.$ref '],
  ['a dialect with the name of a method', text({ $schema: 'toString' }), '.$schema '],
  ['a type with the name of a method', text({ type: 'valueOf' }), '.type must be '],
];

const matcher = (error: string | RegExp): RegExp =>
  typeof error === 'string' ? new RegExp(error.replace(/[.$]/g, '\\$&')) : error;

/** The bodies that demand a schema, and the field that an error names. */
const FIELDS: readonly (readonly [path: string, field: string, body: (schema: string) => string])[] = [
  ['/execute', 'schema', (schema) => `{"job_id":"hostile-${++jobs}","prompt":${text(PROMPT)},"schema":${schema}}`],
  [
    CHAT,
    'response_format.json_schema.schema',
    (schema) =>
      `{"messages":${text(messages)},"response_format":{"type":"json_schema","json_schema":{"name":"x","schema":${schema}}}}`,
  ],
  [
    CHAT,
    'tools[0].function.parameters',
    (schema) =>
      `{"messages":${text(messages)},"tool_choice":"required","tools":[{"type":"function","function":{"name":"x","strict":true,"parameters":${schema}}}]}`,
  ],
];

describe.each(REFUSED)('%s', (_, schema, error) => {
  test.each(FIELDS.slice(0, 2))('%s %s', async (path, field, body) => {
    const response = await worker.post(path, body(schema));
    const answer = await response.text();
    expect({ status: response.status, answer }).toEqual({ status: 400, answer: expect.stringMatching(matcher(error)) });
    const isOfBody = /"body must|levels of all keys/.test(answer);
    expect(isOfBody || answer.includes(field)).toBe(true);
  });
});

test.each([
  ['regex', { regex: '(a|b)*a(a|b){20}' }],
  ['regex', { regex: '((a{1,900}b){1,900}c){1,900}' }],
  ['regex', { regex: 'a'.repeat(500_000) }],
  ['choice', { choice: range(20_000).map(String) }],
  ['choice', { choice: range(1_000).map((at) => `${at * 7_919} `.repeat(120)) }],
])('%s of /execute', async (field, form) => {
  const response = await worker.post('/execute', { job_id: 'hostile', prompt: PROMPT, ...form });
  expect([response.status, await response.text()]).toEqual([400, expect.stringContaining(field)]);
});

/** Legal schemas with traps, and the only value of each. */
const SERVED: readonly (readonly [name: string, schema: string, value: string])[] = [
  [
    'names of a prototype',
    '{"type":"object","properties":{"constructor":{"const":1},"hasOwnProperty":{"const":2},"toString":{"const":3}},"required":["constructor","hasOwnProperty","toString"],"additionalProperties":false}',
    '{"constructor":1,"hasOwnProperty":2,"toString":3}',
  ],
  ['a definition of the name toString', '{"$ref":"#/$defs/toString","$defs":{"toString":{"const":1}}}', '1'],
  ['an escaped pointer', text({ $ref: '#/$defs/a~1b~0c%25d', $defs: { 'a/b~c%d': { const: 7 } } }), '7'],
  ['half of a surrogate pair', '{"const":"\\ud800"}', '"\\ud800"'],
  ['a megabyte', text({ const: 5, description: 'x'.repeat(2 ** 20) }), '5'],
  [
    '8 000 references',
    text({ allOf: range(8_000).map(() => ({ $ref: '#/$defs/a' })), $defs: { a: { const: 6 } } }),
    '6',
  ],
  ['references that double in allOf', text(chain(60, (inner) => ({ allOf: [inner, inner] }), { const: 8 })), '8'],
];

test.each(SERVED)('%s is served, or too complex on a slow machine', async (_, schema, value) => {
  const body = `{"job_id":"served","prompt":${text(PROMPT)},"max_tokens":64,"schema":${schema}}`;
  const stream = await worker.post('/execute', body);
  const answer = await stream.text();
  if (stream.status === 200) {
    const tokens = messagesIn(answer).filter(({ event }) => event === 'token');
    const parts = tokens.map(({ data }) => (JSON.parse(data) as { t: string }).t);
    expect(parts.join('').replace(/([:,]) /g, '$1')).toBe(value);
  } else expect({ status: stream.status, answer }).toEqual({ status: 400, answer: expect.stringContaining('50 ms') });
});

test('probes are answered, and a stream goes on, while hostile schemas are compiled', async () => {
  const stream = await Listener.open(worker, { job_id: 'calm', prompt: PROMPT, max_tokens: 1_500, ignore_eos: true });
  await stream.untilToken();
  const hostile = REFUSED.filter(([, , error]) => error === COMPLEX);
  let open = 0;
  // Each schema has a description of its own, so that no request shares the compilation of another one.
  const attack = range(3).flatMap((round) =>
    hostile.flatMap(([, schema]) =>
      FIELDS.map(async ([path, , body]) => {
        open += 1;
        const own = `{"description":"round ${round}",${schema.slice(1)}`;
        const { status } = await worker.post(path, body(own));
        open -= 1;
        return status;
      }),
    ),
  );
  const answered = Promise.all(attack);
  const seen = stream.events.length;
  for (let probe = 0; probe < 5; probe += 1) {
    expect((await worker.get('/health')).status).toBe(200);
    expect(open).toBeGreaterThan(0);
  }
  await stream.until((event) => stream.events.indexOf(event) > seen && event.data.type === 'token');
  expect(open).toBeGreaterThan(0);
  expect(new Set(await answered)).toEqual(new Set([400]));
  stream.leave();
});

test('the worker keeps as many grammars as its cache has room for', async () => {
  const cachedOf = async (word: string): Promise<unknown> => {
    jobs += 1;
    const events = await worker.execute({ job_id: `many-${jobs}`, prompt: 'a', max_tokens: 1, choice: [word] });
    return all(events, 'narration').find(({ event }) => event === 'grammar.compiled')?.['cached_grammar'];
  };
  expect([await cachedOf('first'), await cachedOf('first')]).toEqual(['no', 'yes']);
  for (const index of range(CACHE_BOUNDS.count)) expect(await cachedOf(`word ${index}`)).toBe('no');
  expect([await cachedOf('first'), await cachedOf('word 99')]).toEqual(['no', 'yes']);
});

test('afterwards, a schema works, and the worker is as healthy as before', async () => {
  const schema = {
    type: 'object',
    properties: { a: { enum: ['x', 'y'] } },
    required: ['a'],
    additionalProperties: false,
  };
  const events = await worker.execute({ job_id: 'after', prompt: PROMPT, schema });
  validValue(textOf(events), schema);
  expect(await (await worker.get('/health')).json()).toMatchObject({ status: 'healthy' });
  expect(worker.lines.filter(({ event }) => event === 'engine.lost')).toEqual([]);
});

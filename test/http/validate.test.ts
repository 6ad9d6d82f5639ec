/** The limits of lists and texts, null as a value, and the numbers and texts that JSON can write and nothing else. */
import { Ajv2020 } from 'ajv/dist/2020.js';
import { describe, expect, test } from 'vitest';
import { openapi } from '../../scripts/openapi.ts';
import type { Violation } from '../../src/contract/errors.ts';
import { WorkerError } from '../../src/contract/errors.ts';
import { executeFields } from '../../src/contract/execute.ts';
import { errorBody } from '../../src/http/native/errors.ts';
import { orderOf } from '../../src/http/native/order.ts';
import { checkCancel, executeChecker } from '../../src/http/validate.ts';
import { schemaProblems } from '../contract/document.ts';

const check = executeChecker({ promptChars: 1000, maxTokens: 2048 });
const fields = (body: object): string[] => {
  const checked = check({ job_id: 'job', ...body });
  return checked.ok ? [] : checked.violations.map(({ field }) => field);
};
const biases = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, id) => [id, 1]));
const messages = (count: number, content = 'x') => Array.from({ length: count }, () => ({ role: 'user', content }));

test.each([
  ['256 messages', { messages: messages(256) }, { messages: messages(257) }],
  [
    '1000 characters of all messages',
    { messages: messages(10, 'x'.repeat(100)) },
    { messages: messages(11, 'x'.repeat(91)) },
  ],
  ['1000 characters of a prompt', { prompt: '🐸'.repeat(1000) }, { prompt: '🐸'.repeat(1001) }],
])('the maximum is %s', (_, valid, invalid) => {
  expect(fields(valid)).toEqual([]);
  expect(fields(invalid)).toEqual(Object.keys(invalid));
});

test.each([
  ['4 stop strings', 'stop', Array(4).fill('x'), Array(5).fill('x')],
  ['100 characters of a stop string', 'stop', ['🐸'.repeat(100)], ['🐸'.repeat(101)]],
  ['64 characters of the name of a template', 'template', '🐸'.repeat(64), '🐸'.repeat(65)],
  ['1024 biases', 'logit_bias', biases(1024), biases(1025)],
  ['20 log-probabilities', 'logprobs', 20, 21],
  ['one day', 'timeout_ms', 86_400_000, 86_400_001],
  ['the maximum of generated tokens', 'max_tokens', 2048, 2049],
  ['256 characters of an id', 'job_id', '🐸'.repeat(256), '🐸'.repeat(257)],
])('the maximum is %s', (_, field, valid, invalid) => {
  expect(fields({ prompt: 'x', [field]: valid })).toEqual([]);
  const [first = ''] = fields({ prompt: 'x', [field]: invalid });
  expect(first.replace(/[[.].*/, '')).toBe(field);
});

test('a template and a raw prompt exclude each other', () => {
  expect(fields({ prompt: 'x', raw: true, template: 'default' })).toEqual(['template']);
  expect(fields({ prompt: 'x', raw: false, template: 'default' })).toEqual([]);
  expect(fields({ messages: messages(1), template: 'default' })).toEqual([]);
});

test('the violation of a limit names the field, the value, the maximum and the flag', () => {
  const checked = check({ job_id: 'job', prompt: 'x'.repeat(1001), max_tokens: 4096, min_tokens: 3000 });
  expect(checked.ok ? [] : checked.violations.map(({ message }) => message)).toEqual([
    'prompt must be 1 to 1000 Unicode characters; --max-prompt-chars sets the maximum',
    'max_tokens must be a whole number from 1 to 2048, but is 4096; --max-tokens-cap sets the maximum',
    'min_tokens must be a whole number from 0 to max_tokens, at most 2048, but is 3000; --max-tokens-cap sets the maximum',
  ]);
  const short = check({ job_id: 'job', prompt: '', max_tokens: 0 });
  expect(JSON.stringify(short)).not.toContain('sets the maximum');
});

test.each([
  ['pairs', '🐸', 1000],
  ['pairs and letters', 'a🐸', 500],
])('code points are counted like a string iterator counts them: %s', (_, unit, times) => {
  const text = unit.repeat(times);
  expect([...text].length).toBe(1000);
  expect(fields({ prompt: text })).toEqual([]);
  expect(fields({ prompt: `${text}x` })).toEqual(['prompt']);
});

test('a list of more than 1024 elements is not read and causes one violation', () => {
  const listOf = (length: number): unknown[] =>
    Object.defineProperty(Array(length).fill('x'), 0, {
      get: () => {
        throw new Error('an element was read');
      },
    });
  expect(fields({ prompt: 'x', stop: listOf(1025) })).toEqual(['stop']);
});

test.each([
  ...['a\u0000', 'a\u001b', 'a\u009b', 'a\u2028', 'a\ud800', 'job\u200b', 'a\u202e', 'a\ufeff', 'a\u{e0061}'],
  ...['a\ufffe', 'a\ufdd0', 'a\ue000', 'a\u034f', 'a\ufe0f', 'a\u3164', 'a\u3000b', 'a\u2800b', '👩\u200da'],
])('an id that looks like another one in the log is refused: %j', (job_id) => {
  const checked = check({ job_id, prompt: 'x' });
  const [violation] = checked.ok ? [] : checked.violations;
  expect(violation?.message).toMatch(
    /^job_id must be 1 to 256 characters without control, invisible or private-use characters, but is ".*"$/,
  );
  expect(violation?.message).not.toMatch(/[\p{Cc}\p{Cf}\p{Co}\p{Cs}\p{Default_Ignorable_Code_Point}]/u);
});

test.each(['job 1', 'Überschrift', '作業', 'काम', 'وظيفة', '🐸🇩🇪👍🏿', 'a/b?c=d%', 'e\u0301'])(
  'the id %j is valid',
  (job_id) => {
    expect(fields({ job_id, prompt: 'x' })).toEqual([]);
  },
);

test('a repeated value is short and harmless', () => {
  const checked = check({ job_id: 'job', prompt: 'x', on_disconnect: `\u001b]0;x\u0007\u202e${'y'.repeat(100)}` });
  const [violation] = checked.ok ? [] : checked.violations;
  expect(violation?.value).toBe(`]0;x${'y'.repeat(59)}…`);
});

/** The violations of a body in JSON, after the answer that contains them was compared with the contract. */
function violationsOf(
  json: string,
  checker: (body: unknown) => ReturnType<typeof check> = check,
): readonly Violation[] {
  const checked = checker(JSON.parse(json));
  const violations = checked.ok ? [] : checked.violations;
  const sent = JSON.parse(JSON.stringify(errorBody(new WorkerError('INVALID_REQUEST', 'x', { violations }), 'id')));
  expect(schemaProblems({ $ref: '#/components/schemas/ErrorAnswer' }, sent)).toEqual([]);
  return violations;
}

const NUMBERS = Object.entries(executeFields())
  .filter(([, field]) => field.safeParse(1).success)
  .map(([name]) => name);

describe('numbers beyond the range of doubles', () => {
  test('are tested in all fields', () => expect(NUMBERS.length).toBeGreaterThan(10));

  test.each(
    NUMBERS.flatMap((name) => [
      [name, '1e999', 'Infinity', 'maximum'] as const,
      [name, '-1e999', '-Infinity', 'minimum'] as const,
    ]),
  )('%s: %s', (name, text, value, constraint) => {
    const violations = violationsOf(`{"job_id":"job","prompt":"x","${name}":${text}}`);
    expect(violations).toEqual([{ field: name, constraint, value, message: expect.any(String) }]);
    expect(violations[0]?.message).toMatch(
      new RegExp(`^${name} must be a.*, but is beyond the range of numbers(; --.* sets the maximum)?$`),
    );
  });

  test.each([
    ['{"job_id":1e999,"prompt":"x"}', 'job_id', 'Infinity'],
    ['{"job_id":"j","prompt":"x","raw":-1e999}', 'raw', '-Infinity'],
    ['{"job_id":"j","prompt":1e999}', 'prompt', undefined],
    ['{"job_id":"j","prompt":"x","stop":[1e999]}', 'stop[0]', undefined],
    ['{"job_id":"j","messages":[{"role":1e999,"content":"x"}]}', 'messages[0].role', undefined],
  ])('in other places: %s', (json, field, value) => {
    const [violation, ...others] = violationsOf(json);
    expect([violation?.field, violation?.value, others]).toEqual([field, value, []]);
    // A smaller number would be wrong too.
    expect(violation?.constraint).not.toMatch(/^m(?:ax|in)imum$/);
    expect(violation?.message).not.toMatch(/null|Infinity/);
  });

  test('of a cancel, and in unknown fields', () => {
    expect(violationsOf('{"job_id":1e999}', checkCancel as never)).toMatchObject([
      { field: 'job_id', value: 'Infinity' },
    ]);
    expect(violationsOf('{"job_id":"j","messages":[{"role":"user","content":"x","x":1e999}],"more":1e999}')).toEqual(
      [],
    );
  });

  test('break no rule between two fields', () => {
    const json = '{"job_id":"j","prompt":"x","min_tokens":1e999,"max_tokens":4}';
    expect(violationsOf(json).map(({ field }) => field)).toEqual(['min_tokens']);
  });
});

test.each([
  ['seed', '9007199254740993', 9_007_199_254_740_992, 'but is about 9007199254740992'],
  ['seed', '18446744073709551616', 2 ** 64, 'but is about 18446744073709552000'],
  ['max_tokens', '1e300', 1e300, 'but is about 1e+300'],
  ['max_tokens', '2049', 2049, 'but is 2049'],
  ['temperature', '2.5', 2.5, 'but is 2.5'],
])('%s: %s is refused with the number that was read', (name, text, value, end) => {
  expect(violationsOf(`{"job_id":"j","prompt":"x","${name}":${text}}`)).toMatchObject([
    { field: name, value, message: expect.stringContaining(end) },
  ]);
});

test.each([
  ['temperature', '-0'],
  ['temperature', '1e-400'],
  ['seed', '-0'],
  ['seed', '9007199254740991'],
  ['frequency_penalty', '-1e-400'],
])('%s: %s is valid', (name, text) => {
  expect(violationsOf(`{"job_id":"j","prompt":"x","${name}":${text}}`)).toEqual([]);
});

describe('half of a surrogate pair', () => {
  test.each([
    ['prompt', { prompt: 'a\ud800' }],
    ['prompt', { prompt: '\udc1d\ud83d' }],
    ['messages[0].content', { messages: [{ role: 'user', content: '\ud83dx' }] }],
    ['stop[1]', { prompt: 'x', stop: ['x', '\udfff'] }],
  ])('is refused in %s', (field, body) => {
    const [violation, ...others] = violationsOf(JSON.stringify({ job_id: 'j', ...body }));
    expect([violation, others]).toMatchObject([{ field, constraint: 'unicode' }, []]);
    expect(violation?.message).toBe(
      `${field} must be well-formed Unicode, without half of a surrogate pair such as \\ud800`,
    );
  });

  test('may be escaped with the other half', () => {
    expect(violationsOf('{"job_id":"j","prompt":"\\ud83d\\udc1d"}')).toEqual([]);
  });
});

describe('null means absent', () => {
  const OPTIONAL = Object.keys(executeFields()).filter((name) => name !== 'job_id');
  const NULLS = Object.fromEntries(OPTIONAL.map((name) => [name, null]));
  const { components } = openapi() as { components: { schemas: Record<string, object> } };
  const isValid = new Ajv2020({ strict: false }).compile({
    $ref: '#/components/schemas/ExecuteRequest',
    components,
  });

  test.each(OPTIONAL)('in %s', (name) => {
    const [absent, given] = name === 'prompt' ? ['prompt', 'messages'] : ['messages', 'prompt'];
    const text = given === 'prompt' ? 'x' : messages(1);
    const body = { job_id: 'job', [given]: text };
    const order = orderOf(check({ ...body, [absent]: null, [name]: null }), undefined);
    expect(order).toEqual(orderOf(check(body), undefined));
    expect([isValid({ ...body, [absent]: null }), isValid({ ...body, [name]: null })]).toEqual([true, true]);
  });

  test('in all fields together, and in unknown ones', () => {
    const body = { ...NULLS, job_id: 'job', prompt: 'x' };
    expect(orderOf(check({ ...body, more: null }), undefined)).toEqual(
      orderOf(check({ job_id: 'job', prompt: 'x' }), undefined),
    );
    expect(isValid(body)).toBe(true);
    expect(check({ ...body, more: null, other: 1 })).toMatchObject({ ok: true, unknown: ['other'] });
  });

  test('so that a required field is missing', () => {
    expect(violationsOf('{"job_id":null,"prompt":null,"messages":null}')).toMatchObject([
      { field: 'job_id', constraint: 'required' },
      { field: 'prompt', constraint: 'required' },
    ]);
    expect(violationsOf('{"job_id":null}', checkCancel as never)).toMatchObject([
      { field: 'job_id', constraint: 'required' },
    ]);
    const nested = '{"job_id":"j","messages":[{"role":null,"content":null}]}';
    expect(violationsOf(nested).map(({ field, constraint }) => [field, constraint])).toEqual([
      ['messages[0].role', 'required'],
      ['messages[0].content', 'required'],
    ]);
    expect([isValid(NULLS), isValid({ ...NULLS, job_id: 'j' })]).toEqual([false, false]);
    expect(isValid({ job_id: 'j', prompt: 'x', messages: messages(1) })).toBe(false);
  });

  test('but an element of a list is a value', () => {
    expect(fields({ prompt: 'x', stop: [null] })).toEqual(['stop[0]']);
    expect(fields({ messages: [null] })).toEqual(['messages[0]']);
    expect(violationsOf('null').map(({ field, constraint }) => [field, constraint])).toEqual([['body', 'type']]);
  });
});

describe('the form of the output', () => {
  const schema = { type: 'object', properties: { b: { const: null }, a: {} } };
  const formatOf = (body: object) => orderOf(check({ job_id: 'job', prompt: 'x', ...body }), undefined).format;
  const messagesOf = (body: object): string[] => {
    const checked = check({ job_id: 'job', prompt: 'x', ...body });
    return checked.ok ? [] : checked.violations.map(({ message }) => message);
  };

  test.each([
    [{}, undefined],
    [{ schema }, { format: { kind: 'schema', schema }, field: 'schema' }],
    [{ schema: true }, { format: { kind: 'schema', schema: true }, field: 'schema' }],
    [
      { schema: false, regex: null },
      { format: { kind: 'schema', schema: false }, field: 'schema' },
    ],
    [{ regex: 'a+' }, { format: { kind: 'regex', pattern: 'a+' }, field: 'regex' }],
    [{ choice: ['a', 'b'] }, { format: { kind: 'choice', choices: ['a', 'b'] }, field: 'choice' }],
  ])('%j', (body, expected) => {
    expect(JSON.stringify(formatOf(body))).toBe(JSON.stringify(expected));
  });

  test('at most one', () => {
    expect(messagesOf({ schema, regex: 'a', choice: ['a'] })).toEqual([
      'schema and regex must not be used together',
      'schema and choice must not be used together',
    ]);
  });

  test.each([
    [{ schema: [] }, 'schema must be a JSON Schema: an object, true or false'],
    [{ schema: '{}' }, 'schema must be a JSON Schema: an object, true or false'],
    [{ regex: '' }, 'regex must be a regular expression of 1 to 4096 characters'],
    [{ regex: 'x'.repeat(4097) }, 'regex must be a regular expression of 1 to 4096 characters'],
    [{ choice: [] }, 'choice must be a list of 1 to 1024 different texts of 1 to 1024 characters each'],
    [{ choice: ['a', 'a'] }, 'choice must be a list of 1 to 1024 different texts of 1 to 1024 characters each'],
    [{ choice: ['a', 5] }, 'choice must be a list of 1 to 1024 different texts of 1 to 1024 characters each'],
    [
      { choice: Array.from({ length: 1025 }, (_, at) => `${at}`) },
      'choice must be a list of 1 to 1024 different texts of 1 to 1024 characters each',
    ],
  ])('%#: a wrong one is never repeated', (body, sentence) => {
    expect(messagesOf(body)).toEqual([sentence]);
  });
});

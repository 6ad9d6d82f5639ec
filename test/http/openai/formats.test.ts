/** The form of the output in bodies of chats and completions: the fields of OpenAI, vLLM and llama-server. */
import type { FastifyRequest } from 'fastify';
import { describe, expect, test } from 'vitest';
import { refusalOf } from '../../../src/contract/errors.ts';
import { FORMAT_LIMITS } from '../../../src/contract/format/fields.ts';
import { CHAT_NAMES, ChatBody } from '../../../src/contract/openai/chat.ts';
import { COMPLETION_NAMES, CompletionBody } from '../../../src/contract/openai/completions.ts';
import { MAX_KEYS, MAX_LEVELS } from '../../../src/http/body/json-body.ts';
import { checkAll } from '../../../src/http/dialect/unknown-fields.ts';
import { chatOrder } from '../../../src/http/openai/chat/order.ts';
import { completionOrder } from '../../../src/http/openai/completions/order.ts';
import type { GenerationOrder } from '../../../src/jobs/order.ts';
import { HEAD } from './events.ts';

const requestOf = (body: object) => ({ headers: {}, body }) as unknown as FastifyRequest;
const chat = (more: object): GenerationOrder => {
  const body = { messages: [{ role: 'user', content: 'Hello' }], ...more };
  return chatOrder(checkAll(ChatBody, CHAT_NAMES, body), HEAD, requestOf(body));
};
const completion = (more: object): GenerationOrder => {
  const body = { prompt: 'Hello', ...more };
  return completionOrder(checkAll(CompletionBody, COMPLETION_NAMES, body), HEAD, requestOf(body));
};
/** The fields and the sentences of the violations. */
const refused = (make: () => unknown) =>
  (refusalOf(make)?.violations ?? []).map(({ field, message }) => [field, message]);

/** Keys that are null, and their order, are a part of a schema. */
const SCHEMA = { type: 'object', properties: { b: { const: null }, a: {} }, default: null };
const schema = (field: string, value: unknown = SCHEMA) => ({ format: { kind: 'schema', schema: value }, field });
const look = { type: 'function', function: { name: 'look', parameters: { type: 'object' } } };

describe.each([
  ['a chat', chat],
  ['a completion', completion],
])('%s', (_, orderOf) => {
  test.each([
    [{}, undefined],
    [{ response_format: { type: 'text' } }, undefined],
    [{ response_format: {} }, undefined],
    [{ response_format: { type: null, json_schema: null } }, undefined],
    [{ response_format: null, guided_json: null, guided_choice: null, json_schema: null, grammar: null }, undefined],
    [{ structured_outputs: { json: null, json_object: false, grammar: null } }, undefined],
    [{ response_format: { type: 'json_object' } }, { format: { kind: 'json_object' }, field: 'response_format' }],
    [{ response_format: { type: 'json_object', schema: SCHEMA } }, schema('response_format.schema')],
    [
      { response_format: { type: 'json_schema', json_schema: { name: 'x', strict: true, schema: SCHEMA } } },
      schema('response_format.json_schema.schema'),
    ],
    [
      { response_format: { type: 'json_schema', json_schema: { schema: true, strict: false } } },
      schema('response_format.json_schema.schema', true),
    ],
    [{ response_format: { type: 'json_schema', schema: SCHEMA } }, schema('response_format.schema')],
    [{ response_format: { type: 'text' }, guided_json: SCHEMA }, schema('guided_json')],
    [{ guided_json: JSON.stringify(SCHEMA) }, schema('guided_json')],
    [{ guided_json: 'false' }, schema('guided_json', false)],
    [{ guided_regex: 'a|b' }, { format: { kind: 'regex', pattern: 'a|b' }, field: 'guided_regex' }],
    [{ guided_choice: ['a', 'b'] }, { format: { kind: 'choice', choices: ['a', 'b'] }, field: 'guided_choice' }],
    [{ structured_outputs: { json: SCHEMA } }, schema('structured_outputs.json')],
    [{ structured_outputs: { json: JSON.stringify(SCHEMA) } }, schema('structured_outputs.json')],
    [
      { structured_outputs: { regex: '[0-9]+' } },
      { format: { kind: 'regex', pattern: '[0-9]+' }, field: 'structured_outputs.regex' },
    ],
    [
      { structured_outputs: { choice: ['yes'] } },
      { format: { kind: 'choice', choices: ['yes'] }, field: 'structured_outputs.choice' },
    ],
    [
      { structured_outputs: { json_object: true } },
      { format: { kind: 'json_object' }, field: 'structured_outputs.json_object' },
    ],
    [{ json_schema: SCHEMA }, schema('json_schema')],
  ])('%j', (body, format) => {
    const order = orderOf(body);
    expect(JSON.stringify(order.format)).toBe(JSON.stringify(format));
    expect(order.ignoredFields.filter((name) => name !== 'grammar')).toEqual([]);
  });

  const once = 'must not be used together: an output has one form';
  test.each([
    [
      { response_format: { type: 'json_object' }, guided_json: {} },
      'guided_json',
      `response_format and guided_json ${once}`,
    ],
    [
      { response_format: { type: 'json_schema', json_schema: { schema: {} }, schema: {} } },
      'response_format.schema',
      `response_format.json_schema.schema and response_format.schema ${once}`,
    ],
    [{ guided_regex: 'a', guided_choice: ['a'] }, 'guided_choice', `guided_regex and guided_choice ${once}`],
    [{ guided_json: {}, json_schema: {} }, 'json_schema', `guided_json and json_schema ${once}`],
    [
      { structured_outputs: { json: {}, regex: 'a' } },
      'structured_outputs.regex',
      `structured_outputs.json and structured_outputs.regex ${once}`,
    ],
    [
      { response_format: { type: 'json_schema', json_schema: { name: 'x' } } },
      'response_format.json_schema.schema',
      'response_format.json_schema.schema is required',
    ],
    [
      { response_format: { type: 'json_schema' } },
      'response_format.json_schema.schema',
      'response_format.json_schema.schema is required',
    ],
    [
      { response_format: { type: 'json_schema', json_schema: { schema: [] } } },
      'response_format.json_schema.schema',
      'response_format.json_schema.schema must be a JSON Schema: an object, true or false',
    ],
    [
      { response_format: { type: 'json_schema', json_schema: { schema: {}, strict: 'yes' } } },
      'response_format.json_schema.strict',
      'response_format.json_schema.strict must be a boolean',
    ],
    [{ response_format: { json_schema: {} } }, 'response_format.type', 'response_format.type is required'],
    [
      { response_format: { type: 'grammar' } },
      'response_format.type',
      'response_format.type must be text, json_object or json_schema, but is "grammar"',
    ],
    [
      { response_format: { type: 'constructor' } },
      'response_format.type',
      'response_format.type must be text, json_object or json_schema, but is "constructor"',
    ],
    [{ response_format: 'json' }, 'response_format', 'response_format must be an object'],
    [{ response_format: [] }, 'response_format', 'response_format must be an object'],
    [
      { guided_grammar: 'root ::= "a"' },
      'guided_grammar',
      'guided_grammar is not supported: use a JSON Schema in response_format, guided_regex or guided_choice',
    ],
    [
      { grammar: 'root ::= "a"' },
      'grammar',
      'grammar is not supported: use a JSON Schema in response_format, guided_regex or guided_choice',
    ],
    [
      { structured_outputs: { grammar: 'a' } },
      'structured_outputs.grammar',
      'structured_outputs.grammar is not supported: use json, regex or choice',
    ],
    [
      { structured_outputs: { structural_tag: {} } },
      'structured_outputs.structural_tag',
      'structured_outputs.structural_tag is not supported: use json, regex or choice',
    ],
    [
      { guided_json: '{"type": ' },
      'guided_json',
      'guided_json must be a JSON Schema: an object, true or false, or its JSON text',
    ],
    [
      { structured_outputs: { json: '[]' } },
      'structured_outputs.json',
      'structured_outputs.json must be a JSON Schema: an object, true or false, or its JSON text',
    ],
    [
      { guided_json: '{"properties": {"__proto__": {}}}' },
      'guided_json',
      'guided_json must be a JSON Schema: an object, true or false, or its JSON text',
    ],
    [
      { guided_json: 5 },
      'guided_json',
      'guided_json must be a JSON Schema: an object, true or false, or its JSON text, but is 5',
    ],
    [{ guided_regex: '' }, 'guided_regex', 'guided_regex must be a regular expression of 1 to 4096 characters'],
    [
      { guided_choice: [] },
      'guided_choice',
      'guided_choice must be a list of 1 to 1024 different texts of 1 to 1024 characters each',
    ],
  ])('%j is refused', (body, field, sentence) => {
    expect(refused(() => orderOf(body))).toEqual([[field, sentence]]);
  });

  test('a JSON text has the limits of a body', () => {
    const deep = `${'{"not":'.repeat(MAX_LEVELS + 1)}{}${'}'.repeat(MAX_LEVELS + 1)}`;
    const wide = JSON.stringify({ enum: [Object.fromEntries(Array.from({ length: MAX_KEYS }, (_, at) => [at, 1]))] });
    for (const guided_json of [deep, wide])
      expect(refused(() => orderOf({ guided_json }))).toEqual([
        ['guided_json', expect.stringMatching(/^guided_json must be a JSON text with at most 32 levels, 8192 keys/)],
      ]);
  });

  test('lists and texts have their limits, in characters; a wrong list has one violation', () => {
    const { choices, choiceChars, regexChars } = FORMAT_LIMITS;
    const many = (count: number) => Array.from({ length: count }, (_, at) => `choice ${at}`);
    const accepted = [
      { guided_choice: many(choices) },
      { guided_choice: ['🐸'.repeat(choiceChars)] },
      { guided_regex: '🐸'.repeat(regexChars) },
    ];
    for (const body of accepted) expect(orderOf(body).format).toBeDefined();
    const wrong = [
      { guided_choice: many(choices + 1) },
      { guided_choice: ['🐸'.repeat(choiceChars + 1)] },
      { guided_choice: ['a', 'a'] },
      { guided_choice: [''] },
      { guided_choice: ['\ud800'] },
      { guided_choice: Array(1000).fill(5) },
      { guided_choice: 'a' },
      { guided_regex: 'x'.repeat(regexChars + 1) },
      { guided_regex: '\ud800' },
      { guided_regex: ['a'] },
    ];
    for (const body of wrong)
      expect(refused(() => orderOf(body))).toEqual([[Object.keys(body)[0], expect.stringContaining(' must be ')]]);
  });

  test('the description of a schema has no effect; its name and strict are not listed', () => {
    const json_schema = { name: 'x', description: 'An x', strict: false, schema: {} };
    expect(orderOf({ response_format: { type: 'json_schema', json_schema } }).ignoredFields).toEqual([
      'response_format.json_schema.description',
    ]);
  });
});

describe('with tools', () => {
  const response_format = { type: 'json_schema', json_schema: { schema: SCHEMA } };
  const field = 'response_format.json_schema.schema';

  test.each(['auto', 'none'])('tool_choice %s keeps the form', (tool_choice) => {
    const order = chat({ tools: [look], tool_choice, response_format });
    expect(order.format).toEqual(schema(field));
    expect(order.toolUse?.choice).toBe(tool_choice);
    expect(order.ignoredFields).toEqual([]);
  });

  test.each(['required', { type: 'function', function: { name: 'look' } }])(
    'tool_choice %j: the form has no effect',
    (tool_choice) => {
      const order = chat({ tools: [look], tool_choice, response_format });
      expect(order.format).toBeUndefined();
      expect(order.ignoredFields).toEqual([field]);
    },
  );
});

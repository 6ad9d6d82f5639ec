/** The order of `POST /execute` for conversations with tools, reasoning and parts, and the errors of their fields. */
import { describe, expect, test } from 'vitest';
import { WorkerError } from '../../../src/contract/errors.ts';
import { orderOf } from '../../../src/http/native/order.ts';
import { executeChecker } from '../../../src/http/validate.ts';
import type { GenerationOrder } from '../../../src/jobs/order.ts';

const check = executeChecker({ promptChars: 1000, maxTokens: 2048 });
const question = { role: 'user', content: 'How is the sea?' };
const order = (body: object): GenerationOrder =>
  orderOf(check({ job_id: 'job', ...('prompt' in body ? {} : { messages: [question] }), ...body }), undefined);

/** Field, constraint and sentence of every violation. */
function violations(body: object): readonly unknown[] {
  try {
    order(body);
  } catch (error) {
    if (!(error instanceof WorkerError)) throw error;
    return (error.violations ?? []).map(({ field, constraint, message }) => [field, constraint, message]);
  }
  return [];
}

const parameters = { type: 'object', properties: { at: { type: 'string' } } };
const LOOK = { name: 'look', description: 'How a thing looks', parameters, strict: true };
const look = { type: 'function', function: LOOK };
const call = { id: 'a1', type: 'function', function: { name: 'look', arguments: '{"at":"sea"}' } };

describe('tools', () => {
  test('come with the conversation, and divide the output into parts', () => {
    expect(order({ tools: [look] })).toMatchObject({
      inputs: [{ messages: [question], tools: [LOOK] }],
      toolUse: { choice: 'auto', parallel: true },
      toolFields: ['tools[0].function.parameters'],
      undivided: false,
      ignoredFields: [],
    });
  });

  test('come with a prompt too', () => {
    const { inputs, toolUse } = order({ prompt: 'x', tools: [look], tool_choice: 'required' });
    expect(inputs).toEqual([{ prompt: 'x', raw: false, tools: [LOOK] }]);
    expect(toolUse?.choice).toBe('required');
  });

  test.each([
    ['none', 'none'],
    ['auto', 'auto'],
    ['required', 'required'],
    [{ type: 'function', function: { name: 'look' } }, { name: 'look' }],
  ])('have the choice %j', (given, choice) => {
    expect(order({ tools: [look], tool_choice: given, parallel_tool_calls: false }).toolUse).toMatchObject({
      choice,
      parallel: false,
    });
  });

  test('with the choice none the model is offered none', () => {
    expect(order({ tools: [look], tool_choice: 'none' }).inputs).toEqual([{ messages: [question] }]);
  });

  test('of another type are skipped, and listed', () => {
    const { inputs, ignoredFields } = order({ tools: [{ type: 'web_search' }, look], other: 1 });
    expect(inputs).toMatchObject([{ tools: [LOOK] }]);
    expect(ignoredFields).toEqual(['other', 'tools[0] (web_search)']);
  });

  test.each([
    [{ tools: [{ type: 'function' }] }, 'tools[0].function', 'required', 'is required'],
    [{ tools: [{ type: 'function', function: {} }] }, 'tools[0].function.name', 'required', 'is required'],
    [
      { tools: [{ type: 'function', function: { name: 'a b' } }] },
      'tools[0].function.name',
      'form',
      'must be 1 to 128 letters, digits and _ - . : /',
    ],
    [{ tools: [look, look] }, 'tools[1].function.name', 'unique', 'must differ from the names of the other functions'],
    [{ tool_choice: 'required' }, 'tool_choice', 'tools', 'must not be required without a function in tools'],
    [
      { tools: [look], tool_choice: { type: 'function', function: { name: 'see' } } },
      'tool_choice.function.name',
      'enum',
      'must be the name of a function in tools, but is "see"',
    ],
    [
      { tools: [look], tool_choice: 'any' },
      'tool_choice',
      'enum',
      'must be none, auto, required, or {type: function, function: {name}}, but is "any"',
    ],
    [
      { tools: Array(129).fill(look) },
      'tools',
      'maximum',
      'must be up to 128 of {type: function, function: {name, description?, parameters?, strict?}}',
    ],
    [{ tools: [look], parallel_tool_calls: 1 }, 'parallel_tool_calls', 'type', 'must be true or false, but is 1'],
  ])('a broken field is refused: %j', (body, field, constraint, rule) => {
    expect(violations(body)).toEqual([[field, constraint, `${field} ${rule}`]]);
  });

  test('a demanded form has no effect beside a call that must be', () => {
    const body = { tools: [look], choice: ['a', 'b'] };
    expect(order(body)).toMatchObject({ format: { field: 'choice' }, ignoredFields: [] });
    const forced = order({ ...body, tool_choice: 'required' });
    expect([forced.format, forced.ignoredFields]).toEqual([undefined, ['choice']]);
  });
});

describe('parts', () => {
  test.each([
    [{}, undefined],
    [{ parts: false }, undefined],
    [{ parts: true }, false],
    [{ tools: [] }, undefined],
    [{ prompt: 'x', raw: true, tools: [] }, undefined],
    [{ tools: [look] }, false],
    [{ tools: [look], parts: false }, true],
    [{ enable_thinking: true }, true],
    [{ enable_thinking: true, parts: true }, false],
  ])('%j gives the order undivided: %j', (body, undivided) => {
    const { toolUse, undivided: given } = order(body);
    expect([given, toolUse !== undefined]).toEqual([undivided, undivided !== undefined]);
  });

  test('a body without a new field gives the order as before', () => {
    expect(order({ schema: true })).toMatchObject({ inputs: [{ messages: [question] }], format: { field: 'schema' } });
    const { toolUse, toolFields, undivided } = order({ prompt: 'x', raw: true, parts: false });
    expect([toolUse, toolFields, undivided]).toEqual([undefined, undefined, undefined]);
  });

  test('of a raw prompt are the answer alone: the field is listed as ignored', () => {
    const { toolUse, ignoredFields } = order({ prompt: 'x', raw: true, parts: true });
    expect([toolUse, ignoredFields]).toEqual([undefined, ['parts']]);
  });
});

test('the wish for reasoning', () => {
  const { toolUse } = order({ enable_thinking: false, reasoning_effort: 'low' });
  expect(toolUse?.reasoning).toEqual({ enabled: false, effort: 'low' });
  const sentence = 'reasoning_effort must be a text of 1 to 64 characters';
  expect(violations({ reasoning_effort: 'x'.repeat(65) })).toMatchObject([
    ['reasoning_effort', 'maximum', expect.stringContaining(sentence)],
  ]);
});

test.each(['template', 'tools', 'tool_choice', 'parallel_tool_calls', 'enable_thinking', 'reasoning_effort'])(
  '%s and a raw prompt exclude each other',
  (field) => {
    const values = { template: 'x', tools: [look], tool_choice: 'auto', reasoning_effort: 'low' };
    const body = { prompt: 'x', raw: true, ...{ [field]: field in values ? values[field as 'tools'] : true } };
    expect(violations(body)).toEqual([
      [field, 'exclusive', `${field} and raw: true must not be used together; a raw prompt has no chat template`],
    ]);
  },
);

describe('messages', () => {
  const messagesOf = (...messages: object[]) => order({ messages }).inputs;

  test('may have calls, their results and reasoning', () => {
    const given = [
      question,
      { role: 'assistant', content: null, tool_calls: [call], reasoning: 'I look.' },
      { role: 'tool', tool_call_id: 'a1', content: 'calm' },
      { role: 'assistant', content: 'Calm.', reasoning_content: 'It is calm.', tool_calls: [] },
      question,
    ];
    expect(messagesOf(...given)).toEqual([
      {
        messages: [
          question,
          {
            role: 'assistant',
            content: '',
            reasoning: 'I look.',
            toolCalls: [{ id: 'a1', name: 'look', arguments: '{"at":"sea"}' }],
          },
          { role: 'tool', content: 'calm', toolCallId: 'a1' },
          { role: 'assistant', content: 'Calm.', reasoning: 'It is calm.' },
          question,
        ],
      },
    ]);
    expect(order({ messages: given }).undivided).toBe(true);
  });

  test('lose fields of other roles and unknown ones, as before', () => {
    const { inputs, toolUse, ignoredFields } = order({ messages: [{ ...question, reasoning: 'x', name: 5 }] });
    expect([inputs, toolUse, ignoredFields]).toEqual([[{ messages: [question] }], undefined, []]);
  });

  const RULE = 'must be 1 to 256 of {role: system|user|assistant|tool, content: string}, 1000 characters together';
  const CALLS = 'must be up to 128 of {id, type: function, function: {name, arguments: string}}';
  test.each([
    [{ role: 'assistant' }, 'content', 'required', RULE],
    [{ role: 'assistant', tool_calls: [] }, 'content', 'required', RULE],
    [{ role: 'tool', content: null }, 'content', 'required', RULE],
    [{ role: 'developer', content: 'x' }, 'role', 'enum', RULE],
    [{ role: 'assistant', tool_calls: 'x' }, 'tool_calls', 'type', CALLS],
    [{ role: 'assistant', tool_calls: Array(129).fill(call) }, 'tool_calls', 'maximum', CALLS],
    [
      { role: 'assistant', tool_calls: [call, { function: { name: 'look', arguments: {} } }, 5] },
      'tool_calls[1].function.arguments',
      'type',
      CALLS,
    ],
    [
      { role: 'user', content: 'x', tool_calls: [call] },
      'tool_calls',
      'role',
      'must be in a message of the role assistant',
    ],
  ])('a broken message is refused: %j', (message, field, constraint, rule) => {
    const path = `messages[1].${field}`;
    expect(violations({ messages: [question, message] })).toEqual([[path, constraint, `${path} ${rule}`]]);
  });

  test('thousands of broken calls have one violation for each message', () => {
    const message = { role: 'assistant', tool_calls: Array(1000).fill(5) };
    expect(violations({ messages: Array(256).fill(message) })).toHaveLength(256);
  });
});

/** The unknown fields of a body, in all of its objects. */
import { describe, expect, test } from 'vitest';
import { CHAT_NAMES, ChatBody } from '../../../src/contract/openai/chat.ts';
import { RESPONSES_FIELDS, ResponsesBody } from '../../../src/contract/openai/responses/body.ts';
import { TOKENIZE_FIELDS, TokenizeBody } from '../../../src/contract/tokenizer/request.ts';
import { checkAll, MAX_UNKNOWN_FIELDS } from '../../../src/http/dialect/unknown-fields.ts';

const messages = [{ role: 'user', content: 'Hello' }];
const ofChat = (more: object) => checkAll(ChatBody, CHAT_NAMES, { messages, ...more }).unknown;
const ofResponses = (more: object) => checkAll(ResponsesBody, RESPONSES_FIELDS, { input: 'Hello', ...more }).unknown;
const look = { type: 'function', function: { name: 'look', parameters: { x: 1, properties: {} } } };

describe('a chat', () => {
  test.each([
    [{ messages: [{ ...messages[0], cache_control: {} }] }, ['messages[].cache_control']],
    [
      { messages: [{ role: 'user', content: [{ type: 'text', text: 'a', cache_control: {}, index: null }] }] },
      ['messages[].content[].cache_control'],
    ],
    [
      {
        messages: [
          ...messages,
          { role: 'assistant', tool_calls: [{ index: 0, function: { name: 'f', arguments: '', more: 1 } }] },
        ],
      },
      ['messages[].tool_calls[].index', 'messages[].tool_calls[].function.more'],
    ],
    [
      { tools: [{ type: 'function', function: { ...look.function, returns: {} }, eager: true }] },
      ['tools[].function.returns', 'tools[].eager'],
    ],
    [
      { tools: [look], tool_choice: { type: 'function', mode: 'x', function: { name: 'look', why: 1 } } },
      ['tool_choice.mode', 'tool_choice.function.why'],
    ],
    [{ stream_options: { include_usage: true, include_obfuscation: false } }, ['stream_options.include_obfuscation']],
    [{ response_format: { type: 'text', json_schema: {} } }, ['response_format.json_schema']],
    [
      { response_format: { type: 'json_schema', json_schema: { schema: { x: 1 }, more: 1 }, extra: 1 } },
      ['response_format.json_schema.more', 'response_format.extra'],
    ],
    [{ response_format: { type: 'json_object', schema: { x: 1 } } }, []],
    [{ structured_outputs: { json: { x: 1 }, whitespace_pattern: '' } }, ['structured_outputs.whitespace_pattern']],
    [{ guided_whitespace_pattern: '', user: 'me' }, ['guided_whitespace_pattern', 'user']],
    [
      JSON.parse('{"stream_options": {"__proto__": 1, "toString": 1}}'),
      ['stream_options.__proto__', 'stream_options.toString'],
    ],
  ])('%j', (body, unknown) => {
    expect(ofChat(body)).toEqual(unknown);
  });

  test('has no unknown field in values that the caller names, in tools of other types, and in nulls', () => {
    const body = {
      tools: [look, { type: 'web_search', filters: { allowed: [] } }],
      chat_template_kwargs: { anything: { at: 'all' } },
      logit_bias: { 5: 1 },
      stop: ['a'],
      tool_choice: 'auto',
      stream_options: { more: null },
    };
    expect(ofChat(body)).toEqual([]);
  });

  test('names each field once and a bounded number of them, and cuts long ones', () => {
    const extra = Object.fromEntries(Array.from({ length: 100 }, (_, index) => [`x${index}`, 1]));
    expect(ofChat({ messages: [{ ...messages[0], ...extra }] })).toHaveLength(MAX_UNKNOWN_FIELDS);
    expect(ofChat({ messages: Array(5).fill({ ...messages[0], x: 1 }) })).toEqual(['messages[].x']);
    const [long = ''] = ofChat({ messages: [{ ...messages[0], ['y'.repeat(10_000)]: 1 }] });
    expect(long.length).toBeLessThan(200);
  });
});

test.each([
  [{ reasoning: { generate_summary: 'auto', effort: 'low' } }, ['reasoning.generate_summary']],
  [{ text: { format: { type: 'text', name: 'x' }, stop: [] } }, ['text.format.name', 'text.stop']],
  [{ text: { format: { type: 'json_schema', schema: { x: 1 }, json_schema: {} } } }, ['text.format.json_schema']],
  [{ stream_options: { include_usage: true, include_obfuscation: false } }, ['stream_options.include_usage']],
  [{ stream_options: 5 }, []],
  [
    { input: [{ role: 'user', phase: 'x', content: [{ type: 'input_text', text: 'a', detail: 'low' }] }] },
    ['input[].phase', 'input[].content[].detail'],
  ],
  [
    {
      input: [
        { type: 'function_call', call_id: 'a', name: 'f', arguments: '{}', namespace: 'n' },
        { type: 'function_call_output', call_id: 'a', output: [{ type: 'input_text', text: 'b', x: 1 }], y: 1 },
        { type: 'web_search_call', action: {} },
      ],
    },
    ['input[].namespace', 'input[].output[].x', 'input[].y'],
  ],
  [
    {
      tools: [
        { type: 'function', name: 'f', eager: 1 },
        { type: 'web_search', x: 1 },
      ],
    },
    ['tools[].eager'],
  ],
  [{ tool_choice: { type: 'function', name: 'f', x: 1 } }, ['tool_choice.x']],
  [{ metadata: { a: '1' }, client_metadata: { b: {} } }, []],
])('a body of /v1/responses: %j', (body, unknown) => {
  expect(ofResponses(body)).toEqual(unknown);
});

test('an earlier answer that a client sends back has no unknown field', () => {
  const part = { type: 'output_text', text: 'a', annotations: [], logprobs: [] };
  const input = [
    { id: 'msg_1', type: 'message', role: 'assistant', status: 'completed', content: [part] },
    { id: 'fc_1', type: 'function_call', call_id: 'c', name: 'f', arguments: '{}', status: 'completed' },
    { id: 'rs_1', type: 'reasoning', summary: [], content: [{ type: 'reasoning_text', text: 'b' }] },
  ];
  expect(ofResponses({ input })).toEqual([]);
});

test('a body of /tokenize', () => {
  const body = { messages: [{ role: 'user', content: 'a', x: 1 }], tools: [{ ...look, y: 1 }], z: 1 };
  expect(checkAll(TokenizeBody, TOKENIZE_FIELDS, body).unknown).toEqual(['z', 'messages[].x', 'tools[].y']);
});

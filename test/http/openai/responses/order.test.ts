/** Bodies of /v1/responses as orders: items, tools, choices, refused and ignored fields. */
import type { FastifyRequest } from 'fastify';
import { describe, expect, test } from 'vitest';
import { WorkerError } from '../../../../src/contract/errors.ts';
import { limitsOf } from '../../../../src/contract/execute.ts';
import { RESPONSES_FIELDS, ResponsesBody } from '../../../../src/contract/openai/responses/body.ts';
import { MAX_INPUT_ITEMS } from '../../../../src/contract/openai/responses/input.ts';
import { checkBody } from '../../../../src/http/dialect/check.ts';
import { responsesOrder } from '../../../../src/http/openai/responses/order.ts';
import { settingsOf } from '../../../../src/http/openai/responses/settings.ts';
import { readTools } from '../../../../src/http/openai/responses/tools.ts';
import type { GenerationOrder } from '../../../../src/jobs/order.ts';
import { NEUTRAL } from '../../../../src/protocol/sampling.ts';
import type { Conversation } from '../../../../src/text/template/conversation.ts';

const limits = limitsOf({ maxPromptChars: 'auto', maxTokensCap: 'auto' }, 2048);

function orderOf(body: object): GenerationOrder {
  const checked = checkBody(ResponsesBody, RESPONSES_FIELDS, body);
  const tools = readTools(checked.value.tools ?? [], checked.value.tool_choice);
  return responsesOrder(checked, { headers: {}, body } as unknown as FastifyRequest, {
    id: 'resp_1',
    model: 'haiku',
    limits,
    tools,
  });
}
/** The settings that the answer to a body repeats. */
function settingsIn(body: object) {
  const { value } = checkBody(ResponsesBody, RESPONSES_FIELDS, body);
  const tools = readTools([], undefined);
  return settingsOf(value, orderOf(body), tools, NEUTRAL);
}
const conversationOf = (body: object): Conversation => orderOf(body).inputs[0] as Conversation;
const messagesOf = (input: unknown, more: object = {}) => conversationOf({ input, ...more }).messages;

function violationOf(body: object) {
  try {
    orderOf(body);
  } catch (error) {
    if (error instanceof WorkerError) return error.violations?.[0];
    throw error;
  }
  throw new Error('the body was accepted');
}

const WEATHER = { type: 'function', name: 'weather', parameters: { type: 'object', properties: { z: {}, a: {} } } };

describe('input', () => {
  test('a text is a message of the user, and instructions are a system message before it', () => {
    expect(messagesOf('Hello', { instructions: 'Be brief.' })).toEqual([
      { role: 'system', content: 'Be brief.' },
      { role: 'user', content: 'Hello' },
    ]);
  });

  test('messages: with and without type, texts and parts, developer', () => {
    expect(
      messagesOf([
        {
          type: 'message',
          role: 'developer',
          content: [
            { type: 'input_text', text: 'Be ' },
            { type: 'text', text: 'brief.' },
          ],
        },
        { role: 'user', content: 'Hello' },
        {
          role: 'assistant',
          id: 'msg_1',
          status: 'completed',
          content: [{ type: 'output_text', text: 'Hi', annotations: [] }],
        },
        { role: 'assistant', content: [{ type: 'refusal', refusal: 'No.' }] },
      ]),
    ).toEqual([
      { role: 'system', content: 'Be brief.' },
      { role: 'user', content: 'Hello' },
      { role: 'assistant', content: 'Hi' },
      { role: 'assistant', content: 'No.' },
    ]);
  });

  test('reasoning, a text and calls become one message; each result is a message of the role tool', () => {
    expect(
      messagesOf([
        { role: 'user', content: 'Weather?' },
        { type: 'reasoning', id: 'rs_1', summary: [], content: [{ type: 'reasoning_text', text: 'I look.' }] },
        { role: 'assistant', content: 'Let me look.' },
        { type: 'function_call', call_id: 'a', name: 'weather', arguments: '{"city":"Oslo"}' },
        { type: 'function_call', call_id: 'b', name: 'time', arguments: '{}' },
        { type: 'function_call_output', call_id: 'a', output: 'rain' },
        { type: 'function_call_output', call_id: 'b', output: [{ type: 'input_text', text: 'noon' }] },
        { type: 'reasoning', summary: [{ type: 'summary_text', text: 'Answer.' }], content: null },
        { role: 'assistant', content: 'Rain at noon.' },
      ]),
    ).toEqual([
      { role: 'user', content: 'Weather?' },
      {
        role: 'assistant',
        content: 'Let me look.',
        reasoning: 'I look.',
        toolCalls: [
          { id: 'a', name: 'weather', arguments: '{"city":"Oslo"}' },
          { id: 'b', name: 'time', arguments: '{}' },
        ],
      },
      { role: 'tool', content: 'rain', toolCallId: 'a', name: 'weather' },
      { role: 'tool', content: 'noon', toolCallId: 'b', name: 'time' },
      { role: 'assistant', content: 'Rain at noon.', reasoning: 'Answer.' },
    ]);
  });

  test.each([
    ['no items', []],
    ['an empty text', ''],
    ['a system message only', [{ role: 'system', content: '' }]],
  ])('%s: the conversation has a message of the user', (_, input) => {
    expect(messagesOf(input).at(-1)).toEqual({ role: 'user', content: '' });
  });

  test('items of unknown types and encrypted reasoning are skipped and named', () => {
    const order = orderOf({
      input: [
        { type: 'web_search_call', id: 'ws_1', status: 'completed' },
        { type: 'reasoning', summary: [], encrypted_content: 'x' },
        { role: 'user', content: 'Hello' },
      ],
    });
    expect((order.inputs[0] as Conversation).messages).toEqual([{ role: 'user', content: 'Hello' }]);
    expect(order.ignoredFields).toEqual(['input[0] (web_search_call)', 'input[1].encrypted_content']);
  });

  test.each([
    [
      'an image',
      [{ role: 'user', content: [{ type: 'input_image', image_url: 'x' }] }],
      'input[0].content[0]',
      /input_image/,
    ],
    [
      'a file in a result',
      [{ type: 'function_call_output', call_id: 'a', output: [{ type: 'input_file' }] }],
      'input[0].output[0]',
      /input_file/,
    ],
    ['a reference', [{ type: 'item_reference', id: 'msg_1' }], 'input[0]', /stores no items/],
    ['a part without a type', [{ role: 'user', content: [{ text: 'x' }] }], 'input[0].content[0].type', /is required/],
    [
      'a text part without a text',
      [{ role: 'user', content: [{ type: 'input_text' }] }],
      'input[0].content[0].text',
      /is required/,
    ],
    ['another role', [{ role: 'tool', content: 'x' }], 'input[0].role', /system, developer, user or assistant/],
    ['a message without content', [{ role: 'user' }], 'input[0].content', /is required/],
    [
      'a call without a name',
      [{ type: 'function_call', call_id: 'a', arguments: '{}' }],
      'input[0].name',
      /is required/,
    ],
    ['half of a surrogate pair', '\ud800', 'input', /well-formed Unicode/],
    [
      'one item too many',
      Array(MAX_INPUT_ITEMS + 1).fill({ role: 'user', content: '' }),
      'input',
      /at most 4096 items/,
    ],
    ['a number', 5, 'input', /must be a text or an array of items/],
    ['nothing', undefined, 'input', /is required/],
    ['null', null, 'input', /is required/],
    ['too long a text', 'x'.repeat(limits.promptChars + 1), 'input', /--max-prompt-chars/],
  ])('%s is refused', (_, input, field, sentence) => {
    const violation = violationOf({ input });
    expect(violation).toMatchObject({ field });
    expect(violation?.message).toMatch(sentence);
  });
});

describe('tools', () => {
  test('functions are offered with the keys of their schema in order; tools of other types are named', () => {
    const order = orderOf({
      input: 'x',
      tools: [
        { type: 'web_search' },
        { ...WEATHER, description: null, strict: true },
        { type: 'namespace', name: 'n', tools: [] },
      ],
    });
    const { tools = [] } = order.inputs[0] as Conversation;
    expect(tools.map(({ name }) => name)).toEqual(['weather']);
    expect(Object.keys(tools[0]?.parameters?.['properties'] ?? {})).toEqual(['z', 'a']);
    expect(order.ignoredFields).toEqual(['tools[0] (web_search)', 'tools[2] (namespace)']);
    expect(order.toolFields).toEqual(['tools[1].parameters']);
    expect(order.toolUse).toMatchObject({ choice: 'auto', parallel: true });
  });

  test.each([
    ['none', 'none', [], 'none'],
    ['required', 'required', ['weather', 'time'], 'required'],
    ['a function', { type: 'function', name: 'time' }, ['weather', 'time'], { name: 'time' }],
    [
      'some tools',
      { type: 'allowed_tools', mode: 'required', tools: [{ type: 'function', name: 'time' }, { type: 'mcp' }] },
      ['time'],
      'required',
    ],
    ['null', null, ['weather', 'time'], 'auto'],
  ])('tool_choice %s', (_, choice, offered, use) => {
    const order = orderOf({ input: 'x', tools: [WEATHER, { type: 'function', name: 'time' }], tool_choice: choice });
    expect((order.inputs[0] as Conversation).tools?.map(({ name }) => name)).toEqual(offered);
    const places = offered.map((name) => `tools[${name === 'weather' ? 0 : 1}].parameters`);
    expect(order.toolFields).toEqual(places);
    expect(order.toolUse?.choice).toEqual(use);
  });

  test.each([
    ['required without a function', { tools: [{ type: 'web_search' }], tool_choice: 'required' }, 'tool_choice'],
    ['an unknown function', { tools: [WEATHER], tool_choice: { type: 'function', name: 'time' } }, 'tool_choice.name'],
    ['a tool of the server', { tools: [WEATHER], tool_choice: { type: 'web_search' } }, 'tool_choice'],
    [
      'no allowed function',
      { tools: [WEATHER], tool_choice: { type: 'allowed_tools', mode: 'required', tools: [] } },
      'tool_choice',
    ],
    ['an unknown word', { tool_choice: 'any' }, 'tool_choice'],
    ['a function without a name', { tools: [{ type: 'function' }] }, 'tools[0].name'],
    ['a tool without a type', { tools: [{ name: 'x' }] }, 'tools[0].type'],
    ['parameters that are no object', { tools: [{ ...WEATHER, parameters: 'x' }] }, 'tools[0].parameters'],
  ])('%s is refused', (_, body, field) => {
    expect(violationOf({ input: 'x', ...body })).toMatchObject({ field });
  });

  test('parallel_tool_calls: false', () => {
    expect(orderOf({ input: 'x', parallel_tool_calls: false }).toolUse?.parallel).toBe(false);
  });
});

describe('other fields', () => {
  test('sampling, limits and stop strings', () => {
    expect(
      orderOf({
        input: 'x',
        max_output_tokens: 32_000,
        temperature: 0.5,
        top_p: 0.9,
        top_k: -1,
        min_p: 0.1,
        seed: -1,
        stop: 'a',
        ignore_eos: true,
        logit_bias: { 5: -100 },
      }),
    ).toMatchObject({
      jobId: 'resp_1',
      maxTokens: 32_000,
      sampling: { temperature: 0.5, topP: 0.9, topK: 0, minP: 0.1, seed: Number.MAX_SAFE_INTEGER },
      stop: ['a'],
      ignoreEos: true,
      logitBias: [[5, -100]],
      onDisconnect: 'cancel',
    });
  });

  test('reasoning.effort is the wish for reasoning', () => {
    expect(orderOf({ input: 'x', reasoning: { effort: 'low' } }).toolUse?.reasoning).toEqual({ effort: 'low' });
  });

  test.each([
    [{}, undefined],
    [{ top_logprobs: 3 }, 3],
    [{ top_logprobs: 0 }, undefined],
    [{ include: ['message.output_text.logprobs'] }, 0],
    [{ include: ['message.output_text.logprobs'], top_logprobs: 2 }, 2],
  ])('log-probabilities for %j', (body, wanted) => {
    expect(orderOf({ input: 'x', ...body }).logprobs).toBe(wanted);
  });

  test.each([
    ['previous_response_id', 'resp_0'],
    ['conversation', { id: 'conv_1' }],
    ['prompt', { id: 'pmpt_1' }],
    ['background', true],
  ])('%s is refused', (field, value) => {
    expect(violationOf({ input: 'x', [field]: value })).toMatchObject({ field, constraint: 'unsupported' });
  });

  test.each([
    ['max_output_tokens', 1.5],
    ['temperature', 2.5],
    ['top_logprobs', 21],
    ['stream', 'yes'],
    ['logit_bias', { '07': 1 }],
  ])('%s must be in its range', (field, value) => {
    expect(violationOf({ input: 'x', [field]: value })).toMatchObject({ field });
  });

  test.each([
    [0, 1],
    [-1, undefined],
  ])('max_output_tokens %d is not refused', (max_output_tokens, maxTokens) => {
    const body = { input: 'x', max_output_tokens };
    expect(orderOf(body).maxTokens).toBe(maxTokens);
    expect(settingsIn(body).max_output_tokens).toBe(maxTokens ?? null);
  });

  test('any text is an effort; the answer repeats it', () => {
    expect(orderOf({ input: 'x', reasoning: { effort: 'huge' } }).toolUse?.reasoning).toEqual({ effort: 'huge' });
    expect(settingsIn({ input: 'x', reasoning: { effort: 'huge' } }).reasoning.effort).toBe('huge');
    expect(violationOf({ input: 'x', reasoning: { effort: 'x'.repeat(65) } })).toMatchObject({
      field: 'reasoning.effort',
      message: 'reasoning.effort must have at most 64 characters',
    });
  });

  test.each([
    ['metadata', { metadata: { a: 5, b: 'x', c: null } }, ['metadata']],
    ['metadata as a text', { metadata: 'x' }, ['metadata']],
    ['a null in metadata', { metadata: { a: null } }, []],
    ['many entries of metadata', { metadata: Object.fromEntries([...'abcdefghijklmnopq'].map((k) => [k, 'v'])) }, []],
    ['a long user', { user: 'x'.repeat(1025) }, []],
    [
      'a user that is no text',
      { user: 5, safety_identifier: {}, prompt_cache_key: [] },
      ['user', 'safety_identifier', 'prompt_cache_key'],
    ],
    ['truncation', { truncation: 'always' }, ['truncation']],
    ['max_tool_calls', { max_tool_calls: 1.5 }, ['max_tool_calls']],
    ['service_tier', { service_tier: 5 }, ['service_tier']],
    ['include', { include: 'all' }, ['include']],
    ['an entry of include', { include: [5] }, ['include[0]']],
    ['stream_options', { stream_options: { include_obfuscation: 'yes' } }, ['stream_options.include_obfuscation']],
    [
      'text and reasoning',
      { text: { verbosity: 1 }, reasoning: { summary: 1 } },
      ['reasoning.summary', 'text.verbosity'],
    ],
    ['a format of null', { text: { format: { type: null } } }, []],
  ])('%s without an effect is never refused', (_, body, ignored) => {
    expect(orderOf({ input: 'x', ...body }).ignoredFields).toEqual(ignored);
  });

  test('at most 32 entries of include are named', () => {
    expect(orderOf({ input: 'x', include: Array(40).fill('y') }).ignoredFields).toHaveLength(32);
  });

  test('the answer repeats only texts', () => {
    const body = { metadata: { a: 5, b: 'x', c: null }, user: 5, safety_identifier: 'me', max_tool_calls: 1.5 };
    expect(settingsIn({ input: 'x', ...body })).toMatchObject({
      metadata: { b: 'x' },
      user: null,
      safety_identifier: 'me',
      max_tool_calls: null,
    });
  });

  test('a format without a type is refused', () => {
    expect(violationOf({ input: 'x', text: { format: { schema: {} } } })).toMatchObject({ field: 'text.format.type' });
  });

  test('the sentence about tool_choice has its object forms', () => {
    expect(violationOf({ input: 'x', tool_choice: 'any' })?.message).toBe(
      'tool_choice must be none, auto, required, {type: function, name}, or {type: allowed_tools, mode, tools}, but is "any"',
    );
  });

  test('fields without an effect are named: those of a request of Codex, unknown ones, another model', () => {
    const { ignoredFields } = orderOf({
      input: 'x',
      model: 'gpt',
      stream: true,
      store: true,
      include: ['reasoning.encrypted_content'],
      reasoning: { summary: 'auto' },
      text: { verbosity: 'low', format: { type: 'text' } },
      truncation: 'auto',
      prompt_cache_key: 'k',
      client_metadata: { a: 'b' },
      service_tier: 'flex',
      max_tokens: 5,
    });
    expect(ignoredFields).toEqual([
      'max_tokens',
      'model',
      'store',
      'truncation',
      'service_tier',
      'client_metadata',
      'reasoning.summary',
      'text.verbosity',
      'include[0] (reasoning.encrypted_content)',
    ]);
  });

  test('null is the same as absent, and the defaults of other servers are accepted', () => {
    const nulls = Object.fromEntries(
      [...RESPONSES_FIELDS].filter((name) => name !== 'input').map((name) => [name, null]),
    );
    expect(orderOf({ input: 'x', ...nulls })).toEqual(orderOf({ input: 'x' }));
    const defaults = { background: false, store: false, truncation: 'disabled', service_tier: 'auto', model: 'haiku' };
    expect(orderOf({ input: 'x', ...defaults }).ignoredFields).toEqual([]);
  });
});

describe('the form of the text', () => {
  const schema = { type: 'object', properties: { b: { const: null }, a: {} } };
  const ofSchema = { type: 'json_schema', name: 'x', strict: true, schema };
  const demanded = { format: { kind: 'schema', schema }, field: 'text.format.schema' };

  test.each([
    [{ text: { format: { type: 'text' } } }, undefined],
    [{ text: { format: {} } }, undefined],
    [{ text: { format: ofSchema } }, demanded],
    [{ text: { format: { type: 'json_object' } } }, { format: { kind: 'json_object' }, field: 'text.format' }],
    [
      { text: { format: { type: 'json_schema', schema: true } } },
      { ...demanded, format: { kind: 'schema', schema: true } },
    ],
    [{ guided_json: schema }, { ...demanded, field: 'guided_json' }],
    [
      { structured_outputs: { regex: 'a' } },
      { format: { kind: 'regex', pattern: 'a' }, field: 'structured_outputs.regex' },
    ],
  ])('%j', (body, format) => {
    const order = orderOf({ input: 'x', ...body });
    expect(order.format).toEqual(format);
    expect(order.ignoredFields).toEqual([]);
  });

  test.each([
    [{ type: 'text' }, { type: 'text' }],
    [{ type: 'json_object' }, { type: 'json_object' }],
    [{ ...ofSchema, description: null }, ofSchema],
    [
      { ...ofSchema, strict: false, description: 'An x' },
      { ...ofSchema, strict: false, description: 'An x' },
    ],
    [{}, { type: 'text' }],
    [undefined, { type: 'text' }],
  ])('%j is repeated in the answer', (format, repeated) => {
    expect(settingsIn({ input: 'x', text: { format } }).text).toEqual({ format: repeated });
  });

  test.each([
    [{ text: { format: { schema: {} } } }, 'text.format.type', 'text.format.type is required'],
    [
      { text: { format: { type: 'json_schema', json_schema: { schema: {} } } } },
      'text.format.schema',
      'text.format.schema is required',
    ],
    [
      { text: { format: { type: 'grammar' } } },
      'text.format.type',
      'text.format.type must be text, json_object or json_schema, but is "grammar"',
    ],
    [
      { text: { format: ofSchema }, guided_choice: ['a'] },
      'guided_choice',
      'text.format.schema and guided_choice must not be used together: an output has one form',
    ],
    [
      { response_format: { type: 'json_object' } },
      'response_format',
      'response_format is not supported: use text.format',
    ],
  ])('%j is refused', (body, field, message) => {
    expect(violationOf({ input: 'x', ...body })).toMatchObject({ field, message });
  });

  test('response_format for a text is an unknown field', () => {
    expect(orderOf({ input: 'x', response_format: { type: 'text' } }).ignoredFields).toEqual(['response_format']);
  });

  test('has no effect if the output must be a call; its description never has one', () => {
    const body = { input: 'x', tools: [WEATHER], text: { format: { ...ofSchema, description: 'An x' } } };
    expect(orderOf(body)).toMatchObject({ format: demanded, ignoredFields: ['text.format.description'] });
    const forced = orderOf({ ...body, tool_choice: { type: 'function', name: 'weather' } });
    expect(forced.format).toBeUndefined();
    expect(forced.ignoredFields).toEqual(['text.format.description', 'text.format.schema']);
  });
});

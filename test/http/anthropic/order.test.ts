/** Bodies of the Messages API as orders. */
import { describe, expect, test } from 'vitest';
import { WorkerError } from '../../../src/contract/errors.ts';
import { MAX_NESTED_NAMES } from '../../../src/http/anthropic/ignored.ts';
import { messagesOrder } from '../../../src/http/anthropic/order.ts';
import { MAX_ELEMENTS } from '../../../src/http/dialect/bounded-lists.ts';
import type { GenerationOrder } from '../../../src/jobs/order.ts';
import type { Conversation } from '../../../src/text/template/conversation.ts';

const FACTS = { jobId: 'msg_1', model: 'haiku', limits: { promptChars: 100_000, maxTokens: 512 } };
const HELLO = { role: 'user', content: 'Hello' };
const WEATHER = { name: 'weather', description: 'Tells the weather', input_schema: { type: 'object' } };

const order = (body: object, headers = {}): GenerationOrder =>
  messagesOrder({ body: { messages: [HELLO], ...body }, headers }, FACTS).order;
const conversation = (body: object): Conversation => order(body).inputs[0] as Conversation;

/** The sentences of the error for a body. */
function refusal(body: object): string {
  try {
    order(body);
  } catch (error) {
    if (error instanceof WorkerError) return (error.violations ?? []).map(({ message }) => message).join('; ');
    throw error;
  }
  return 'accepted';
}

describe('messages', () => {
  test('become those of a conversation, with calls and their results', () => {
    const { messages, tools } = conversation({
      system: [
        { type: 'text', text: 'Be brief.', cache_control: { type: 'ephemeral' } },
        { type: 'text', text: 'Be kind.' },
      ],
      tools: [WEATHER, { type: 'custom', ...WEATHER, name: 'time' }],
      messages: [
        HELLO,
        {
          role: 'assistant',
          content: [
            { type: 'thinking', thinking: 'Look it up.', signature: 'x' },
            { type: 'redacted_thinking', data: 'x' },
            { type: 'text', text: 'I look.' },
            { type: 'tool_use', id: 'abc123def', name: 'weather', input: { city: 'Paris' } },
            { type: 'tool_use', id: 'other', name: 'time' },
          ],
        },
        {
          role: 'user',
          content: [
            { type: 'text', text: 'Then?' },
            { type: 'tool_result', tool_use_id: 'abc123def', content: 'Rain' },
            {
              type: 'tool_result',
              tool_use_id: 'other',
              content: [{ type: 'text', text: 'No clock' }],
              is_error: true,
            },
            { type: 'tool_result', tool_use_id: 'unknown' },
            { type: 'text', text: 'Tell me.' },
          ],
        },
        { role: 'system', content: 'New rule.' },
        { role: 'user', content: [{ type: 'tool_result', tool_use_id: 'other', content: '' }] },
      ],
    });
    expect(messages).toEqual([
      { role: 'system', content: 'Be brief.\nBe kind.' },
      { role: 'user', content: 'Hello' },
      {
        role: 'assistant',
        content: 'I look.',
        reasoning: 'Look it up.',
        toolCalls: [
          { id: 'abc123def', name: 'weather', arguments: '{"city":"Paris"}' },
          { id: 'other', name: 'time', arguments: '{}' },
        ],
      },
      { role: 'tool', content: 'Rain', toolCallId: 'abc123def', name: 'weather' },
      { role: 'tool', content: 'Error: No clock', toolCallId: 'other', name: 'time' },
      { role: 'tool', content: '', toolCallId: 'unknown' },
      { role: 'user', content: 'Then?\nTell me.' },
      { role: 'system', content: 'New rule.' },
      { role: 'tool', content: '', toolCallId: 'other', name: 'time' },
    ]);
    expect(tools?.map(({ name }) => name)).toEqual(['weather', 'time']);
    expect(tools?.[0]).toMatchObject({ description: 'Tells the weather', parameters: { type: 'object' } });
  });

  test('of the same author that follow each other become one; empty texts add nothing', () => {
    const call = (id: string) => ({ type: 'tool_use', id, name: 'weather', input: {} });
    const made = conversation({
      system: [{ type: 'text', text: '' }],
      messages: [
        HELLO,
        {
          role: 'user',
          content: [
            { type: 'text', text: '' },
            { type: 'text', text: 'Again' },
          ],
        },
        { role: 'assistant', content: [{ type: 'thinking', thinking: 'Hm' }, call('a')] },
        { role: 'assistant', content: [{ type: 'text', text: 'And' }, call('b')] },
        {
          role: 'user',
          content: [
            {
              type: 'tool_result',
              tool_use_id: 'a',
              content: [
                { type: 'text', text: 'Sun' },
                { type: 'text', text: '' },
              ],
            },
            { type: 'tool_result', tool_use_id: 'b', content: 'Rain' },
          ],
        },
        { role: 'user', content: 'So?' },
      ],
    });
    expect(made.messages).toEqual([
      { role: 'user', content: 'Hello\nAgain' },
      {
        role: 'assistant',
        content: 'And',
        reasoning: 'Hm',
        toolCalls: ['a', 'b'].map((id) => ({ id, name: 'weather', arguments: '{}' })),
      },
      { role: 'tool', content: 'Sun', toolCallId: 'a', name: 'weather' },
      { role: 'tool', content: 'Rain', toolCallId: 'b', name: 'weather' },
      { role: 'user', content: 'So?' },
    ]);
    expect(conversation({ system: '' }).messages).toEqual([HELLO]);
  });

  test.each([
    ['a text', 'Waves'],
    ['a block', [{ type: 'text', text: 'Waves' }]],
  ])('that end with %s of the assistant begin the answer', (_, content) => {
    const { messages, answerStart } = conversation({ messages: [HELLO, { role: 'assistant', content }] });
    expect({ messages, answerStart }).toEqual({ messages: [{ role: 'user', content: 'Hello' }], answerStart: 'Waves' });
  });

  test('that end with an empty text of the assistant do not', () => {
    expect(conversation({ messages: [HELLO, { role: 'assistant', content: '' }] }).answerStart).toBeUndefined();
  });
});

describe('parameters', () => {
  test('get the names of the order', () => {
    const made = order(
      {
        max_tokens: 32_000,
        stop_sequences: ['\n'],
        temperature: 1.5,
        top_p: 0.9,
        top_k: -1,
        min_p: 0.1,
        seed: -1,
        repetition_penalty: 1.1,
        min_tokens: 2,
        ignore_eos: true,
        timeout_ms: 500,
      },
      { 'x-deadline': '1800000000000' },
    );
    expect(made).toMatchObject({
      jobId: 'msg_1',
      maxTokens: 32_000,
      stop: ['\n'],
      sampling: { temperature: 1.5, topP: 0.9, topK: 0, minP: 0.1, seed: 2 ** 53 - 1, repetitionPenalty: 1.1 },
      minTokens: 2,
      ignoreEos: true,
      timeoutMs: 500,
      deadline: 1_800_000_000_000,
      onDisconnect: 'cancel',
      ignoredFields: [],
    });
  });

  test.each([
    [{}, {}],
    [{ thinking: { type: 'enabled', budget_tokens: 1024 } }, { enabled: true }],
    [{ thinking: { type: 'adaptive' } }, { enabled: true }],
    [{ thinking: { type: 'disabled' } }, { enabled: false }],
    [{ output_config: { effort: 'low' } }, { effort: 'low' }],
    [{ output_config: { effort: 'max', format: { type: 'text' } } }, { effort: 'high' }],
  ])('%j are the wish for reasoning %j', (body, reasoning) => {
    expect(order(body).toolUse?.reasoning).toEqual(reasoning);
  });

  test.each([
    [undefined, 'auto', true, 1],
    [{ type: 'auto', disable_parallel_tool_use: true }, 'auto', false, 1],
    [{ type: 'any' }, 'required', true, 1],
    [{ type: 'none' }, 'none', true, 0],
    [{ type: 'tool', name: 'weather' }, { name: 'weather' }, true, 1],
  ])('tool_choice %j is %j', (tool_choice, choice, parallel, tools) => {
    const made = order({ tools: [WEATHER], tool_choice });
    expect(made.toolUse).toMatchObject({ choice, parallel });
    expect((made.inputs[0] as Conversation).tools).toHaveLength(tools);
  });

  test('without effect are reported, each once', () => {
    const cached = { type: 'text', text: 'a', cache_control: { type: 'ephemeral' } };
    const made = order({
      model: 'claude-opus',
      metadata: { user_id: 'me' },
      service_tier: 'auto',
      container: 'x',
      context_management: null,
      thinking: { type: 'enabled', budget_tokens: 1024 },
      messages: [{ role: 'user', content: [cached, cached] }],
      tools: [WEATHER, { type: 'web_search_20250305', name: 'web_search' }],
    });
    expect(made.ignoredFields).toEqual([
      'container',
      'model',
      'metadata',
      'service_tier',
      'cache_control',
      'thinking.budget_tokens',
      'tools[1] (web_search_20250305)',
    ]);
    expect(order({ model: 'haiku' }).ignoredFields).toEqual([]);
  });

  test('inside of messages and tools are reported once each, without indices', () => {
    const cited = { type: 'text', text: 'a', citations: [], cache_control: null };
    const result = {
      type: 'tool_result',
      tool_use_id: 'x',
      content: [{ type: 'text', text: 'a', cache_control: {}, citations: [] }, { type: 'tool_reference' }],
    };
    const made = order({
      system: [cited],
      tools: [{ ...WEATHER, defer_loading: true }],
      messages: [{ role: 'user', content: [cited, cited, result], id: 1 }],
    });
    expect(made.ignoredFields).toEqual([
      'cache_control',
      'system[].citations',
      'messages[].id',
      'messages[].content[].citations',
      'messages[].content[].content[].citations',
      'messages[].content[].content[] (tool_reference)',
      'tools[].defer_loading',
    ]);
  });

  test('of the choices and wishes of a request are reported, with the fields that other types have', () => {
    const made = order({
      cache_control: { type: 'ephemeral' },
      thinking: { type: 'disabled', budget_tokens: 7, display: 'omitted', keep: null },
      tool_choice: { type: 'auto', name: 'weather', strict: true },
      output_config: { effort: 'low', task_budget: { total: 7 }, format: { type: 'text', schema: {} } },
      output_format: { type: 'text', name: 'x' },
      tools: [{ ...WEATHER, strict: true }],
      messages: [
        { role: 'user', content: [{ type: 'text', text: 'a', id: 'x', cache_control: {} }] },
        { role: 'assistant', content: [{ type: 'redacted_thinking', data: 'x' }] },
        { role: 'user', content: 'b' },
      ],
    });
    expect(made.ignoredFields).toEqual([
      'cache_control',
      'thinking.budget_tokens',
      'thinking.display',
      'tool_choice.name',
      'tool_choice.strict',
      'output_config.task_budget',
      'output_config.format.schema',
      'output_format.name',
      'messages[].content[].id',
      'messages[].content[] (redacted_thinking)',
    ]);
  });

  test('are reported up to a maximum', () => {
    const block = Object.fromEntries(Array.from({ length: 100 }, (_, at) => [`field${at}`, 1]));
    const made = order(user({ type: 'text', text: 'a', ...block }));
    expect(made.ignoredFields).toHaveLength(MAX_NESTED_NAMES);
  });
});

describe('unknown types', () => {
  test('of blocks are skipped and reported, also in the beginning of the answer', () => {
    const search = [
      { type: 'server_tool_use', id: 's', name: 'web_search', input: 'none' },
      { type: 'web_search_tool_result', tool_use_id: 's', content: [{ type: 'web_search_result', url: 'u' }] },
    ];
    const messages = [
      HELLO,
      { role: 'assistant', content: [...search, { type: 'text', text: 'Found.' }] },
      { role: 'user', content: [{ type: 'tool_result', tool_use_id: 'x', content: [{ type: 'tool_reference' }] }] },
      { role: 'assistant', content: [...search, { type: 'text', text: 'So' }] },
    ];
    expect(conversation({ messages })).toMatchObject({
      messages: [HELLO, { role: 'assistant', content: 'Found.' }, { role: 'tool', content: '', toolCallId: 'x' }],
      answerStart: 'So',
    });
    expect(order({ messages }).ignoredFields).toEqual([
      'messages[].content[] (server_tool_use)',
      'messages[].content[] (web_search_tool_result)',
      'messages[].content[].content[] (tool_reference)',
    ]);
  });

  test('of tools are skipped and reported, whatever fields they have', () => {
    const made = order({ tools: [{ type: 'mcp_toolset', mcp_server_name: 'x', name: 7 }, WEATHER] });
    expect(made.ignoredFields).toEqual(['tools[0] (mcp_toolset)']);
    expect((made.inputs[0] as Conversation).tools).toHaveLength(1);
  });
});

test.each([
  [0, 1],
  [-1, undefined],
  [null, undefined],
])('max_tokens %j is %j', (max_tokens, maxTokens) => {
  expect(order({ max_tokens }).maxTokens).toBe(maxTokens);
});

test('stop_sequences have as many texts as in the dialect of OpenAI', () => {
  const stop_sequences = Array(16).fill('🐝'.repeat(100));
  expect(order({ stop_sequences }).stop).toEqual(stop_sequences);
});

const user = (...content: object[]) => ({ messages: [{ role: 'user', content }] });

describe('a body is refused', () => {
  test.each([
    [
      user({ type: 'image', source: {} }),
      'messages[0].content[0].type must be text: this worker does not read blocks of the type image',
    ],
    [user({ type: 'document' }), 'messages[0].content[0].type must be text: .*document'],
    [user({ type: 'text' }), 'messages[0].content[0].text is required'],
    [user({ type: 'text', text: '\ud800' }), 'messages[0].content[0].text must be well-formed Unicode'],
    [user({ type: 'tool_use', id: 'a', name: 'b' }), 'messages[0].content[0] is of the type tool_use'],
    [user({ type: 'tool_result' }), 'messages[0].content[0].tool_use_id is required'],
    [
      user({ type: 'tool_result', tool_use_id: 'a', content: [{ type: 'image' }] }),
      'messages[0].content[0].content[0].type must be text: .*image',
    ],
    [{ messages: [{ role: 'user', content: 7 }] }, 'messages[0].content must be a string or an array, but is 7'],
    [{ messages: [{ role: 'user' }] }, 'messages[0].content is required'],
    [{ messages: [] }, 'messages must have at least 1 item'],
    [{ messages: null }, 'messages is required'],
    [{ messages: [{ role: 'assistant', content: 'a' }] }, 'messages must have a message of the user'],
    [
      { messages: [HELLO, { role: 'assistant', content: [{ type: 'tool_use', id: 'a', name: 'b' }] }] },
      'messages[1].content[0] must be of the type text',
    ],
    [{ temperature: 2.5 }, 'temperature must be at most 2, but is 2.5'],
    [{ max_tokens: 1.5 }, 'max_tokens must be a whole number, but is 1.5'],
    [
      user({ type: 'tool_result', tool_use_id: 'a', content: [{ type: 'text' }] }),
      'messages[0].content[0].content[0].text is required',
    ],
    [user({ type: '' }), 'messages[0].content[0].type must have at least 1 character'],
    [{ tools: [{ input_schema: {} }] }, 'tools[0].name is required'],
    [{ tools: [{ type: 'custom' }] }, 'tools[0].name is required'],
    [{ tools: [WEATHER, WEATHER] }, 'tools[1].name must differ from the names of the other functions'],
    [{ stop_sequences: Array(17).fill('a') }, 'stop_sequences must have at most 16 items'],
    [{ stop_sequences: ['x'.repeat(101)] }, 'stop_sequences[0] must be at most 100 characters'],
    [{ stop_sequences: ['', 'a'] }, 'stop_sequences[0] must have at least 1 character'],
    [{ tools: [{ ...WEATHER, name: 'x'.repeat(129) }] }, 'tools[0].name must have at most 128 characters'],
    [{ tool_choice: { type: 'any' } }, 'tool_choice any requires a function in tools'],
    [{ tools: [WEATHER], tool_choice: { type: 'tool' } }, 'tool_choice.name is required'],
    [{ tools: [WEATHER], tool_choice: { type: 'tool', name: 'x' } }, 'tool_choice.name must be the name of a'],
    [{ messages: Array(MAX_ELEMENTS + 1).fill(HELLO) }, `messages must have at most ${MAX_ELEMENTS} elements`],
    [{ messages: [{ role: 'user', content: 'x'.repeat(100_001) }] }, 'messages must have at most 100000 characters'],
  ])('%#: %j', (body, sentence) => {
    const pattern = sentence.replaceAll(/[[\]()]/g, '\\$&');
    expect(refusal(body)).toMatch(new RegExp(`^${pattern}`));
  });
});

describe('the form of the answer', () => {
  const schema = { type: 'object', properties: { b: { const: null }, a: {} } };
  const format = { type: 'json_schema', schema };
  const demanded = (field: string) => ({ format: { kind: 'schema', schema }, field });

  test.each([
    [{}, undefined],
    [{ output_config: { effort: 'low', format: null } }, undefined],
    [{ output_config: { format: { type: 'text' } }, output_format: {} }, undefined],
    [{ output_config: { format } }, demanded('output_config.format.schema')],
    [{ output_config: { format: { type: 'text' } }, output_format: format }, demanded('output_format.schema')],
    [{ tools: [WEATHER], output_config: { format } }, demanded('output_config.format.schema')],
  ])('%j', (body, expected) => {
    expect(order(body).format).toEqual(expected);
    expect(order(body).ignoredFields).toEqual([]);
  });

  test.each([
    [{ output_config: { format: { type: 'json_schema' } } }, 'output_config.format.schema is required'],
    [{ output_format: { type: 'json_schema', schema: 'x' } }, 'output_format.schema must be a JSON Schema: an object'],
    [{ output_format: { schema } }, 'output_format.type is required'],
    [
      { output_config: { format: { type: 'json_object' } } },
      'output_config.format.type must be text or json_schema, but is "json_object"',
    ],
    [
      { output_config: { format }, output_format: format },
      'output_config.format.schema and output_format.schema must not be used together',
    ],
    [
      { output_format: format, messages: [HELLO, { role: 'assistant', content: '{' }] },
      'output_format.schema must not be used with a last message of the assistant',
    ],
  ])('%j is refused', (body, sentence) => {
    expect(refusal(body)).toContain(sentence);
  });

  test('has no effect if the answer must be a call; the schemas of tools have places too', () => {
    const made = order({ tools: [WEATHER], tool_choice: { type: 'any' }, output_config: { format } });
    expect(made.format).toBeUndefined();
    expect(made.toolFields).toEqual(['tools[0].input_schema']);
    expect(made.ignoredFields).toEqual(['output_config.format.schema']);
  });

  test('has no other fields with an effect', () => {
    const made = order({ output_format: { ...format, name: 'x', strict: true } });
    expect(made.ignoredFields).toEqual(['output_format.name', 'output_format.strict']);
  });
});

/** What the parsers make of bodies: messages, tools, prompts, and the rules of the fields. */
import type { FastifyRequest } from 'fastify';
import { describe, expect, test } from 'vitest';
import { refusalOf } from '../../../src/contract/errors.ts';
import { CHAT_NAMES, ChatBody } from '../../../src/contract/openai/chat.ts';
import { COMPLETION_NAMES, CompletionBody } from '../../../src/contract/openai/completions.ts';
import { OPENAI_LIMITS } from '../../../src/contract/openai/fields.ts';
import { MAX_VIOLATIONS } from '../../../src/http/dialect/check.ts';
import { checkAll } from '../../../src/http/dialect/unknown-fields.ts';
import { chatOrder } from '../../../src/http/openai/chat/order.ts';
import { completionOrder } from '../../../src/http/openai/completions/order.ts';
import { MAX_LOGIT_BIASES } from '../../../src/protocol/logit-bias.ts';
import { HEAD } from './events.ts';

const requestOf = (body: object) => ({ headers: {}, body }) as unknown as FastifyRequest;
const chat = (more: object) => {
  const body = { messages: [{ role: 'user', content: 'Hello' }], ...more };
  return chatOrder(checkAll(ChatBody, CHAT_NAMES, body), HEAD, requestOf(body));
};
const completion = (more: object) => {
  const body = { prompt: 'Hello', ...more };
  return completionOrder(checkAll(CompletionBody, COMPLETION_NAMES, body), HEAD, requestOf(body));
};
/** The field and the sentence of the only violation. */
const refused = (make: () => unknown) => {
  const [violation, ...others] = refusalOf(make)?.violations ?? [];
  expect(others).toEqual([]);
  return [violation?.field, violation?.message];
};

describe('messages', () => {
  test('have their parts joined, their roles mapped, their calls and their reasoning kept', () => {
    const call = { id: 'abcdefghi', type: 'function', function: { name: 'look', arguments: '{"a": 1}' } };
    const { inputs, ignoredFields } = chat({
      messages: [
        {
          role: 'developer',
          content: [
            { type: 'text', text: 'Be ' },
            { type: 'input_text', text: 'brief' },
          ],
          name: null,
        },
        { role: 'user', content: 'Look', name: 'Ann', cache_control: { type: 'ephemeral' } },
        { role: 'assistant', content: null, tool_calls: [call], reasoning_content: 'Hm', reasoning: 'no' },
        { role: 'tool', content: [{ type: 'text', text: 'seen' }], tool_call_id: 'abcdefghi' },
        { role: 'assistant', content: [{ type: 'refusal', refusal: 'No' }], reasoning: 'Well', tool_calls: [] },
      ],
    });
    expect(inputs).toEqual([
      {
        messages: [
          { role: 'system', content: 'Be brief' },
          { role: 'user', content: 'Look', name: 'Ann' },
          {
            role: 'assistant',
            content: '',
            reasoning: 'Hm',
            toolCalls: [{ id: 'abcdefghi', name: 'look', arguments: '{"a": 1}' }],
          },
          { role: 'tool', content: 'seen', toolCallId: 'abcdefghi' },
          { role: 'assistant', content: 'No', reasoning: 'Well' },
        ],
      },
    ]);
    expect(ignoredFields).toEqual(['messages[].cache_control']);
  });

  test.each([
    [
      {
        role: 'user',
        content: [
          { type: 'text', text: 'a' },
          { type: 'image_url', image_url: {} },
        ],
      },
      'messages[0].content[1]',
      /"image_url"/,
    ],
    [{ role: 'user', content: [{ type: 'input_audio' }] }, 'messages[0].content[0]', /"input_audio"/],
    [{ role: 'user', content: [{ type: 'text' }] }, 'messages[0].content[0].text', /required/],
    [{ role: 'user' }, 'messages[0].content', /required/],
    [{ role: 'tool', content: null }, 'messages[0].content', /required/],
    [{ role: 'function', content: 'a', name: 'f' }, 'messages[0].role', /"function"/],
    [{ role: 'assistant', function_call: { name: 'f' } }, 'messages[0].function_call', /tool_calls/],
    [
      { role: 'user', content: 'a', tool_calls: [{ function: { name: 'f', arguments: '' } }] },
      'messages[0].tool_calls',
      /assistant/,
    ],
    [{ role: 'user', content: 'a\ud800' }, 'messages[0].content', /Unicode/],
    [{ role: 'user', content: 5 }, 'messages[0].content', /a text or an array of parts/],
  ])('%j is refused by name', (message, field, sentence) => {
    const [name, text] = refused(() => chat({ messages: [message] }));
    expect(name).toBe(field);
    expect(text).toMatch(sentence);
  });
});

describe('tools', () => {
  const look = {
    type: 'function',
    function: { name: 'look', parameters: { type: 'object', properties: { b: {}, a: {} } }, strict: true },
  };
  const jump = { type: 'function', function: { name: 'jump', description: null } };

  test('are the functions in the order of the request; other types are skipped and listed', () => {
    const { inputs, toolUse, toolFields, ignoredFields } = chat({
      tools: [{ type: 'web_search' }, look, jump],
      parallel_tool_calls: false,
    });
    expect(inputs).toMatchObject([{ tools: [look.function, { name: 'jump' }] }]);
    expect(JSON.stringify(inputs)).toContain('{"b":{},"a":{}}');
    expect(toolUse).toMatchObject({ choice: 'auto', parallel: false });
    expect(ignoredFields).toEqual(['tools[0] (web_search)']);
    expect(toolFields).toEqual(['tools[1].function.parameters', 'tools[2].function.parameters']);
  });

  test('are not offered with tool_choice none; without tools the output may still have reasoning', () => {
    expect(chat({ tools: [look], tool_choice: 'none' })).toMatchObject({ toolUse: { choice: 'none', parallel: true } });
    expect(chat({ tools: [look], tool_choice: 'none' }).inputs[0]).not.toHaveProperty('tools');
    expect(chat({}).toolUse).toMatchObject({ choice: 'auto', parallel: true, reasoning: {} });
  });

  test('can be required or named', () => {
    expect(chat({ tools: [look], tool_choice: 'required' }).toolUse?.choice).toBe('required');
    const tool_choice = { type: 'function', function: { name: 'jump' } };
    expect(chat({ tools: [look, jump], tool_choice }).toolUse?.choice).toEqual({ name: 'jump' });
  });

  test.each([
    [
      { tools: [look], tool_choice: { type: 'function', function: { name: 'fly' } } },
      'tool_choice.function.name',
      /"fly"/,
    ],
    [{ tool_choice: 'required' }, 'tool_choice', /without a function/],
    [{ tools: [look], tool_choice: 'always' }, 'tool_choice', /none, auto, required/],
    [{ tools: [look, look] }, 'tools[1].function.name', /differ/],
    [{ tools: [{ type: 'function' }] }, 'tools[0].function', /required/],
    [{ tools: [{ type: 'function', function: { name: 'a b' } }] }, 'tools[0].function.name', /letters, digits/],
    [
      { tools: [{ type: 'function', function: { name: 'a', parameters: [] } }] },
      'tools[0].function.parameters',
      /object|record/,
    ],
  ])('%j is refused', (body, field, sentence) => {
    const [name, text] = refused(() => chat(body));
    expect(name).toBe(field);
    expect(text).toMatch(sentence);
  });
});

describe('fields of a chat', () => {
  test('null counts as absent everywhere', () => {
    const nulls = Object.fromEntries([...CHAT_NAMES].filter((name) => name !== 'messages').map((name) => [name, null]));
    expect(chat(nulls)).toEqual(chat({}));
  });

  test('null counts as absent inside of objects too', () => {
    const content = [{ type: 'text', text: 'Hello', refusal: null }];
    expect(chat({ messages: [{ role: 'user', content }] })).toEqual(chat({}));
    expect(chat({ response_format: { type: null, json_schema: null } })).toEqual(chat({}));
    expect(chat({ logit_bias: { '5': null, '6': 2 } }).logitBias).toEqual([[6, 2]]);
  });

  test.each([
    [{ max_tokens: 0 }, 1],
    [{ max_tokens: -1 }, undefined],
    [{ max_completion_tokens: -1, max_tokens: 7 }, 7],
    [{ max_completion_tokens: 0, max_tokens: 7 }, 1],
  ])('%j: no maximum is refused', (body, maxTokens) => {
    expect(chat(body).maxTokens).toBe(maxTokens);
  });

  test.each([
    [2 ** 53 - 1, 2 ** 53 - 1],
    [2 ** 53, 0],
    [2 ** 53 + 6, 6],
    [-(2 ** 53), 0],
    [-(2 ** 53) - 6, 2 ** 53 - 6],
    [1e300, 1e300 % 2 ** 53],
  ])('the seed %d is reduced to %d', (seed, reduced) => {
    expect(chat({ seed }).sampling).toStrictEqual({ seed: reduced });
  });

  test('max_completion_tokens wins over max_tokens, and any number is accepted', () => {
    expect(chat({ max_tokens: 5, max_completion_tokens: 32_000 }).maxTokens).toBe(32_000);
    expect(chat({ max_tokens: 5 }).maxTokens).toBe(5);
  });

  test('reach the order under their neutral names', () => {
    const order = chat({
      ...{ n: 3, seed: -1, top_k: -1, min_p: 0.1, repetition_penalty: 1.1, ignore_eos: true, min_tokens: 2 },
      ...{
        stop: ['a', ''],
        logit_bias: { '7': -100 },
        logprobs: true,
        top_logprobs: 4,
        timeout_ms: 900,
        template: 't',
      },
    });
    expect(order).toMatchObject({
      choices: 3,
      sampling: { seed: 2 ** 53 - 1, topK: 0, minP: 0.1, repetitionPenalty: 1.1 },
      ignoreEos: true,
      minTokens: 2,
      stop: ['a'],
      logitBias: [[7, -100]],
      logprobs: 4,
      timeoutMs: 900,
      template: 't',
      onDisconnect: 'cancel',
      jobId: HEAD.id,
    });
    expect(chat({ logprobs: true }).logprobs).toBe(0);
    expect(chat({ logprobs: false, top_logprobs: 0, stop: '' })).toMatchObject({ logprobs: undefined, stop: [] });
  });

  test('reasoning_effort and enable_thinking are the wish for reasoning; the variables of the template are kept', () => {
    expect(chat({ reasoning_effort: 'low', enable_thinking: true }).toolUse?.reasoning).toEqual({
      enabled: true,
      effort: 'low',
    });
    const { inputs } = chat({ chat_template_kwargs: { enable_thinking: true, style: 'x' } });
    expect(inputs).toMatchObject([{ variables: { enable_thinking: true, style: 'x' } }]);
    expect(chat({}).inputs[0]).not.toHaveProperty('variables');
  });

  test('without an effect are listed: unknown ones, harmless ones, and another model', () => {
    const { ignoredFields } = chat({ model: 'gpt-4o', user: 'me', store: true, best_of: 1, stream_options: {} });
    expect([...ignoredFields].sort()).toEqual(['best_of', 'model', 'store', 'stream_options', 'user']);
    expect(
      chat({ model: HEAD.model, stream: true, stream_options: {}, response_format: { type: 'text' } }).ignoredFields,
    ).toEqual([]);
  });

  test.each([
    [{ functions: [{ name: 'f' }] }, 'functions', /use tools/],
    [{ function_call: 'auto' }, 'function_call', /tool_choice/],
    [{ chat_template: '{{ x }}' }, 'chat_template', /template/],
    [{ modalities: ['text', 'audio'] }, 'modalities[1]', /text/],
    [{ top_logprobs: 2 }, 'top_logprobs', /requires logprobs/],
    [{ logprobs: true, top_logprobs: 21 }, 'top_logprobs', /at most 20/],
    [{ n: 17 }, 'n', /at most 16/],
    [{ n: 0 }, 'n', /at least 1/],
    [{ temperature: 2.5 }, 'temperature', /at most 2.*2\.5/],
    [{ seed: 1.5 }, 'seed', /a whole number, but is 1\.5/],
    [{ stop: Array(17).fill('a') }, 'stop', /at most 16 items/],
    [{ stop: 'x'.repeat(101) }, 'stop', /at most 100 characters/],
    [{ stop: ['a', 5] }, 'stop[1]', /a string/],
    [{ min_tokens: 9, max_tokens: 5 }, 'min_tokens', /at most the maximum/],
    [{ logit_bias: { hello: 1 } }, 'logit_bias', /must be an object of at most 1024 token ids/],
    [{ logit_bias: { '007': 1 } }, 'logit_bias', /token ids/],
    [{ logit_bias: { '7': 101 } }, 'logit_bias', /from -100 to 100$/],
    [{ logit_bias: biases(MAX_LOGIT_BIASES + 1) }, 'logit_bias', /at most 1024/],
    [{ logit_bias: [] }, 'logit_bias', /must be an object$/],
    [{ messages: [] }, 'messages', /^messages must have at least 1 item$/],
    [{ tool_choice: 'any' }, 'tool_choice', /auto, required, or {type: function, function: {name}}, but is "any"$/],
    [{ tool_choice: { type: 'function' } }, 'tool_choice', /or {type: function, function: {name}}$/],
    [{ chat_template_kwargs: 'x' }, 'chat_template_kwargs', /must be an object$/],
  ])('%j is refused by name', (body, field, sentence) => {
    const [name, text] = refused(() => chat(body));
    expect(name).toBe(field);
    expect(text).toMatch(sentence);
  });
});

test('as many biases as the engine takes are accepted', () => {
  expect(chat({ logit_bias: biases(MAX_LOGIT_BIASES) }).logitBias).toHaveLength(MAX_LOGIT_BIASES);
});

/** As many different ids, each with a bias. */
function biases(count: number): Record<string, number> {
  return Object.fromEntries(Array.from({ length: count }, (_, id) => [String(id), 1]));
}

describe('limits', () => {
  const user = { role: 'user', content: 'Hello' };
  const call = { id: 'a', function: { name: 'f', arguments: '{}' } };
  const tool = (name: string) => ({ type: 'function', function: { name } });
  const named = (count: number) => Array.from({ length: count }, (_, index) => tool(`f${index}`));
  const many = OPENAI_LIMITS;

  test.each([
    ['messages', (count: number) => ({ messages: Array(count).fill(user) }), many.messages],
    [
      'messages[0].content',
      (count: number) => chatOf({ content: Array(count).fill({ type: 'text', text: '' }) }),
      many.parts,
    ],
    [
      'messages[0].tool_calls',
      (count: number) => chatOf({ role: 'assistant', tool_calls: Array(count).fill(call) }),
      many.calls,
    ],
    ['tools', (count: number) => ({ tools: named(count) }), many.tools],
    ['tools[0].function.name', (count: number) => ({ tools: [tool('f'.repeat(count))] }), many.nameChars],
    ['model', (count: number) => ({ model: 'm'.repeat(count) }), many.valueChars],
    [
      'messages[0].tool_calls[0].id',
      (count: number) => chatOf({ role: 'assistant', tool_calls: [{ ...call, id: 'i'.repeat(count) }] }),
      many.valueChars,
    ],
  ])('%s', (field, bodyOf, most) => {
    expect(refusalOf(() => chat(bodyOf(most)))).toBeUndefined();
    expect(refused(() => chat(bodyOf(most + 1)))[0]).toBe(field);
  });

  test('an error has at most twenty violations', () => {
    const wrong = { messages: Array(100).fill({ role: 'nobody', content: 'Hello' }) };
    expect(refusalOf(() => chat(wrong))?.violations).toHaveLength(MAX_VIOLATIONS);
  });

  /** A body whose only message has more fields. */
  function chatOf(more: object): object {
    return { messages: [{ ...user, ...more }] };
  }
});

describe('prompts', () => {
  const raw = (prompt: string) => ({ prompt, raw: true, addSpecialTokens: true });
  test.each([
    ['a', [raw('a')]],
    [
      ['a', 'b'],
      [raw('a'), raw('b')],
    ],
    [[1, 2], [{ ids: [1, 2] }]],
    [
      [[1], [2, 3]],
      [{ ids: [1] }, { ids: [2, 3] }],
    ],
  ])('%j', (prompt, inputs) => {
    expect(completion({ prompt }).inputs).toEqual(inputs);
  });

  test('without special tokens', () => {
    expect(completion({ add_special_tokens: false }).inputs).toEqual([
      { prompt: 'Hello', raw: true, addSpecialTokens: false },
    ]);
  });

  test.each([
    [null, 'prompt', /required/],
    [[], 'prompt', /at least one/],
    [{}, 'prompt', /a text, a list/],
    [['a', 1], 'prompt[1]', /a text/],
    [[1, 'a'], 'prompt[1]', /a token id/],
    [[1.5], 'prompt[0]', /a token id/],
    [[-1], 'prompt[0]', /a token id/],
    [[[1], []], 'prompt[1]', /at least one/],
    [[[1], 2], 'prompt[1]', /a list of token ids/],
    ['a\udc00', 'prompt', /Unicode/],
    [Array(129).fill('a'), 'prompt', /at most 128/],
  ])('%j is refused by name', (prompt, field, sentence) => {
    const [name, text] = refused(() => completion({ prompt }));
    expect(name).toBe(field);
    expect(text).toMatch(sentence);
  });
});

describe('fields of a completion', () => {
  test('the default maximum is that of OpenAI', () => {
    expect(completion({}).maxTokens).toBe(16);
  });

  test('echo with logprobs asks for the scores of the prompt; the only token is reported also if it is an end', () => {
    // The body of lm-evaluation-harness.
    const order = completion({ prompt: [[1, 2]], max_tokens: 1, echo: true, logprobs: 1, temperature: 0, seed: 1234 });
    expect(order).toMatchObject({ promptLogprobs: 1, logprobs: 1, maxTokens: 1, ignoreEos: true });
    expect(completion({ echo: true }).promptLogprobs).toBeUndefined();
    expect(completion({ logprobs: 1 })).toMatchObject({ promptLogprobs: undefined, ignoreEos: undefined });
  });

  test.each([
    [{ suffix: 'end' }, 'suffix', /not supported/],
    [{ prompt_logprobs: 1 }, 'prompt_logprobs', /echo and logprobs/],
    [{ best_of: 2 }, 'best_of', /1 or n/],
    [{ logprobs: 21 }, 'logprobs', /at most 20/],
    [{ prompt: Array(9).fill('a'), n: 16 }, 'prompt', /144/],
  ])('%j is refused by name', (body, field, sentence) => {
    const [name, text] = refused(() => completion(body));
    expect(name).toBe(field);
    expect(text).toMatch(sentence);
  });

  test.each([
    [{ max_tokens: 0 }, 1],
    [{ max_tokens: 0, echo: true }, 0],
    [{ max_tokens: -1 }, 16],
    [{ max_tokens: -1, echo: true }, 16],
  ])('%j: no maximum is refused', (body, maxTokens) => {
    expect(completion(body).maxTokens).toBe(maxTokens);
  });

  test('an empty suffix, best_of as n, and max_tokens 0 with echo are accepted', () => {
    expect(completion({ suffix: '', best_of: 2, n: 2, max_tokens: 0, echo: true })).toMatchObject({
      maxTokens: 0,
      choices: 2,
    });
  });
});

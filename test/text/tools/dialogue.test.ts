/** Conversations as templates accept them: system messages, tools without a template, choices, earlier calls. */
import { describe, expect, it } from 'vitest';
import type { ChatMessage, Conversation } from '../../../src/text/template/conversation.ts';
import { prepareDialogue } from '../../../src/text/tools/dialogue.ts';
import { reasoningVariables } from '../../../src/text/tools/output-profile.ts';
import { profileOf } from '../../../src/text/tools/profile.ts';
import type { ToolUse } from '../../../src/text/tools/tool-use.ts';
import { FAMILIES, familyTemplate, readAll, TIME, TOOLS, templateOf } from './families.ts';

const AUTO: ToolUse = { choice: 'auto', parallel: true };

function prepared(name: string, conversation: Conversation, toolUse = AUTO) {
  const template = familyTemplate(name);
  const dialogue = prepareDialogue(profileOf(template), template, conversation, toolUse);
  return { ...dialogue, prompt: template.render(dialogue.conversation) };
}
const user: ChatMessage = { role: 'user', content: 'Q' };
const answer: ChatMessage = { role: 'assistant', content: 'A' };
const system = (content: string, role = 'system'): ChatMessage => ({ role, content });

describe('system messages', () => {
  const many = [system('one', 'developer'), system('two'), user, answer, system('late'), user];

  it('stay at their places if the template accepts them', () => {
    const { conversation } = prepared('plain', { messages: many });
    expect(conversation.messages.map(({ role }) => role)).toEqual([
      ...['system', 'system', 'user', 'assistant', 'system', 'user'],
    ]);
  });

  it('become one if the template accepts one', () => {
    const { conversation, prompt } = prepared('qwen3-coder', { messages: many });
    expect(conversation.messages[0]).toEqual(system('one\n\ntwo\n\nlate'));
    expect(conversation.messages.map(({ role }) => role)).toEqual(['system', 'user', 'assistant', 'user']);
    expect(prompt).toContain('late<|im_end|>');
  });

  it('are a part of the first question if the template accepts none', () => {
    const { prompt } = prepared('strict', { messages: [system('be brief'), user, answer, user] });
    expect(prompt).toContain('user\nbe brief\n\nQ<end_of_turn>');
  });
});

describe('tools', () => {
  it('are passed to a template that lists them', () => {
    expect(prepared('hermes', { messages: [user], tools: TOOLS }).conversation.tools).toBe(TOOLS);
  });

  it('are left out with the choice none', () => {
    const { conversation, markers, prompt } = prepared(
      'hermes',
      { messages: [user], tools: TOOLS },
      { choice: 'none', parallel: true },
    );
    expect(conversation.tools).toBeUndefined();
    expect(markers).toEqual(['<think>', '</think>']);
    expect(prompt).not.toContain('get_time');
  });

  it('are described in the system message for a template without tools', () => {
    const { conversation, prompt } = prepared('plain', { messages: [system('S'), user], tools: [TIME] });
    expect(conversation.tools).toBeUndefined();
    expect(prompt).toContain('<|im_start|>system\nS\n\nYou can call functions.');
    expect(prompt).toContain(JSON.stringify(TIME.name));
    expect(prompt).toContain('{"tool_calls": [{"name":');
    expect(prepared('strict', { messages: [user], tools: [TIME] }).prompt).toContain('user\nYou can call functions.');
  });

  it('are a part of the system message for Phi-4-mini', () => {
    const { prompt } = prepared('phi4-mini', { messages: [system('S'), user], tools: [TIME] });
    expect(prompt).toMatch(/^<\|system\|>S<\|tool\|>\[\{"name":"get_time".*\}\]<\|\/tool\|><\|end\|>/);
  });
});

describe('earlier calls', () => {
  const calls = [
    { id: 'call_1', name: 'get_time', arguments: '{"zone":"UTC"}' },
    { id: 'call_2', name: 'get_time', arguments: '{"zone":"CET"}' },
  ];
  const results: ChatMessage[] = [
    { role: 'tool', content: '10', toolCallId: 'call_1' },
    { role: 'tool', content: '11', toolCallId: 'call_2' },
  ];
  const messages: ChatMessage[] = [user, { role: 'assistant', content: '', toolCalls: calls }, ...results];

  it('are texts for a template without tools, and the roles take turns', () => {
    const { conversation } = prepared('strict', { messages: [...messages, user], tools: TOOLS });
    expect(conversation.messages.map(({ role }) => role)).toEqual(['user', 'assistant', 'user']);
    expect(conversation.messages[1]?.content).toBe(
      '{"tool_calls": [{"name": "get_time", "arguments": {"zone":"UTC"}}, {"name": "get_time", "arguments": {"zone":"CET"}}]}',
    );
    expect(conversation.messages[2]?.content).toBe('Result of get_time:\n10\n\nResult of get_time:\n11\n\nQ');
  });

  it('are written in the format of the family if its template shows none', () => {
    expect(prepared('lfm2', { messages, tools: TOOLS }).prompt).toContain(
      '<|tool_call_start|>[get_time(zone="UTC"), get_time(zone="CET")]<|tool_call_end|><|im_end|>',
    );
    expect(prepared('phi4-mini', { messages, tools: TOOLS }).prompt).toContain('functools[{"name": "get_time"');
  });

  it('are divided for a template with one call in an answer', () => {
    const { conversation } = prepared('llama-json', { messages, tools: TOOLS });
    expect(conversation.messages.map(({ role }) => role)).toEqual(['user', 'assistant', 'tool', 'assistant', 'tool']);
    expect(conversation.messages[4]?.content).toBe('11');
  });

  it('are divided with each result once, and results of other calls at the end', () => {
    const repeated = calls.map((call) => ({ ...call, id: 'same' }));
    const results: ChatMessage[] = ['same', 'other', 'same'].map((toolCallId, at) => {
      return { role: 'tool', content: `${at}`, toolCallId };
    });
    const messages = [user, { role: 'assistant', content: '', toolCalls: repeated }, ...results, user];
    const { conversation } = prepared('llama-json', { messages, tools: TOOLS });
    expect(conversation.messages.map(({ role, content }) => (role === 'tool' ? content : role))).toEqual([
      ...['user', 'assistant', '0', '2', 'assistant', '1', 'user'],
    ]);
  });

  it('are divided in linear time', () => {
    let reads = 0;
    const many = Array.from({ length: 1_000 }, (_, at) => ({ id: `call_${at}`, name: 'get_time', arguments: '{}' }));
    const results = many.map(({ id }) => ({
      role: 'tool',
      content: '1',
      get toolCallId() {
        reads += 1;
        return id;
      },
    }));
    const template = familyTemplate('llama-json');
    const messages = [user, { role: 'assistant', content: '', toolCalls: many }, ...results];
    const { conversation } = prepareDialogue(profileOf(template), template, { messages, tools: TOOLS }, AUTO);
    expect(conversation.messages).toHaveLength(2_001);
    expect(reads).toBeLessThan(5 * many.length);
  });

  it('have ids with their names for Kimi K2', () => {
    const { prompt } = prepared('kimi-k2', { messages, tools: TOOLS });
    expect(prompt).toContain('<|tool_call_begin|>functions.get_time:0<|');
    expect(prompt).toContain('## Return of functions.get_time:1\n11');
  });
});

describe('a required call', () => {
  it('closes a reasoning that the prompt opens, as the family does', () => {
    const conversation = { messages: [user], tools: TOOLS };
    const { prompt } = prepared('qwen3-coder', conversation, { choice: 'required', parallel: true });
    expect(prompt.endsWith('assistant\n<think>\n\n</think>\n\n<tool_call>\n<function=')).toBe(true);
  });

  it('is returned with the first push, for every output', () => {
    const conversation = { messages: [user], tools: TOOLS };
    const { parser, prompt } = prepared('hermes', conversation, { choice: { name: 'get_time' }, parallel: true });
    expect(prompt.endsWith('<tool_call>\n{"name": "get_time", "arguments":')).toBe(true);
    const [one, other] = [parser(), parser()];
    expect(one.push(' {"zo')).toMatchObject([
      { kind: 'call', index: 0, name: 'get_time' },
      { kind: 'arguments', index: 0, text: '{"zo' },
    ]);
    expect(readAll(other, [' {}}'])).toMatchObject({ content: '', calls: [{ name: 'get_time', arguments: '{}' }] });
  });

  it.each(FAMILIES.map(({ name }) => name))('of %s leaves only generated text if the model writes no call', (name) => {
    const conversation = { messages: [user], tools: TOOLS };
    const { parser } = prepared(name, conversation, { choice: 'required', parallel: true });
    const expected = { content: 'I cannot do that.', reasoning: '', calls: [] };
    expect(readAll(parser(), ['I cannot do that.'])).toMatchObject(expected);
    expect(readAll(parser(), [...'I cannot do that.'])).toMatchObject(expected);
    expect(readAll(parser(), [])).toMatchObject({ content: '', calls: [] });
  });
});

describe('the reasoning of a prompt', () => {
  it('depends on the variables of the request', () => {
    const variables = { enable_thinking: false };
    const open = prepared('qwen3-coder', { messages: [user] }).parser();
    const closed = prepared('qwen3-coder', { messages: [user], variables }).parser();
    expect([open.reasoning, closed.reasoning]).toEqual([true, false]);
    expect(readAll(closed, ['Yes.'])).toMatchObject({ content: 'Yes.', reasoning: '' });
    const thinking = prepared('deepseek-v31', { messages: [user], variables: { thinking: true } }).parser();
    expect(readAll(thinking, ['Hm.', '</think>', '\n\nYes.'])).toMatchObject({ content: 'Yes.', reasoning: 'Hm.' });
  });

  it('depends on the last message', () => {
    const call = { id: 'abcdefgh1', name: 'get_time', arguments: '{}' };
    const messages: ChatMessage[] = [
      user,
      { role: 'assistant', content: '', toolCalls: [call] },
      { role: 'tool', content: '10', toolCallId: call.id },
    ];
    const { parser } = prepared('deepseek-v31', { messages, variables: { thinking: true } });
    expect(parser().reasoning).toBe(false);
  });

  it('is what the template prefers without variables', () => {
    const { parser } = prepared('r1', { messages: [user] });
    expect(readAll(parser(), ['a', '\n</think>', '\n\nb'])).toMatchObject({ content: 'b', reasoning: 'a' });
    expect(readAll(parser(), ['<think>\na\n</think>\n\nb'])).toMatchObject({ content: 'b', reasoning: 'a' });
  });
});

describe('a wish about the reasoning', () => {
  it('reaches the template by the variables that it reads', () => {
    const of = (name: string) => profileOf(familyTemplate(name));
    expect(reasoningVariables(of('hermes'), { enabled: false })).toEqual({ enable_thinking: false });
    expect(reasoningVariables(of('hermes'), { effort: 'none' })).toEqual({ enable_thinking: false });
    expect(reasoningVariables(of('deepseek-v31'), { effort: 'high' })).toEqual({ thinking: true });
    expect(reasoningVariables(of('harmony'), { effort: 'low' })).toEqual({ reasoning_effort: 'low' });
    expect(reasoningVariables(of('plain'), { enabled: true, effort: 'low' })).toEqual({});
    expect(reasoningVariables(of('hermes'), {})).toEqual({});
  });
});

describe('a template that refuses every probe', () => {
  it('has the generic profile', () => {
    const template = templateOf("{{ raise_exception('no') }}");
    const profile = profileOf(template);
    expect(profile).toMatchObject({ toolList: 'generic', system: 'none' });
    expect(() => prepareDialogue(profile, template, { messages: [user], tools: TOOLS }, AUTO)).not.toThrow();
  });
});

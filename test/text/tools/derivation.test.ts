/** Unusual templates: arguments as texts, and templates that are made to be slow. */
import { afterEach, describe, expect, it, vi } from 'vitest';
import type { ChatMessage } from '../../../src/text/template/conversation.ts';
import { MAX_CALLS_UNITS } from '../../../src/text/tools/deriving/call-format.ts';
import { MAX_PROBES_MS } from '../../../src/text/tools/deriving/probes.ts';
import { prepareDialogue } from '../../../src/text/tools/dialogue.ts';
import { profileOf } from '../../../src/text/tools/profile.ts';
import { readAll, TOOLS, templateOf } from './families.ts';

const AUTO = { choice: 'auto', parallel: true } as const;

/** @param call writes one call, with the variable `call` */
const template = (call: string, before = '') =>
  templateOf(
    `${before}{{ tools | tojson if tools }}{% for turn in messages %}{{ '<|' ~ turn.role ~ '|>' ~ turn.content }}` +
      `{% for call in turn.tool_calls or [] %}${call}{% endfor %}{{ '<|end|>' }}{% endfor %}{{ '<|assistant|>' }}`,
  );

describe('a template that takes the arguments as a text', () => {
  const fenced = `{{ '<|calls|>' if loop.first }}{{ '<|call|>' + call.type + '<|sep|>' + call.function.name + '\n\`\`\`json\n' + call.function.arguments + '\n\`\`\`<|call_end|>' }}{{ '<|calls_end|>' if loop.last }}`;
  const json = (operator: string): string =>
    `{{ '<tool_call>{"name": "' ${operator} call.function.name ${operator} '", "arguments": ' ${operator} call.function.arguments ${operator} '}</tool_call>' }}`;

  it.each([
    ['and refuses objects', template(json('+')), 'json'],
    ['and writes objects as Python does', template(json('~')), 'json'],
    ['in a block of code, as the first templates of DeepSeek V3', template(fenced), 'named'],
  ])('%s', (_, one, style) => {
    const profile = profileOf(one);
    expect(profile).toMatchObject({ calls: { style, parallel: true }, writesCalls: true, textArguments: true });
    const messages: ChatMessage[] = [
      { role: 'user', content: 'Q' },
      {
        role: 'assistant',
        content: '',
        toolCalls: [
          { id: 'abcdefgh1', name: 'get_time', arguments: '{"zone":"UTC"}' },
          { id: 'abcdefgh2', name: 'get_time', arguments: '' },
        ],
      },
    ];
    const dialogue = prepareDialogue(profile, one, { messages, tools: TOOLS }, AUTO);
    const answer = one.render(dialogue.conversation).split('<|assistant|>')[1] ?? '';
    const read = readAll(dialogue.parser(), [answer.replace('<|end|>', '')]);
    expect(read).toEqual({
      ...{ content: '', reasoning: '', unparsed: 0 },
      calls: [
        { name: 'get_time', arguments: '{"zone":"UTC"}' },
        { name: 'get_time', arguments: '{}' },
      ],
    });
  });

  it('is not one that takes both', () => {
    const both = '(call.function.arguments if call.function.arguments is string else call.function.arguments | tojson)';
    const profile = profileOf(template(`{{ '<c>' ~ call.function.name ~ '<sep>' ~ ${both} ~ '</c>' }}`));
    expect(profile).toMatchObject({ textArguments: false, writesCalls: true });
  });
});

describe('a template that is made to be slow', () => {
  afterEach(() => vi.restoreAllMocks());

  it('with many brackets costs few attempts to read JSON', () => {
    const many = MAX_CALLS_UNITS / 2 - 200;
    const parse = vi.spyOn(JSON, 'parse');
    const { toolList } = profileOf(
      template(`{{ "${'{'.repeat(many)}" ~ call.function.name ~ " zqkeya " ~ "${'}'.repeat(many)}" }}`),
    );
    expect(toolList).toBe('generic');
    expect(parse.mock.calls.length).toBeLessThan(500);
  });

  it('with more text than calls have gets the generic format', () => {
    const call = (length: number) =>
      template(
        `{{ '<c>' ~ call.function.name ~ ${JSON.stringify(' '.repeat(length))} ~ call.function.arguments | tojson ~ '</c>' }}`,
      );
    expect(profileOf(call(10)).toolList).toBe('template');
    expect(profileOf(call(MAX_CALLS_UNITS)).toolList).toBe('generic');
  });

  it('is rendered until the time of all renderings is used up', () => {
    let now = 0;
    vi.spyOn(performance, 'now').mockImplementation(() => {
      now += MAX_PROBES_MS / 4;
      return now;
    });
    const slow = template('{{ call.function.name ~ call.function.arguments | tojson }}');
    const render = vi.spyOn(slow, 'render');
    expect(profileOf(slow).toolList).toBe('generic');
    expect(render.mock.calls.length).toBeLessThan(5);
  });
});

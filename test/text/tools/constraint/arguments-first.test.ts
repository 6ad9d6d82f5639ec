/** Templates that write the arguments or the id of a call before its name: a grammar writes the name first. */
import { describe, expect, it } from 'vitest';
import type { OutputUse } from '../../../../src/text/tools/dialogue.ts';
import { prepareDialogue } from '../../../../src/text/tools/dialogue.ts';
import { profileOf } from '../../../../src/text/tools/profile.ts';
import { randomNumbers } from '../../../support/grammar/random-tokens.ts';
import { recognizes } from '../../../support/grammar/recognizer.ts';
import { readAll, TOOLS, templateOf, WEATHER } from '../families.ts';
import { programOf, textOf } from './grammar.ts';
import { valid } from './tools.ts';

const template = (open: string, call: string, close: string) =>
  templateOf(
    `{{ tools | tojson if tools }}{% for turn in messages %}{{ '<|' ~ turn.role ~ '|>' ~ turn.content }}` +
      `{% for call in turn.tool_calls or [] %}{{ '${open}' ~ (${call}) ~ '${close}' }}{% endfor %}` +
      `{{ '<|end|>' }}{% endfor %}{{ '<|assistant|>' }}`,
  );
const INPUT = 'call.function.arguments | tojson';
const FIRST = `'{"input": ' ~ (${INPUT}) ~ ', "tool": "' ~ call.function.name ~ '"}'`;
const NESTED = `'{"id": "' ~ call.id ~ '", "function": {"name": "' ~ call.function.name ~ '", "arguments": ' ~ (${INPUT}) ~ '}}'`;
const messages = [{ role: 'user', content: 'Q' }];
const STRICT = TOOLS.map((tool) => ({ ...tool, strict: true }));

describe.each([
  ['with markers, arguments first', template('<tool_call>', FIRST, '</tool_call>'), ['tool', 'input']],
  ['without markers, arguments first', template('', FIRST, ''), ['tool', 'input']],
  ['with markers, id first', template('<tool_call>', NESTED, '</tool_call>'), ['name', 'arguments']],
])('calls %s', (_, one, [name = '', values = '']) => {
  const profile = profileOf(one);
  const prepared = (use: Omit<OutputUse, 'parallel'>, tools = TOOLS) => {
    const { parser, conversation, grammar } = prepareDialogue(
      profile,
      one,
      { messages, tools },
      { ...use, parallel: true },
    );
    if (!grammar) throw new Error('The output is free.');
    const program = programOf({ ...grammar, specialIds: {} }, []);
    return { parser, answerStart: conversation.answerStart, program };
  };

  it('begin with the name, and with no text of a probe', () => {
    const { answerStart } = prepared({ choice: 'required' });
    expect(answerStart).toBe(`${profile.calls.callOpen}{"${name}": "`);
    const named = prepared({ choice: { name: 'get_time' } }).answerStart;
    expect(named).toBe(`${answerStart}get_time", "${values}":`);
  });

  it.each(['required', { name: 'get_weather' }] as const)('have arguments of the schema if demanded: %j', (choice) => {
    const { program, parser } = prepared({ choice });
    const random = randomNumbers(5);
    for (let count = 0; count < 20; count += 1) {
      const text = textOf({ program, tokens: new Map() } as never, random);
      const { calls, content, unparsed } = readAll(parser(), [text], true);
      expect({ text, content, unparsed }).toEqual({ text, content: '', unparsed: 0 });
      expect(calls.length).toBeGreaterThan(0);
      for (const call of calls) {
        const tool = TOOLS.find((known) => known.name === call.name);
        expect({ text, valid: valid(tool, JSON.parse(call.arguments)) }).toEqual({ text, valid: true });
      }
    }
  });

  it('are constrained for strict tools and free for others', () => {
    const { program } = prepared({ choice: 'auto' }, STRICT);
    const open = profile.calls.callOpen;
    const call = (days: string): string =>
      `${open}{"${name}": "get_weather", "${values}": {"city": "Oslo", "days": ${days}}}${profile.calls.callClose}`;
    expect(recognizes(program, call('3'))).toBe(true);
    expect(recognizes(program, call('3.5'))).toBe(false);
    expect(() => prepared({ choice: 'auto' }, [WEATHER])).toThrow('free');
  });

  it('are an alternative to an answer of a form', () => {
    const schema = { type: 'object', required: ['mood'], properties: { mood: { enum: ['calm', 'wild'] } } } as const;
    const { program } = prepared({ choice: 'auto', format: { kind: 'schema', schema } });
    const call = `${profile.calls.callOpen}{"${name}": "get_time", "${values}": {}}${profile.calls.callClose}`;
    for (const text of ['{"mood": "calm"}', call]) expect(recognizes(program, text)).toBe(true);
    for (const text of ['{"mood": "grey"}', 'The sea']) expect(recognizes(program, text)).toBe(false);
  });
});

/** Templates that write the arguments of a call before its name: no grammar can write such calls. */
import { describe, expect, it } from 'vitest';
import { constrains } from '../../../../src/text/tools/constraint/add-calls.ts';
import { isWritable } from '../../../../src/text/tools/constraint/calls.ts';
import { prepareDialogue } from '../../../../src/text/tools/dialogue.ts';
import { profileOf } from '../../../../src/text/tools/profile.ts';
import { recognizes } from '../../../support/grammar/recognizer.ts';
import { readAll, TOOLS, templateOf } from '../families.ts';
import { programOf } from './grammar.ts';

const call = '{"arguments": \' ~ call.function.arguments | tojson ~ \', "name": "\' ~ call.function.name ~ \'"}';
const template = (open: string, close: string) =>
  templateOf(
    `{{ tools | tojson if tools }}{% for turn in messages %}{{ '<|' ~ turn.role ~ '|>' ~ turn.content }}` +
      `{% for call in turn.tool_calls or [] %}{{ '${open}${call}${close}' }}{% endfor %}` +
      `{{ '<|end|>' }}{% endfor %}{{ '<|assistant|>' }}`,
  );
const FORM = { kind: 'schema', schema: { type: 'object', required: ['name'], properties: { name: {} } } } as const;
const messages = [{ role: 'user', content: 'Q' }];

describe.each([
  ['with markers', template('<tool_call>', '</tool_call>')],
  ['without markers', template('', '')],
])('calls %s', (_, one) => {
  const profile = profileOf(one);
  const prepared = (choice: 'auto' | 'required', format?: typeof FORM) =>
    prepareDialogue(profile, one, { messages, tools: TOOLS }, { choice, parallel: true, format });

  it('are not writable, and an output without a form is free', () => {
    expect(profile.calls).toMatchObject({ style: 'json', nameKey: 'name', argumentsKey: 'arguments' });
    expect(isWritable(profile.calls)).toBe(false);
    expect(prepared('auto').grammar).toBeUndefined();
  });

  it.each(['auto', 'required'] as const)('leave an answer with a form constrained (%s)', (choice) => {
    const { grammar, conversation } = prepared(choice, FORM);
    if (!grammar) throw new Error('The output is free.');
    expect(conversation.answerStart).toBeUndefined();
    for (const tools of [grammar.tools, TOOLS]) {
      const source = { ...grammar, tools };
      expect(constrains(source)).toBe(true);
      const program = programOf({ ...source, specialIds: {} }, []);
      expect(recognizes(program, '{"name": "get_time"}')).toBe(true);
      expect(recognizes(program, 'The sea')).toBe(false);
      expect(recognizes(program, '{"arguments": {}}')).toBe(false);
    }
  });

  it('do not take the answer of a form for a call', () => {
    const answer = '{"name": "get_time", "arguments": {}}';
    expect(readAll(prepared('auto', FORM).parser(), [answer], true)).toMatchObject({ content: answer, calls: [] });
  });
});

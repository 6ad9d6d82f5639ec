/** Calls that a template renders are the calls that the parser reads, whatever their arguments hold. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ToolCall } from '../../../src/text/template/conversation.ts';
import { prepareDialogue } from '../../../src/text/tools/dialogue.ts';
import { profileOf } from '../../../src/text/tools/profile.ts';
import { FAMILIES, familyTemplate, readAll, TOOLS } from './families.ts';

const USER = 'Question?';
const AUTO = { choice: 'auto', parallel: true } as const;
const SPECIAL = [
  '"',
  "'",
  '\\',
  '\\d',
  '<tool_call>',
  '</tool_call>',
  '{"name": 1}',
  ']',
  'Ł😀',
  '\u2028',
  '  a',
  'b:',
  '[ARGS]',
  '<|x|>',
];
const word = fc.oneof(fc.constantFrom(...SPECIAL), fc.string({ unit: 'grapheme', maxLength: 6 }));
const text = fc.array(word, { maxLength: 4 }).map((words) => words.join(''));
const plain = fc.stringMatching(/^[A-Za-z][A-Za-z ,.-]{0,11}[a-z]$/);

/** Templates that write a text without quotes or escapes cannot hold every text. */
const UNQUOTED = ['llama-pythonic', 'qwen3-coder', 'glm45', 'deepseek-v32', 'functiongemma', 'gemma4'];

describe.each(FAMILIES)('the family $name', ({ name, facts }) => {
  const template = familyTemplate(name);
  const profile = profileOf(template);
  const cities = UNQUOTED.includes(name) ? plain : text;

  it('reads what it renders', () => {
    const values = fc.record(
      {
        city: cities,
        days: fc.integer({ min: -9, max: 99 }),
        exact: fc.boolean(),
        tags: fc.array(plain, { maxLength: 2 }),
      },
      { requiredKeys: ['city'] },
    );
    const most = facts.parallel ? 3 : 1;
    fc.assert(
      fc.property(fc.array(values, { minLength: 1, maxLength: most }), fc.array(fc.nat(400)), (list, cuts) => {
        const toolCalls: ToolCall[] = list.map((value, at) => {
          return { id: `abcdefgh${at}`, name: 'get_weather', arguments: JSON.stringify(value) };
        });
        const results = toolCalls.map(({ id }) => ({ role: 'tool', content: 'zqresult', toolCallId: id }));
        const messages = [{ role: 'user', content: USER }, { role: 'assistant', content: '', toolCalls }, ...results];
        const { conversation } = prepareDialogue(profile, template, { messages }, AUTO);
        const rendered = template.render(conversation);
        const answer = rendered.slice(rendered.indexOf(USER) + USER.length).split('zqresult')[0] ?? '';
        // From the first marker of the calls on; the parser leaves the end of the turn as content.
        const opening = (profile.calls.opening.split(/[a-z"\s]*$/)[0] ?? '').trimEnd();
        const start = answer.indexOf(name === 'harmony' ? ' to=' : opening);
        const call = answer.slice(start);
        const places = [...new Set(cuts.map((cut) => cut % call.length))].sort((a, b) => a - b);
        const pieces = [0, ...places].map((from, at) => call.slice(from, places[at] ?? call.length));
        const dialogue = prepareDialogue(profile, template, { messages, tools: TOOLS }, AUTO);
        const closing = facts.reasoning === 'forced' ? '</think>' : '';
        const read = readAll(
          prepareDialogue(
            profile,
            template,
            { messages: [{ role: 'user', content: '' }], tools: TOOLS },
            AUTO,
          ).parser(),
          [closing, ...pieces],
        );
        expect(dialogue.markers).toBe(profile.markers.all);
        expect(read.calls.map((one) => [one.name, JSON.parse(one.arguments)])).toEqual(
          list.map((value) => ['get_weather', value]),
        );
      }),
      { numRuns: 60 },
    );
  });
});

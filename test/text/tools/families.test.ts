/** Every family: what the profile of its template says, and how its answers are divided into parts. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Conversation } from '../../../src/text/template/conversation.ts';
import { prepareDialogue } from '../../../src/text/tools/dialogue.ts';
import { describeProfile } from '../../../src/text/tools/output-profile.ts';
import { profileOf } from '../../../src/text/tools/profile.ts';
import type { ToolUse } from '../../../src/text/tools/tool-use.ts';
import { FAMILIES, familyTemplate, readAll, TOOLS } from './families.ts';

const AUTO: ToolUse = { choice: 'auto', parallel: true };
const QUESTION: Conversation = { messages: [{ role: 'user', content: 'Warm?' }], tools: TOOLS };
const OSLO = { city: 'Oslo', days: 3 };

describe.each(FAMILIES)('the family $name', ({ name, facts, one, two, unknown, similar, reasoning }) => {
  const template = familyTemplate(name);
  const profile = profileOf(template);
  /** Where the prompt ends inside of the reasoning, the answer closes it. */
  const before = reasoning ?? '';
  const plainStart = facts.reasoning === 'forced' ? '</think>' : '';
  const read = (text: string, toolUse: ToolUse = AUTO, conversation = QUESTION) =>
    readAll(prepareDialogue(profile, template, conversation, toolUse).parser(), [text]);
  const parsed = (text: string) => {
    const { calls, ...rest } = read(text);
    return { ...rest, calls: calls.map((call) => [call.name, JSON.parse(call.arguments)]) };
  };

  it('is recognised', () => {
    expect(describeProfile(profile)).toEqual(facts);
    expect(JSON.parse(JSON.stringify(profile))).toEqual(profile);
  });

  it('has one call', () => {
    const expected = { content: '', reasoning: '', unparsed: 0, calls: [['get_weather', OSLO]] };
    expect(parsed(plainStart + one)).toEqual(expected);
    expect(parsed(`${plainStart}\n${one}\n`)).toEqual(expected);
  });

  it.runIf(two)('has two calls', () => {
    const calls = [
      ['get_weather', OSLO],
      ['get_time', { zone: 'UTC' }],
    ];
    expect(parsed(plainStart + two)).toEqual({ content: '', reasoning: '', unparsed: 0, calls });
  });

  it('ends after its first call if the request wants one', () => {
    const { parser } = prepareDialogue(profile, template, QUESTION, { choice: 'auto', parallel: false });
    const reader = parser();
    const text = plainStart + (two ?? one);
    const result = readAll(reader, [...text]);
    expect(result.calls.map(({ name }) => name)).toEqual(['get_weather']);
    expect(JSON.parse(result.calls[0]!.arguments)).toEqual(OSLO);
    expect(result.content).toBe('');
    expect(reader.done).toBe(true);
  });

  it.runIf(reasoning)('has reasoning before a call, and before an answer', () => {
    const calls = [['get_weather', OSLO]];
    expect(parsed(before + one)).toEqual({ content: '', reasoning: 'Hm.', unparsed: 0, calls });
    const answer = name === 'harmony' ? '<|channel|>final<|message|>Warm.' : 'Warm.';
    expect(parsed(before + answer)).toEqual({ content: 'Warm.', reasoning: 'Hm.', unparsed: 0, calls: [] });
  });

  it('leaves a call of an unknown tool as it is', () => {
    expect(read(plainStart + unknown)).toEqual({ content: unknown, reasoning: '', calls: [], unparsed: 1 });
  });

  it('leaves similar text as it is', () => {
    const result = read(plainStart + similar);
    expect({ ...result, unparsed: 0 }).toEqual({ content: similar, reasoning: '', calls: [], unparsed: 0 });
  });

  it('leaves calls as they are if the request has no tools', () => {
    const text = two ?? one;
    const expected = { content: text, reasoning: '', calls: [], unparsed: 0 };
    if (name === 'harmony') expected.content = text.replaceAll('<|call|>', '');
    const { messages } = QUESTION;
    expect(read(plainStart + text, AUTO, { messages })).toEqual(expected);
    expect(read(plainStart + text, { choice: 'none', parallel: true })).toEqual(expected);
  });

  it('never loses the text of a call that the end of the output cuts', () => {
    for (let length = 1; length < one.length; length += 1) {
      const { content, calls, unparsed } = read(plainStart + one.slice(0, length));
      const [call] = calls;
      if (call) {
        expect(call.name).toBe('get_weather');
        expect(content).toBe('');
        expect('{"city":"Oslo","days":3}'.startsWith(call.arguments.replaceAll(/\s/g, ''))).toBe(true);
      } else expect(content.trimEnd()).toBe(one.slice(0, length).trimEnd());
      expect(unparsed).toBeLessThanOrEqual(1);
    }
  });

  it('gives the same parts for every division of the text', () => {
    const texts = [before + (two ?? one), plainStart + unknown, plainStart + similar, `Text. ${one} more ${two}`];
    const whole = texts.map((text) => read(text));
    const cuts = fc.array(fc.nat(1_000), { maxLength: 12 });
    fc.assert(
      fc.property(fc.nat(texts.length - 1), cuts, (index, places) => {
        const text = texts[index]!;
        const at = [...new Set(places.map((place) => place % text.length))].sort((a, b) => a - b);
        const pieces = [0, ...at].map((from, number) => text.slice(from, at[number] ?? text.length));
        const { parser } = prepareDialogue(profile, template, QUESTION, AUTO);
        expect(readAll(parser(), pieces)).toEqual(whole[index]);
      }),
      { numRuns: 60 },
    );
    texts.forEach((text, index) => {
      const { parser } = prepareDialogue(profile, template, QUESTION, AUTO);
      expect(readAll(parser(), text.split(''))).toEqual(whole[index]);
    });
  });

  it('begins the answer with a call that the request wants', () => {
    const wanted = prepareDialogue(profile, template, QUESTION, { choice: { name: 'get_time' }, parallel: true });
    const start = wanted.conversation.answerStart ?? '';
    expect(start).toContain('get_time');
    const reader = wanted.parser();
    expect(reader.reasoning).toBe(false);
    const full = `${facts.reasoning === 'forced' ? profile.reasoning?.closing : ''}${one.replace('get_weather', 'get_time')}`;
    const rest = full.replaceAll(/\s/g, '').slice(start.replaceAll(/\s/g, '').length);
    const { calls, content } = readAll(reader, [rest]);
    expect(content).toBe('');
    expect(calls).toHaveLength(1);
    expect(calls[0]?.name).toBe('get_time');
    const required = prepareDialogue(profile, template, QUESTION, { choice: 'required', parallel: true });
    expect(start.startsWith(required.conversation.answerStart ?? ' ')).toBe(true);
  });
});

/** An output that stays one text while a parser reads it. */
import { expect, test } from 'vitest';
import { UndividedText } from '../../../src/text/output/undivided-text.ts';
import { profileOf } from '../../../src/text/tools/profile.ts';
import { OutputReader } from '../../../src/text/tools/reading/output-reader.ts';
import { familyTemplate, TOOLS } from '../tools/families.ts';

const CALL = '<tool_call>\n{"name": "get_time", "arguments": {"zone": "A"}}\n</tool_call>';

function undivided(answerStart = '', parallel = true): UndividedText {
  const reading = { tools: TOOLS, parallel, inReasoning: false, answerStart };
  return new UndividedText(new OutputReader(profileOf(familyTemplate('hermes')), reading), answerStart);
}

test('returns every text at once, with its marks, and counts the calls', () => {
  const text = undivided();
  expect([...CALL].flatMap((character) => text.push(character))).toEqual(
    [...CALL].map((character) => ({ kind: 'content', text: character })),
  );
  expect([text.finish(true), text.calls, text.done, text.reasoning]).toEqual([[], 1, false, false]);
});

test('is done after the only call', () => {
  const text = undivided('', false);
  text.push(CALL);
  expect([text.done, text.calls]).toEqual([true, 1]);
});

test('begins with the beginning that the prompt holds', () => {
  const start = CALL.slice(0, 20);
  const text = undivided(start);
  expect([text.push(CALL.slice(20)), text.push('!')]).toEqual([
    [{ kind: 'content', text: CALL }],
    [{ kind: 'content', text: '!' }],
  ]);
  expect([text.finish(), text.calls]).toEqual([[], 1]);
});

test('counts a text that looks like a call and is none', () => {
  const text = undivided();
  expect(text.push('<tool_call>no</tool_call>')).toEqual([{ kind: 'content', text: '<tool_call>no</tool_call>' }]);
  text.finish();
  expect([text.calls, text.unparsed]).toEqual([0, 1]);
});

/** One output of a generation: its end decides about a call whose brackets are open. */
import { expect, test } from 'vitest';
import { Choice } from '../../src/jobs/generation/choice.ts';
import { embeddedModel } from '../../src/model/folder.ts';
import { Tokenizer } from '../../src/text/tokenizer/tokenizer.ts';
import { prepareDialogue } from '../../src/text/tools/dialogue.ts';
import { profileOf } from '../../src/text/tools/profile.ts';
import { finish, NEUTRAL_SAMPLING } from '../support/fakes.ts';
import { familyTemplate, TOOLS } from '../text/tools/families.ts';

test.each([
  ['eos', '{"zone": "A"}'],
  ['max_tokens', '{"zone": "A"'],
] as const)('an end of the kind %s gives the arguments %s', async (reason, expected) => {
  const tokenizer = await Tokenizer.open({ tokenizerFile: `${embeddedModel()}/tokenizer.json` });
  const template = familyTemplate('hermes');
  const conversation = { messages: [{ role: 'user', content: 'Q' }], tools: TOOLS };
  const { parser } = prepareDialogue(profileOf(template), template, conversation, { choice: 'auto', parallel: true });
  const sequence = { prompt: [1], maxTokens: 100, minTokens: 0, endIds: [2], sampling: NEUTRAL_SAMPLING };
  const choice = new Choice(0, 0, { sequence, continued: [], decoder: tokenizer, parser }, []);
  const text = '<tool_call>{"name": "get_time", "arguments": {"zone": "A"';
  const ids = await tokenizer.encode(text, { addSpecialTokens: false });
  const pieces = ids.flatMap((id) => choice.push({ id }));
  choice.finish = finish(reason);
  pieces.push(...choice.flush());
  expect(pieces.map(({ part }) => (part.kind === 'arguments' ? part.text : '')).join('')).toBe(expected);
  expect([choice.toolCalls, choice.unparsedCalls, choice.endReason]).toEqual([1, 0, reason]);
});

/** One output of a generation: a call whose brackets are open at the end, and scores that wait for a text. */
import { expect, test } from 'vitest';
import { Choice, type PartPiece } from '../../src/jobs/generation/choice.ts';
import { embeddedModel } from '../../src/model/folder.ts';
import { MAX_PENDING_TOKENS } from '../../src/text/output/output-text.ts';
import type { OutputParser } from '../../src/text/output/parts.ts';
import { Tokenizer } from '../../src/text/tokenizer/tokenizer.ts';
import { prepareDialogue } from '../../src/text/tools/dialogue.ts';
import { profileOf } from '../../src/text/tools/profile.ts';
import { finish, NEUTRAL_SAMPLING } from '../support/fakes.ts';
import { familyTemplate, TOOLS } from '../text/tools/families.ts';

/** An output whose call is open: its text so far, and its ids. */
async function openCall(maxTokens: number) {
  const tokenizer = await Tokenizer.open({ tokenizerFile: `${embeddedModel()}/tokenizer.json` });
  const template = familyTemplate('hermes');
  const conversation = { messages: [{ role: 'user', content: 'Q' }], tools: TOOLS };
  const { parser } = prepareDialogue(profileOf(template), template, conversation, { choice: 'auto', parallel: true });
  const sequence = { prompt: [1], maxTokens, minTokens: 0, endIds: [2], sampling: NEUTRAL_SAMPLING };
  const choice = new Choice(0, 0, { sequence, continued: [], decoder: tokenizer, parser }, []);
  const text = '<tool_call>{"name": "get_time", "arguments": {"zone": "A"';
  const ids = await tokenizer.encode(text, { addSpecialTokens: false });
  const pieces = ids.flatMap((id) => choice.push({ id }));
  return { choice, pieces, length: ids.length };
}

const argumentsIn = (pieces: readonly PartPiece[]): string =>
  pieces.map(({ part }) => (part.kind === 'arguments' ? part.text : '')).join('');

const ENDS = [
  ['eos', '{"zone": "A"}'],
  ['max_tokens', '{"zone": "A"'],
] as const;

test.each(ENDS)('an end of the kind %s gives the arguments %s', async (reason, expected) => {
  const { choice, pieces } = await openCall(100);
  choice.finish = finish(reason);
  expect(argumentsIn([...pieces, ...choice.flush()])).toBe(expected);
  expect([choice.toolCalls, choice.unparsedCalls, choice.endReason]).toEqual([1, 0, reason]);
});

test.each(ENDS)('a resumed output that ended with %s has the same last pieces', async (reason, expected) => {
  const { length } = await openCall(100);
  const { choice, pieces } = await openCall(reason === 'max_tokens' ? length : length + 1);
  choice.resume();
  // No engine has ended it yet.
  expect(argumentsIn([...pieces, ...choice.flush()])).toBe(expected);
  choice.finish = finish('max_tokens');
  expect(choice.endReason).toBe(reason);
});

test('of the scores of a text that the parser holds back, the newest 512 are reported', async () => {
  const tokenizer = await Tokenizer.open({ tokenizerFile: `${embeddedModel()}/tokenizer.json` });
  const [id = 0] = await tokenizer.encode('sea', { addSpecialTokens: false });
  const holding: OutputParser = {
    push: () => [],
    finish: () => [{ kind: 'content', text: 'sea' }],
    ...{ reasoning: false, done: false, calls: 0, unparsed: 0 },
  };
  const sequence = { prompt: [1], maxTokens: 1000, minTokens: 0, endIds: [2], sampling: NEUTRAL_SAMPLING };
  const prompt = { sequence, continued: [], decoder: tokenizer, parser: () => holding };
  const choice = new Choice(0, 0, prompt, []);
  const count = MAX_PENDING_TOKENS + 88;
  for (let index = 0; index < count; index += 1) choice.push({ id, logprob: -index });
  choice.push({ id }); // Without a score there is nothing to report.
  const [piece] = choice.flush();
  expect(piece?.tokens.map(({ logprob }) => logprob)).toEqual(
    Array.from({ length: MAX_PENDING_TOKENS }, (_, index) => -(index + 88)),
  );
});

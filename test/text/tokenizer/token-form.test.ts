/** Text and bytes of single tokens, for reports of log-probabilities. */
import { expect, test } from 'vitest';
import { Tokenizer } from '../../../src/text/tokenizer/tokenizer.ts';
import { HAIKU_VOCABULARY, haikuFiles, metaspace, sentencePiece, wordPiece } from './small-tokenizers.ts';

test('the bytes of the tokens of a text are the bytes of the text, also inside of characters', async () => {
  const tokenizer = await Tokenizer.open(haikuFiles);
  const text = 'A frog — 蛙 🐸, naïve';
  const ids = await tokenizer.encode(text, { addSpecialTokens: false });
  const forms = ids.map((id) => tokenizer.formOf(id));
  expect(Buffer.from(forms.flatMap(({ bytes }) => bytes)).toString()).toBe(text);
  expect(forms.some(({ text }) => text.includes('\u{FFFD}'))).toBe(true);
  await tokenizer.close();
});

test('a special token has its name, and an id without a token has nothing', async () => {
  const tokenizer = await Tokenizer.open(haikuFiles);
  expect(tokenizer.formOf(3)).toEqual({ text: '<|end|>', bytes: [...Buffer.from('<|end|>')] });
  expect(tokenizer.formOf(HAIKU_VOCABULARY + 7)).toEqual({ text: '', bytes: [] });
  await tokenizer.close();
});

test.each([
  ['SentencePiece', sentencePiece],
  ['metaspace', metaspace],
  ['WordPiece', wordPiece],
])('%s: the text of a token is the text that it adds to a text', async (_, open) => {
  const { tokenizer, ids } = await open();
  for (let id = 0; id < ids; id += 1) {
    const { text, bytes } = tokenizer.formOf(id);
    if (!tokenizer.isVisible(id) || text.includes('\u{FFFD}')) continue;
    expect(tokenizer.decode([id, id])).toBe(tokenizer.decode([id]) + text);
    expect(Buffer.from(bytes).toString()).toBe(text);
  }
  await tokenizer.close();
});

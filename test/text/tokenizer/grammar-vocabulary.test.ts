/** The bytes of tokens for grammars, and their preparation. */
import { expect, test } from 'vitest';
import { GrammarVocabulary } from '../../../src/text/tokenizer/grammar-vocabulary.ts';
import { Tokenizer } from '../../../src/text/tokenizer/tokenizer.ts';
import { HAIKU_VOCABULARY, haikuFiles, halves, metaspace, sentencePiece, wordPiece } from './small-tokenizers.ts';

const haiku = async () => ({ tokenizer: await Tokenizer.open(haikuFiles), ids: HAIKU_VOCABULARY + 3 });

test.each([
  ['byte-level', haiku],
  ['byte-level with half characters', halves],
  ['SentencePiece', sentencePiece],
  ['metaspace', metaspace],
  ['WordPiece', wordPiece],
])('%s: the bytes of a token are those of its form; special and empty tokens have none', async (_, open) => {
  const { tokenizer, ids } = await open();
  let texts = 0;
  for (let id = 0; id < ids; id += 1) {
    const bytes = tokenizer.bytesOf(id);
    const expected = tokenizer.isVisible(id) ? tokenizer.formOf(id).bytes : [];
    expect(bytes === undefined ? [] : Array.from(bytes), `id ${id}`).toEqual(expected);
    expect(bytes?.length).not.toBe(0);
    if (bytes) texts += 1;
  }
  expect(texts).toBeGreaterThan(3);
  await tokenizer.close();
});

test('the vocabulary has the bytes of all ids below its size, and is prepared once', async () => {
  const { tokenizer } = await haiku();
  const vocabulary = new GrammarVocabulary(tokenizer, HAIKU_VOCABULARY);
  const received: object[] = [];
  vocabulary.prepare((data) => received.push(data));
  const data = await vocabulary.get();
  expect(await vocabulary.get()).toBe(data);
  expect(received).toEqual([data]);
  expect(data.size).toBe(HAIKU_VOCABULARY);
  await tokenizer.close();
});

test('the event loop turns while the vocabulary is prepared', async () => {
  let tokens = 0;
  let turns = 0;
  const slow = {
    bytesOf: (id: number) => {
      tokens += 1;
      for (const until = performance.now() + 0.01; performance.now() < until; );
      return [id & 255, id >> 8];
    },
  };
  const prepared = new GrammarVocabulary(slow, 5_000).get();
  const turn = (): void => {
    if (tokens < 5_000) {
      turns += 1;
      setImmediate(turn);
    }
  };
  setImmediate(turn);
  await prepared;
  expect(turns).toBeGreaterThan(5);
});

test('a failure is reported, and the next call tries again', async () => {
  let broken = true;
  const tokenizer = {
    bytesOf: (id: number) => {
      if (broken) throw new Error('no memory');
      return [id];
    },
  };
  const vocabulary = new GrammarVocabulary(tokenizer, 9);
  vocabulary.prepare(() => undefined);
  await expect(vocabulary.get()).rejects.toThrow('no memory');
  broken = false;
  expect((await vocabulary.get()).size).toBe(9);
});

/** A million added tokens, and hostile texts of every family: figures with generous ceilings. */
import { describe, expect, it } from 'vitest';
import { THREAD_LIMITS } from '../../../src/text/thread/encode-thread.ts';
import { LOOP_UNITS, Tokenizer } from '../../../src/text/tokenizer/tokenizer.ts';
import { definitionOf, FAMILIES, pipelineOf } from './families.ts';
import { builtThread, writeTokenizer } from './small-tokenizers.ts';

it('a million added tokens open, on the thread too, and find themselves', async () => {
  const added_tokens = Array.from({ length: 1_000_000 }, (_, at) => ({ id: 1_000 + at, content: `<added ${at}>` }));
  const tokenizer = await Tokenizer.open(await writeTokenizer({ ...definitionOf('gpt2'), added_tokens }), {
    threadEntry: builtThread,
  });
  const text = '<added 0><added 999999>'.repeat(LOOP_UNITS);
  const ids = await tokenizer.encode(text, { addSpecialTokens: false });
  expect(ids.slice(0, 2)).toEqual([1_000, 1_000_999]);
  await tokenizer.close();
});

it('a million tokens of other files open, on the thread too, and find themselves', async () => {
  const addedTokens = Array.from({ length: 1_000_000 }, (_, at) => ({
    id: 1_000 + at,
    content: `<added ${at}>`,
    single_word: false,
    lstrip: false,
    rstrip: false,
    special: true,
  }));
  const files = await writeTokenizer(definitionOf('gpt2'));
  const tokenizer = await Tokenizer.open(files, { addedTokens, threadEntry: builtThread });
  const ids = await tokenizer.encode('<added 0><added 999999>'.repeat(LOOP_UNITS), { addSpecialTokens: false });
  expect(ids.slice(0, 2)).toEqual([1_000, 1_000_999]);
  await tokenizer.close();
});

const UNITS = [
  'a',
  ' ',
  '\n',
  '1',
  '本',
  '\u0301',
  '😀',
  '👩\u200d',
  '<',
  "'",
  'a ',
  '▁',
  '\u0315\u0316',
  '각',
  '🇩',
  'क्',
  '\u0903',
  'ﷺ',
  '\t',
  ' \n',
];

describe.each(FAMILIES)('a tokenizer in the style of %s', (name) => {
  it('encodes hostile texts in a fraction of the deadline', () => {
    const pipeline = pipelineOf(name);
    for (const unit of UNITS) {
      const text = unit.repeat(32_768 / unit.length);
      const began = performance.now();
      pipeline.encode(text, true);
      expect(performance.now() - began, JSON.stringify(unit)).toBeLessThan(
        THREAD_LIMITS.jobMs + 32_768 * THREAD_LIMITS.unitMs,
      );
    }
  });
});

/**
 * The number of tokens that a text certainly has: never above the real number, for every family of tokenizers.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { finished } from '../../../src/protocol/start/slices.ts';
import { definitionFields } from '../../../src/text/tokenizer/definition.ts';
import { COUNTED_UNITS, leastTokensOf } from '../../../src/text/tokenizer/least-tokens.ts';
import { modelOf } from '../../../src/text/tokenizer/models/model.ts';
import { Pipeline } from '../../../src/text/tokenizer/pipeline.ts';
import { sampleSize } from '../../support/sample.ts';
import { definitionOf, expected, FAMILIES } from './families.ts';

/** Tokenizers that can drop any amount of text, or merge unknown characters: they have no such number. */
const WITHOUT: readonly string[] = ['cl100k', 't5', 'unigram'];

interface Built {
  readonly pipeline: Pipeline;
  readonly least: (text: string) => number;
  readonly longest: number;
}
function built(raw: object): Built {
  const definition = definitionFields.parse(raw);
  const { vocabulary } = finished(modelOf(definition.model));
  const longestAdded = Math.max(0, ...(definition.added_tokens ?? []).map(({ content }) => content.length));
  const longest = Math.max(vocabulary.longest, longestAdded);
  const atLeast = leastTokensOf(definition, vocabulary, longestAdded);
  return { pipeline: Pipeline.of(definition), least: (text) => atLeast(text, 0), longest };
}

const pieces = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 20 }),
  fc.constantFrom(...expected.texts.filter((text) => text.length < 200)),
  fc
    .tuple(
      fc.constantFrom(' ', '\n', 'a', 'é', 'e\u0301\u0302\u0303', '각', 'ﷺ', '🇩🇪', '丽', '=', '\u0301'),
      fc.nat(80),
    )
    .map(([unit, times]) => unit.repeat(times)),
);
const texts = fc.array(pieces, { maxLength: 6 }).map((parts) => parts.join(''));

describe.each(FAMILIES)('a tokenizer in the style of %s', (name) => {
  const { pipeline, least, longest } = built(definitionOf(name));

  it('never has fewer tokens than the number', () => {
    fc.assert(
      fc.property(texts, (text) => least(text) <= pipeline.encode(text, false).length),
      { numRuns: sampleSize(1_000, 150) },
    );
  });

  it(`${WITHOUT.includes(name) ? 'has no number, because it can drop text' : 'has a number for long texts'}`, () => {
    const number = least('x'.repeat(1_000_000));
    if (WITHOUT.includes(name)) expect(number).toBe(0);
    else expect(number).toBeGreaterThanOrEqual(COUNTED_UNITS / (4 * longest));
  });
});

describe('a part that can shrink text', () => {
  const base = definitionOf('gpt2') as Record<string, unknown>;
  const llama = definitionOf('llama2') as Record<string, unknown>;
  const replace = (from: object, content: string): object => ({ type: 'Replace', pattern: from, content });

  it.each<[string, object, string]>([
    ['a normalizer that removes a letter', { ...base, normalizer: replace({ String: 'a' }, '') }, 'a'],
    ['a normalizer that makes a letter a space', { ...base, normalizer: replace({ String: 'a' }, ' ') }, 'a'],
    ['a normalizer with an expression', { ...base, normalizer: replace({ Regex: 'a+' }, 'b') }, 'a'],
    ['a normalizer that removes accents', { ...base, normalizer: { type: 'StripAccents' } }, '\u0301'],
    [
      'an unknown token for many characters',
      { ...llama, model: { ...(llama['model'] as object), byte_fallback: false } },
      '😀',
    ],
    [
      'a vocabulary without unknown token',
      { ...llama, model: { ...(llama['model'] as object), byte_fallback: false, unk_token: null } },
      '😀',
    ],
    [
      'a post-processor without the text',
      { ...base, post_processor: { type: 'TemplateProcessing', single: [], special_tokens: {} } },
      'a',
    ],
    [
      'two tokens with one id',
      { ...base, model: { ...(base['model'] as object), vocab: { ...vocabOf(base), again: 0 } } },
      'a',
    ],
  ])('%s: no number', (_, definition, unit) => {
    const { pipeline } = built(definition);
    expect(() => pipeline.checkFits(unit.repeat(1_000_000), 1)).not.toThrow();
  });

  it.each<[string, object]>([
    ['a stripping normalizer', { ...base, normalizer: { type: 'Strip' } }],
    [
      'a pre-tokenizer that removes white space',
      {
        ...base,
        pre_tokenizer: { type: 'Sequence', pretokenizers: [{ type: 'WhitespaceSplit' }, base['pre_tokenizer']] },
      },
    ],
    [
      'an added token that takes the white space around it',
      { ...base, added_tokens: [{ id: 1, content: '<a>', lstrip: true, rstrip: true }] },
    ],
  ])('%s: white space does not count', (_, definition) => {
    const { least } = built(definition);
    const letters = 'x'.repeat(10_000);
    expect([least(' '.repeat(10_000)), least(`${letters}${' '.repeat(9_000)}`)]).toEqual([0, least(letters)]);
    expect(least(letters)).toBeGreaterThan(0);
  });
});

function vocabOf(definition: Record<string, unknown>): object {
  return (definition['model'] as { readonly vocab: object }).vocab;
}

/** Normalization in linear time gives exactly the result of `String.prototype.normalize`. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MAX_UNSORTED_MARKS, normalized } from '../../../../src/text/tokenizer/stages/canonical-order.ts';
import { normalizerOf } from '../../../../src/text/tokenizer/stages/normalizers.ts';

const FORMS = ['NFC', 'NFD', 'NFKC', 'NFKD'] as const;

const characters = Array.from({ length: 0x11_0000 }, (_, code) => code)
  .filter((code) => code < 0xd800 || code > 0xdfff)
  .map((code) => String.fromCodePoint(code));
const marks = characters.filter((char) => /[\p{M}\uFF9E\uFF9F]/u.test(char));

/** True if ICU can move a character behind another mark: its combining class is not 0. */
function isMoved(char: string): boolean {
  const [lowest, highest] = ['\u0334', '\u0345'];
  const isOrdered = [char + lowest, highest + char].every((pair) => pair.normalize('NFD') === pair);
  return !isOrdered || char === lowest || char === highest;
}

describe.each(FORMS)('%s', (form) => {
  it('of long runs of any marks is the same', () => {
    const mark = fc.constantFrom(...marks);
    const other = fc.constantFrom('a', 'é', 'が', 'ｶ', '가', ' ');
    const char = fc.oneof({ weight: 60, arbitrary: mark }, { weight: 1, arbitrary: other });
    fc.assert(
      fc.property(fc.array(char, { minLength: MAX_UNSORTED_MARKS, maxLength: 150 }), (chars) => {
        const text = `a${chars.join('')}b`;
        expect(normalized(text, form)).toBe(text.normalize(form));
      }),
      { numRuns: 300 },
    );
  });

  it('of runs of two marks, in any order and around the bound, is the same', () => {
    for (const units of [1, 14, 15, 16, 31, 200])
      for (const pair of ['\u0315\u0316', '\u0316\u0315', '\u0344\u0334', 'ﾞ\u0301', '\u0F73\u0301', '\u0903\u0301']) {
        const [first = '', second = ''] = pair;
        for (const text of [`a${pair.repeat(units)}`, `a${first.repeat(units)}${second.repeat(units)}`])
          expect(normalized(text, form)).toBe(text.normalize(form));
      }
  });

  it('takes a time that grows with the length of a run, not with its square', () => {
    const worst = (units: number): number => {
      const text = `a${'\u0315'.repeat(units / 2)}${'\u0316'.repeat(units / 2)}`;
      const times = Array.from({ length: 3 }, () => {
        const began = performance.now();
        normalized(text, form);
        return performance.now() - began;
      });
      return Math.min(...times);
    };
    worst(1_000);
    // ICU alone takes 1.1 s for 32 000 marks, and a minute for eight times as many.
    expect(worst(256_000)).toBeLessThan(3_000);
  });
});

it('a run that ICU must order contains only marks and the sound marks of Katakana', () => {
  const missed = characters.filter((char) => {
    const first = [...char.normalize('NFKD')][0] ?? '';
    const firstOfCanonical = [...char.normalize('NFD')][0] ?? '';
    return (isMoved(first) || isMoved(firstOfCanonical)) && !marks.includes(char);
  });
  expect(missed).toEqual([]);
});

it('the normalizer of BERT removes accents in linear time', () => {
  const normalize = normalizerOf({ type: 'BertNormalizer', strip_accents: true });
  const began = performance.now();
  expect(normalize(`É${'\u0315'.repeat(64_000)}${'\u0316'.repeat(64_000)}`, 2 ** 22)).toBe('e');
  expect(performance.now() - began).toBeLessThan(5_000);
});

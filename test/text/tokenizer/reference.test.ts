/**
 * Ids and texts equal those of the native `tokenizers` library (0.23.2), recorded by
 * tools/tokenizers/record.mjs: a sample of the tables that `npm run test:tokenizers` compares whole.
 * FC_SEED=<number> takes another sample.
 */
import { describe, expect, it } from 'vitest';
import { sampleSize } from '../../support/sample.ts';
import { codesOf, expected, FAMILIES } from './families.ts';
import { NativeIds } from './native-ids.ts';

const SEED = Number(process.env['FC_SEED'] ?? 575);

describe.each(FAMILIES.map((name, index) => [name, SEED + index] as const))(
  'a tokenizer in the style of %s',
  (name, first) => {
    it('gives the ids and the texts of the native library for some of the hostile texts', () => {
      const native = new NativeIds(name, { first, step: sampleSize(4, 8) });
      expect([native.textsToIds(), native.idsToTexts()]).toEqual([[], []]);
    });

    it('gives its ids for 100 kB of some characters and for some blocks of Unicode', () => {
      const native = new NativeIds(name, { first, step: sampleSize(16, 48) });
      expect([native.runs(), native.blocks()]).toEqual([[], []]);
    });
  },
);

it('the recordings of the families differ', () => {
  expect(new Set(Object.values(expected.families).map(({ texts }) => texts.join())).size).toBe(FAMILIES.length);
  expect(expected.blocks.flatMap(codesOf).some((code) => code > 0x10_0000)).toBe(true);
});

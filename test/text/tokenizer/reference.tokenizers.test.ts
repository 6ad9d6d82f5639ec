/**
 * Ids and texts equal those of the native `tokenizers` library (0.23.2), recorded by
 * tools/tokenizers/record.mjs: the whole tables.
 */
import { describe, expect, it } from 'vitest';
import { FAMILIES } from './families.ts';
import { NativeIds, WHOLE } from './native-ids.ts';

describe.each(FAMILIES)('a tokenizer in the style of %s', (name) => {
  const native = new NativeIds(name, WHOLE);

  it('gives the ids of the native library for hostile texts', () => {
    expect(native.textsToIds()).toEqual([]);
  });

  it('gives its text for those ids', () => {
    expect(native.idsToTexts()).toEqual([]);
  });

  it('gives its ids for 100 kB of one character', () => {
    expect(native.runs()).toEqual([]);
  });

  it('gives its ids for the characters of every plane', () => {
    expect(native.blocks()).toEqual([]);
  });
});

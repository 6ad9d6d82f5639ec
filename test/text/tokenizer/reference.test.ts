/**
 * Ids and texts equal those of the native `tokenizers` library (0.23.2), recorded by
 * tools/tokenizers/record.mjs.
 */
import { describe, expect, it } from 'vitest';
import { around, codesOf, digest, expected, FAMILIES, pipelineOf } from './families.ts';

describe.each(FAMILIES)('a tokenizer in the style of %s', (name) => {
  const pipeline = pipelineOf(name);
  const wanted = expected.families[name]!;

  it('gives the ids of the native library for hostile texts', () => {
    const differing = expected.texts.filter((text, at) => {
      const ids = pipeline.encode(text, true).join(' ');
      return ![ids, digest(ids)].includes(wanted.texts[at]![0]);
    });
    expect(differing).toEqual([]);
  });

  it('gives the text of the native library for those ids', () => {
    const differing = expected.texts.filter((text, at) => {
      const ids = pipeline.encode(text, true);
      const shown = ids.filter((id) => !pipeline.isSpecial(pipeline.tokenOf(id) ?? ''));
      return wanted.texts[at]![1] !== '' && digest(pipeline.decode(shown)) !== wanted.texts[at]![1];
    });
    expect(differing).toEqual([]);
  });

  it('gives the ids of the native library for 100 kB of one character', () => {
    const runs = wanted.runs.split(' ');
    const differing = expected.runs.filter(
      ({ unit, times }, at) => digest(pipeline.encode(unit.repeat(times), false).join(' ')) !== runs[at],
    );
    expect(differing).toEqual([]);
  });

  it('gives the ids of the native library for the characters of every plane', () => {
    const blocks = wanted.blocks.split(' ');
    const differing = expected.blocks.filter(
      (ranges, at) => digest(pipeline.encode(around(codesOf(ranges)), false).join(' ')) !== blocks[at],
    );
    expect(differing).toEqual([]);
  });
});

it('the recordings differ from each other', () => {
  expect(new Set(Object.values(expected.families).map(({ texts }) => texts.join())).size).toBe(FAMILIES.length);
  expect(expected.blocks.flatMap(codesOf).some((code) => code > 0x10_0000)).toBe(true);
});

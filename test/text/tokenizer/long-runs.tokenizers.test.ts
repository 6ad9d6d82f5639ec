/** 400 kB of each of twelve characters, with every kind of tokenizer. */
import { describe, it } from 'vitest';
import { encodeRuns, RUN_FAMILIES, UNITS } from './long-runs.ts';

describe('400 kB of one character', () => {
  it.each(RUN_FAMILIES)('are encoded in linear time by a tokenizer in the style of %s', (name) => {
    encodeRuns(name, UNITS, 400_000);
  });
});

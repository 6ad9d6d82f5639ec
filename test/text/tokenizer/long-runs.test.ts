/**
 * 100 kB of one character, with every kind of tokenizer. `npm run test:tokenizers` takes 400 kB of each of
 * twelve.
 */
import { describe, it } from 'vitest';
import { encodeRuns, RUN_FAMILIES, UNITS } from './long-runs.ts';

const SEED = Number(process.env['FC_SEED'] ?? 575);

describe('100 kB of one character', () => {
  it.each(RUN_FAMILIES.map((name, index) => [name, (SEED + index) % UNITS.length] as const))(
    'are encoded in linear time by a tokenizer in the style of %s',
    (name, at) => encodeRuns(name, UNITS.slice(at, at + 1), 100_000),
  );
});

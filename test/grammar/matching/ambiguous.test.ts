/** Grammars that read a text in very many ways at once: bounded memory. */
import { expect, test } from 'vitest';
import { Grammar } from '../../../src/grammar/matching/grammar.ts';
import type { Json } from '../../../src/grammar/output-format.ts';
import { idsOf } from '../../support/grammar/texts.ts';
import { vocabularyOf } from '../../support/grammar/vocabularies.ts';
import { compileSchema } from '../schema/compile-schema.ts';

const BYTES = vocabularyOf([]);
const range = (count: number): number[] => Array.from({ length: count }, (_, index) => index);
/** Bytes of a grammar, at most: above the bound of one automaton, by the states of one more step. */
const MOST_BYTES = 128 * 2 ** 20;

/** Each bracket begins an array of each alternative: their number is multiplied with each level. */
const recursive = (alternatives: number): Json => ({
  $defs: {
    list: {
      anyOf: [
        ...range(alternatives).map((index) => ({
          type: 'array',
          items: { $ref: '#/$defs/list' },
          minItems: 1,
          maxItems: 10 + index,
        })),
        { type: 'null' },
      ],
    },
  },
  $ref: '#/$defs/list',
});

test.each([60, 250])('a recursion through %d alternatives that begin alike', (alternatives) => {
  const grammar = new Grammar(compileSchema(recursive(alternatives)), BYTES);
  const matcher = grammar.start();
  const depth = 64;
  const text = `${'['.repeat(depth)}null${']'.repeat(depth)}`;
  for (const byte of Buffer.from(text)) {
    expect(idsOf(matcher.mask())).toContain(byte);
    expect(matcher.accept(byte)).toBe(true);
    expect(grammar.bytes).toBeLessThan(MOST_BYTES);
  }
  expect(matcher.accepts).toBe(true);
});

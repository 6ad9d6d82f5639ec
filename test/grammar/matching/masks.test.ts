/** Masks of schemas: equal to a trial of each token, and what is drawn from them is valid. */
import { Ajv2020 } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import { describe, expect, test } from 'vitest';
import { Grammar } from '../../../src/grammar/matching/grammar.ts';
import type { Json } from '../../../src/grammar/output-format.ts';
import { draw, randomNumbers } from '../../support/grammar/random-tokens.ts';
import { SCHEMAS } from '../../support/grammar/schemas.ts';
import { allowedByTrial, generate, idsOf, textOf } from '../../support/grammar/texts.ts';
import { PIECES, vocabularyOf } from '../../support/grammar/vocabularies.ts';
import { compileSchema } from '../schema/compile-schema.ts';

const VOCABULARY = vocabularyOf(PIECES);
const ajv = new Ajv2020({ strict: false, validateFormats: true });
addFormats.default(ajv);

describe.each(Object.entries(SCHEMAS))('%s', (_, schema: Json) => {
  for (const order of ['listed', 'any'] as const)
    test(`masks equal trials, order ${order}`, () => {
      const program = { ...compileSchema(schema), ...(order === 'any' && { anyOrder: true as const }) };
      const grammar = new Grammar(program, VOCABULARY, 64);
      const random = randomNumbers(7);
      for (let round = 0; round < 3; round += 1) {
        const before: number[] = [];
        const matcher = grammar.start();
        while (!matcher.finished && before.length < 24) {
          const ids = idsOf(matcher.mask());
          const allowed = allowedByTrial(grammar, before, VOCABULARY);
          if (ids.length === 1 && allowed.length > 1) {
            // A text without an alternative: the longest of its beginnings.
            const texts = allowed.map((id) => VOCABULARY.bytesOf(id));
            const longest = Buffer.from(VOCABULARY.bytesOf(ids[0] ?? 0)).toString('latin1');
            for (const text of texts) expect(longest.startsWith(Buffer.from(text).toString('latin1'))).toBe(true);
          } else expect(ids).toEqual(allowed);
          const id = draw(random)(ids, false);
          if (id < 0) break;
          expect(matcher.accept(id)).toBe(true);
          before.push(id);
        }
      }
    });

  test('what is drawn is complete and valid', () => {
    const grammar = new Grammar(compileSchema(schema), VOCABULARY);
    const validate = ajv.compile(schema as object);
    for (let seed = 0; seed < 60; seed += 1) {
      const { ids, complete } = generate(grammar.start(), 80 + 10 * seed, draw(randomNumbers(seed)));
      const text = textOf(ids, VOCABULARY);
      expect({ text, complete }).toEqual({ text, complete: true });
      const value = JSON.parse(text) as unknown;
      expect({ text, valid: validate(value), errors: validate.errors }).toEqual({ text, valid: true, errors: null });
    }
  });
});

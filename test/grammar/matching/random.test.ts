/** Random schemas and random tokens: each text is complete, is JSON, and is valid. */
import { Ajv2020 } from 'ajv/dist/2020.js';
import { expect, test } from 'vitest';
import { GrammarError } from '../../../src/grammar/grammar-error.ts';
import { Grammar } from '../../../src/grammar/matching/grammar.ts';
import type { Json } from '../../../src/grammar/output-format.ts';
import type { Program } from '../../../src/grammar/program.ts';
import { randomDocument } from '../../support/grammar/random-schemas.ts';
import { draw, randomNumbers } from '../../support/grammar/random-tokens.ts';
import { generate, textOf } from '../../support/grammar/texts.ts';
import { PIECES, vocabularyOf } from '../../support/grammar/vocabularies.ts';
import { compileSchema } from '../schema/compile-schema.ts';

const SCHEMAS = 200;
const TEXTS = 6;
/** Tokens of a text: enough for the longest way to the end of these schemas. */
const TOKENS = 160;
const VOCABULARY = vocabularyOf(PIECES);

function compiled(schema: Json): Program | undefined {
  try {
    return compileSchema(schema);
  } catch (error) {
    if (error instanceof GrammarError) return undefined;
    throw error;
  }
}

test('texts of random tokens match their schemas', () => {
  const faults: string[] = [];
  let texts = 0;
  for (let round = 0; round < SCHEMAS; round += 1) {
    const schema = randomDocument();
    const program = compiled(schema);
    if (!program) continue;
    const validate = new Ajv2020({ strict: false, validateSchema: false, multipleOfPrecision: 9 }).compile(schema);
    for (const anyOrder of [undefined, true] as const) {
      const grammar = new Grammar({ ...program, ...(anyOrder && { anyOrder }) }, VOCABULARY, 256);
      for (let seed = 0; seed < TEXTS; seed += 1) {
        const { ids, complete } = generate(grammar.start(), TOKENS, draw(randomNumbers(seed)));
        const text = textOf(ids, VOCABULARY);
        texts += 1;
        if (!complete) faults.push(`incomplete: ${text} ${JSON.stringify(schema)}`);
        else if (!validate(JSON.parse(text))) faults.push(`not valid: ${text} ${JSON.stringify(schema)}`);
      }
    }
  }
  expect(faults).toEqual([]);
  expect(texts).toBeGreaterThan(SCHEMAS * TEXTS);
});

/** Random schemas and values: the grammar of a schema accepts what ajv accepts, or the schema is refused. */
import { Ajv2020 } from 'ajv/dist/2020.js';
import { expect, test } from 'vitest';
import { GrammarError } from '../../../src/grammar/grammar-error.ts';
import type { Json } from '../../../src/grammar/output-format.ts';
import type { Program } from '../../../src/grammar/program.ts';
import { randomDocument, randomValue, several } from '../../support/grammar/random-schemas.ts';
import { accepts, compileSchema } from './compile-schema.ts';

const SCHEMAS = 150;
const VALUES = 40;
function compiled(schema: Json): Program | GrammarError {
  try {
    return compileSchema(schema);
  } catch (error) {
    if (error instanceof GrammarError) return error;
    throw error;
  }
}

test('agrees with ajv', () => {
  const faults: string[] = [];
  let [compiledSchemas, acceptedValues] = [0, 0];
  for (let round = 0; round < SCHEMAS; round += 1) {
    const schema = randomDocument();
    const validate = new Ajv2020({ strict: false, validateSchema: false }).compile(schema);
    const program = compiled(schema);
    if (program instanceof GrammarError && program.problem !== 'unsatisfiable') continue;
    if (!(program instanceof GrammarError)) compiledSchemas += 1;
    for (const value of several(VALUES, VALUES, () => randomValue(2))) {
      const isRight = validate(value);
      if (isRight) acceptedValues += 1;
      const isAccepted = !(program instanceof GrammarError) && accepts(program, value);
      if (isAccepted !== isRight)
        faults.push(`${isRight ? 'wrong reject' : 'wrong accept'}: ${JSON.stringify(value)} ${JSON.stringify(schema)}`);
    }
  }
  expect(faults).toEqual([]);
  expect(compiledSchemas).toBeGreaterThan(0.7 * SCHEMAS);
  expect(acceptedValues).toBeGreaterThan(SCHEMAS * VALUES * 0.1);
});

/** The test suite of JSON Schema: a schema is refused, or its grammar accepts exactly the valid values. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { GrammarError } from '../../../src/grammar/grammar-error.ts';
import type { Json } from '../../../src/grammar/output-format.ts';
import type { Program } from '../../../src/grammar/program.ts';
import { accepts, compileSchema } from './compile-schema.ts';

interface Case {
  readonly description: string;
  readonly schema: Json;
  readonly tests: readonly { readonly description: string; readonly data: unknown; readonly valid: boolean }[];
}

const FOLDER = join(import.meta.dirname, 'suite');
const VERSIONS = { 'draft2020-12': undefined, draft7: 'http://json-schema.org/draft-07/schema#' } as const;

/** Schemas of draft-07 have no `$schema` in the suite: a client states it. */
function schemaOf(schema: Json, version: keyof typeof VERSIONS): Json {
  const name = VERSIONS[version];
  if (name === undefined || typeof schema !== 'object' || schema === null || Array.isArray(schema)) return schema;
  return { $schema: name, ...schema };
}

type Outcome = { readonly program: Program } | { readonly refusal: GrammarError };

function outcomeOf(schema: Json): Outcome {
  try {
    return { program: compileSchema(schema) };
  } catch (error) {
    if (error instanceof GrammarError) return { refusal: error };
    throw error;
  }
}

/** What disagrees with the suite. */
function faultsOf({ schema, tests }: Case, version: keyof typeof VERSIONS): { faults: string[]; refused?: string } {
  const outcome = outcomeOf(schemaOf(schema, version));
  if ('program' in outcome)
    return {
      faults: tests
        .filter(({ data, valid }) => accepts(outcome.program, data) !== valid)
        .map(({ description, valid }) => `${valid ? 'wrong reject' : 'wrong accept'}: ${description}`),
    };
  const { problem, path, message } = outcome.refusal;
  const place = `${path.join('/')} ${message}`;
  if (problem === 'unsatisfiable')
    return { faults: tests.filter(({ valid }) => valid).map(({ description }) => `unsatisfiable: ${description}`) };
  if (problem === 'unsupported') return { faults: [], refused: place };
  return { faults: [`${problem}: ${place}`] };
}

for (const version of Object.keys(VERSIONS) as (keyof typeof VERSIONS)[])
  describe(`JSON-Schema-Test-Suite ${version}`, () => {
    const files = readdirSync(join(FOLDER, version), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.json'))
      .sort();
    const refusals: Record<string, string[]> = {};

    test.each(files)('%s', (file) => {
      const cases = JSON.parse(readFileSync(join(FOLDER, version, file), 'utf8')) as Case[];
      const faults = cases.flatMap((each) => {
        const result = faultsOf(each, version);
        if (result.refused !== undefined) {
          refusals[file] ??= [];
          refusals[file].push(`${each.description}: ${result.refused}`);
        }
        return result.faults.map((fault) => `${each.description}: ${fault}`);
      });
      expect(faults).toEqual([]);
    });

    test('refuses no more schemas than these', () => {
      expect(refusals).toMatchSnapshot();
    });
  });

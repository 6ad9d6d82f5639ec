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

type Version = keyof typeof VERSIONS;

/** Number of refused schemas of each file; all other schemas compile. */
const REFUSED: Readonly<Record<Version, Readonly<Record<string, number>>>> = {
  'draft2020-12': {
    'maxContains.json': 4,
    'minContains.json': 3,
    'uniqueItems.json': 3,
    'unevaluatedItems.json': 8,
    'unevaluatedProperties.json': 4,
    // A factor that is no decimal with few digits.
    'multipleOf.json': 1,
    // `unevaluatedProperties` inside of `not`.
    'not.json': 1,
    // Other documents: the schema of schemas.
    'defs.json': 1,
    'ref.json': 1,
  },
  draft7: {
    'uniqueItems.json': 3,
    'multipleOf.json': 1,
    'definitions.json': 1,
    'ref.json': 1,
  },
};

/** Values that the automaton of a format refuses although the standard allows them. */
const NARROWER: Readonly<Record<string, number>> = {
  // Leap seconds; fractions of a second of more than nine digits.
  'draft2020-12/optional/format/date-time.json': 3,
  'draft7/optional/format/date-time.json': 3,
  'draft2020-12/optional/format/time.json': 6,
  'draft7/optional/format/time.json': 6,
  // Numbers of more than nine digits.
  'draft2020-12/optional/format/duration.json': 1,
  // Quoted names, and addresses in brackets; the file of draft-07 does not test them.
  'draft2020-12/optional/format/email.json': 5,
  // Labels with `--` at their third and fourth place, whose rules need the tables of IDNA.
  'draft2020-12/optional/format/hostname.json': 15,
  'draft7/optional/format/hostname.json': 15,
};

/** Schemas of draft-07 have no `$schema` in the suite: a client states it. */
function schemaOf(schema: Json, version: Version): Json {
  const name = VERSIONS[version];
  if (name === undefined || typeof schema !== 'object' || schema === null || Array.isArray(schema)) return schema;
  return { $schema: name, ...schema };
}

function casesOf(version: Version, file: string): Case[] {
  return JSON.parse(readFileSync(join(FOLDER, version, file), 'utf8')) as Case[];
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

interface Result {
  /** Where the grammar disagrees with the suite. */
  readonly faults: readonly string[];
  readonly isRefused: boolean;
}

function resultOf({ schema, tests }: Case, version: Version): Result {
  const outcome = outcomeOf(schemaOf(schema, version));
  if ('program' in outcome) {
    const wrong = tests.filter(({ data, valid }) => accepts(outcome.program, data) !== valid);
    const faults = wrong.map(({ description, valid }) => `${valid ? 'wrong reject' : 'wrong accept'}: ${description}`);
    return { faults, isRefused: false };
  }
  const { problem, path, message } = outcome.refusal;
  if (problem === 'unsupported') return { faults: [], isRefused: true };
  const valid = tests.filter((each) => each.valid).map(({ description }) => `no value: ${description}`);
  if (problem === 'unsatisfiable') return { faults: valid, isRefused: false };
  return { faults: [`${problem}: ${path.join('/')} ${message}`], isRefused: false };
}

for (const version of Object.keys(VERSIONS) as Version[])
  describe(`JSON-Schema-Test-Suite ${version}`, () => {
    const files = readdirSync(join(FOLDER, version), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.json'))
      .sort();
    const refusals: Record<string, number> = {};

    test.each(files)('%s', (file) => {
      const faults = casesOf(version, file).flatMap((each) => {
        const result = resultOf(each, version);
        if (result.isRefused) refusals[file] = (refusals[file] ?? 0) + 1;
        return result.faults.map((fault) => `${each.description}: ${fault}`);
      });
      const rejects = faults.filter((fault) => fault.includes('wrong reject'));
      const [isFormat, narrower] = [file.includes('format/'), NARROWER[`${version}/${file}`] ?? 0];
      expect(isFormat ? faults.filter((fault) => !rejects.includes(fault)) : faults).toEqual([]);
      if (isFormat) expect(rejects.length, rejects.join('\n')).toBe(narrower);
    });

    test('a schema is refused only for these keywords', () => {
      expect(refusals).toEqual(REFUSED[version]);
    });
  });

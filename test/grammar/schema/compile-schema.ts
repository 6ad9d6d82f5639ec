/** Compiles schemas for tests, with a clock that stands still: only the number of states ends a compilation. */
import { Budget } from '../../../src/grammar/budget.ts';
import { GrammarError } from '../../../src/grammar/grammar-error.ts';
import type { Json } from '../../../src/grammar/output-format.ts';
import type { Program } from '../../../src/grammar/program.ts';
import { ProgramBuilder } from '../../../src/grammar/program-builder.ts';
import { addSchema, type SchemaOptions } from '../../../src/grammar/schema/schema.ts';
import { recognizes } from '../../support/grammar/recognizer.ts';
import { automatonAccepts } from '../../support/grammar/texts.ts';

export function compileSchema(schema: Json, options: SchemaOptions = {}): Program {
  const builder = new ProgramBuilder(new Budget(() => 0));
  return builder.program(addSchema(builder, schema, options));
}

/**
 * True if a schema accepts a value in the spelling of JSON.stringify, with members in any order.
 * @throws Error if the automaton and the simple recognizer disagree
 */
export function accepts(program: Program, value: unknown): boolean {
  const text = JSON.stringify(value);
  const isAccepted = recognizes(program, text);
  if (automatonAccepts({ ...program, anyOrder: true }, text) !== isAccepted)
    throw new Error(`The automaton ${isAccepted ? 'refuses' : 'accepts'} ${text}, unlike the recognizer.`);
  return isAccepted;
}

/** The values of a list that a schema accepts. */
export function acceptedBy(schema: Json, values: readonly unknown[]): unknown[] {
  const program = compileSchema(schema);
  return values.filter((value) => accepts(program, value));
}

/** The error of a schema that must not compile, as `problem path: message`. */
export function refusalOf(schema: Json, budget = new Budget(() => 0)): GrammarError {
  try {
    const builder = new ProgramBuilder(budget);
    builder.program(addSchema(builder, schema));
  } catch (error) {
    if (error instanceof GrammarError) return error;
    throw error;
  }
  throw new Error('The schema compiled.');
}

/** Compiles the grammar of one output. Pure. */
import type { Budget } from '../../grammar/budget.ts';
import { addFormat } from '../../grammar/compile.ts';
import { packProgram } from '../../grammar/packed-program.ts';
import { ProgramBuilder, statesOf } from '../../grammar/program-builder.ts';
import type { CompiledSource } from './compile-messages.ts';
import { placeIn } from './place.ts';
import type { GrammarSource } from './source.ts';

/** Places of keywords without an effect that are reported. */
export const MAX_REPORTED = 16;

/** @throws GrammarError with a path in the schema */
export function compileSource({ format }: GrammarSource, budget: Budget): CompiledSource {
  const builder = new ProgramBuilder(budget);
  const withoutEffect: string[] = [];
  const ignored = (path: readonly (string | number)[]): void => {
    if (withoutEffect.length < MAX_REPORTED) withoutEffect.push(placeIn('', path));
  };
  const program = builder.program(addFormat(builder, format, { ignored }));
  const states = program.nodes.reduce((sum, node) => sum + statesOf(node), 0);
  return { program: packProgram(program), states, withoutEffect };
}

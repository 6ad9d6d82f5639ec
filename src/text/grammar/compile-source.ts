/** Compiles the grammar of one output. Pure. */
import type { Budget } from '../../grammar/budget.ts';
import { addFormat } from '../../grammar/compile.ts';
import { GrammarError } from '../../grammar/grammar-error.ts';
import type { OutputFormat } from '../../grammar/output-format.ts';
import { packProgram } from '../../grammar/packed-program.ts';
import type { NodeId } from '../../grammar/program.ts';
import { ProgramBuilder, statesOf } from '../../grammar/program-builder.ts';
import { addCalls } from '../tools/constraint/add-calls.ts';
import type { CallsSource } from '../tools/constraint/source.ts';
import type { CompiledSource } from './compile-messages.ts';
import { placeIn } from './place.ts';
import type { GrammarSource } from './source.ts';

/** Places of keywords without an effect that are reported. */
export const MAX_REPORTED = 16;

type Path = readonly (string | number)[];

/**
 * Compiles a source. If the schema of a tool that is not strict is too complex, the source is compiled once
 * more: the calls of such tools then have any object as their arguments.
 * @param newBudget the budget of each attempt
 * @throws GrammarError with a path in the form; for calls, the path begins with `format`, or with `tools`,
 *   the index of the tool and `parameters`
 */
export function compileSource(source: GrammarSource, newBudget: () => Budget): CompiledSource {
  try {
    return compileOnce(source, newBudget());
  } catch (error) {
    const loose = source.kind === 'calls' && error instanceof GrammarError && withLooseTools(source.calls, error);
    if (!loose) throw error;
    return compileOnce({ kind: 'calls', calls: loose }, newBudget());
  }
}

function compileOnce(source: GrammarSource, budget: Budget): CompiledSource {
  const builder = new ProgramBuilder(budget);
  const withoutEffect: string[] = [];
  const report = (path: Path): void => {
    if (withoutEffect.length < MAX_REPORTED) withoutEffect.push(placeIn('', path));
  };
  const root = addSource(builder, source, report);
  const program = builder.program(root);
  const states = program.nodes.reduce((sum, node) => sum + statesOf(node), 0);
  return { program: packProgram(program), states, withoutEffect };
}

/** @param report called for a keyword or a schema that does not restrict the output */
function addSource(builder: ProgramBuilder, source: GrammarSource, report: (path: Path) => void): NodeId {
  const add = (own: ProgramBuilder, format: OutputFormat): NodeId => addFormat(own, format, { ignored: report });
  if (source.kind === 'format') return add(builder, source.format);
  for (const index of source.calls.loose ?? []) report(['tools', index, 'parameters']);
  const onLoose = (_: number, { path }: GrammarError): void => report(path);
  return addCalls(builder, source.calls, { addFormat: add, onLoose, ignored: report });
}

/**
 * The source without the schemas of the tools that are not strict, if one of them is too complex; undefined
 * for every other error.
 */
function withLooseTools(calls: CallsSource, { problem, path: [part, index] }: GrammarError): CallsSource | undefined {
  if (problem !== 'too_complex' || part !== 'tools' || calls.loose) return undefined;
  if (typeof index !== 'number' || calls.tools[index]?.strict === true) return undefined;
  const loose = calls.tools.flatMap(({ strict }, at) => (strict === true ? [] : [at]));
  return { ...calls, loose };
}

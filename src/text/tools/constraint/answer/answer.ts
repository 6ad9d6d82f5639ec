/** The answer of a demanded form, without texts that the reader takes for something else. Pure. */
import { GrammarError } from '../../../../grammar/grammar-error.ts';
import type { NodeId } from '../../../../grammar/program.ts';
import type { ProgramBuilder } from '../../../../grammar/program-builder.ts';
import { callStops } from '../free.ts';
import { harmonyStops } from '../harmony.ts';
import { avoiding, Rewriter } from '../rewrite.ts';
import type { CallsSource } from '../source.ts';
import type { Writer } from '../writer.ts';
import { isBare, withoutCalls } from './no-call.ts';

/** Adds the nodes of a demanded form. Its errors have a path in the form. */
export type AddFormat = (builder: ProgramBuilder, format: NonNullable<CallsSource['format']>) => NodeId;

/**
 * Adds the answer; undefined if the request demands no form.
 * @throws GrammarError with a path that begins with `format`
 */
export function addAnswer(writer: Writer, source: CallsSource, addFormat: AddFormat): NodeId | undefined {
  const { format, calls, tools, choice } = source;
  if (!format) return undefined;
  try {
    const root = addFormat(writer.builder, format);
    const offers = tools.length > 0 && choice !== 'none';
    const stops = calls.style === 'harmony' ? harmonyStops : offers ? callStops(calls) : [];
    const written = stops.length === 0 ? root : new Rewriter(writer, avoiding(writer, stops)).rewrite(root);
    const answer = offers && isBare(calls) ? withoutCalls(writer, source, written) : written;
    if (!writer.builder.exists(answer)) throw new GrammarError('unsatisfiable', [], ONLY_CALLS);
    return answer;
  } catch (error) {
    if (!(error instanceof GrammarError)) throw error;
    throw new GrammarError(error.problem, ['format', ...error.path], error.message);
  }
}

const ONLY_CALLS =
  'allows only texts that mean a call or a marker in the format of the model; use other texts, or send no tools';

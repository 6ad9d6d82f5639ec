/**
 * The grammar of an output of a conversation: reasoning, then an answer of a demanded form, or tool calls.
 * The output that the grammar lets through is the output that the reader (reading/output-reader.ts) divides
 * into the same parts. Pure.
 */
import type { GrammarError } from '../../../grammar/grammar-error.ts';
import type { NodeId } from '../../../grammar/program.ts';
import type { ProgramBuilder } from '../../../grammar/program-builder.ts';
import { type AddFormat, addAnswer } from './answer/answer.ts';
import { CallArguments, type OnLoose } from './arguments.ts';
import { Calls } from './calls.ts';
import { endOf, freeWithCalls } from './free.ts';
import { harmonyAnswer, harmonyCall, harmonyLead, harmonyText } from './harmony.ts';
import { leadOf } from './reasoning.ts';
import type { CallsSource } from './source.ts';
import { Writer } from './writer.ts';

export interface CallsOptions {
  readonly addFormat: AddFormat;
  /** Called for each tool whose arguments are any object, because its schema cannot be compiled. */
  readonly onLoose: OnLoose;
  /** Called for each keyword of a tool's schema that has no effect, with a path as those of errors. */
  readonly ignored?: (path: GrammarError['path']) => void;
}

/**
 * True if a grammar constrains an output: a call is demanded, a tool is strict, or the answer has a form. All
 * other outputs stay free.
 */
export function constrains({ tools, choice, format }: Omit<CallsSource, 'specialIds'>): boolean {
  if (format !== undefined) return true;
  if (tools.length === 0 || choice === 'none') return false;
  return choice !== 'auto' || tools.some(({ strict }) => strict === true);
}

/**
 * Adds the grammar of an output of which `constrains` is true.
 *
 * - `required` or a name: the rest of the first call; more calls if the request and the format allow them.
 *   The arguments match the schema, whether the tool is strict or not.
 * - `auto` with a form: the answer of this form, or calls.
 * - `auto` without a form: any text with calls in it. The arguments of strict tools match the schema, those
 *   of others are any object.
 * - No tools: the answer of the form.
 *
 * A reasoning comes first, except before a demanded call, whose beginning is in the prompt.
 * @throws GrammarError with a path that begins with `format`, or with `tools`, an index and `parameters`
 */
export function addCalls(builder: ProgramBuilder, source: CallsSource, options: CallsOptions): NodeId {
  const writer = new Writer(builder, source.specialIds);
  const callArguments = new CallArguments(writer, source, options);
  const { calls: format, choice, tools } = source;
  const isHarmony = format.style === 'harmony';
  if (tools.length > 0 && (choice === 'required' || typeof choice === 'object')) {
    const begun = choice === 'required' ? 'opening' : 'name';
    if (isHarmony) return harmonyCall(writer, source, callArguments, begun);
    return writer.sequence(new Calls(writer, source, callArguments).all(begun), endOf(writer, format));
  }
  const answer = addAnswer(writer, source, options.addFormat);
  const offers = tools.length > 0 && choice !== 'none';
  if (isHarmony) {
    const bodies = [harmonyAnswer(writer, answer ?? harmonyText(writer))];
    if (offers) bodies.push(harmonyCall(writer, source, callArguments, 'nothing'));
    // The request has begun the answer: no header follows.
    if (source.continues) return answer ?? harmonyText(writer);
    return writer.sequence(addLead(writer, source), writer.choice(...bodies));
  }
  const lead = addLead(writer, source);
  if (!offers) return writer.sequence(lead, answer ?? writer.choice());
  const calls = new Calls(writer, source, callArguments);
  if (answer === undefined) return writer.sequence(lead, freeWithCalls(writer, source, calls));
  return writer.sequence(lead, writer.choice(answer, writer.sequence(calls.all('nothing'), endOf(writer, format))));
}

/** The part of an output before its answer: reasoning, or nothing. */
function addLead(writer: Writer, source: CallsSource): NodeId {
  return source.calls.style === 'harmony' ? harmonyLead(writer, source) : leadOf(writer, source);
}

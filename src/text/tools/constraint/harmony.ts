/** The messages of gpt-oss as a grammar, behind `<|start|>assistant` of the prompt. Pure. */
import type { NodeId } from '../../../grammar/program.ts';
import { HARMONY_MARKERS } from '../reading/harmony.ts';
import type { CallArguments } from './arguments.ts';
import type { CallsSource } from './source.ts';
import { textWithout, type Writer } from './writer.ts';

const ANALYSIS = '<|channel|>analysis<|message|>';
const COMMENTARY = '<|channel|>commentary<|message|>';
const FINAL = '<|channel|>final<|message|>';
/** Ends a message that others follow. */
const NEXT = '<|end|><|start|>assistant';
/** Markers that end a body for the reader: none shows inside of a body. */
const BODY_STOPS = HARMONY_MARKERS.filter((marker) => marker !== '<|message|>' && marker !== '<|constrain|>');

/** True for text that a body of a message may have, for values of JSON. */
export const harmonyStops: readonly string[] = BODY_STOPS;

/**
 * Messages before the answer: thoughts, and the texts before calls if there are tools. Such a text counts as
 * an answer, so an answer of a form has none.
 */
export function harmonyLead(writer: Writer, { tools, format }: Pick<CallsSource, 'tools' | 'format'>): NodeId {
  const message = (header: string): NodeId =>
    writer.sequence(writer.text(header), harmonyText(writer), writer.text(NEXT));
  const messages = [message(ANALYSIS), ...(tools.length > 0 && !format ? [message(COMMENTARY)] : [])];
  return writer.repeat(writer.choice(...messages));
}

/** The last message, with this body. */
export const harmonyAnswer = (writer: Writer, body: NodeId): NodeId =>
  writer.sequence(writer.text(FINAL), body, writer.optional(writer.text('<|return|>')));

/** Any body of a message. */
export const harmonyText = (writer: Writer): NodeId => writer.chars(textWithout(BODY_STOPS, writer.builder.budget));

/**
 * One call.
 * @param begun the part of the call that the prompt holds
 */
export function harmonyCall(
  writer: Writer,
  source: CallsSource,
  callArguments: CallArguments,
  begun: 'nothing' | 'opening' | 'name',
): NodeId {
  const { tools, choice, calls } = source;
  const allowed = typeof choice === 'object' ? tools.filter(({ name }) => name === choice.name) : tools;
  const bodies = allowed.map((tool) => {
    const values = callArguments.of(tools.indexOf(tool));
    return begun === 'name' ? values : writer.sequence(writer.text(tool.name + calls.afterName), values);
  });
  const start = begun === 'nothing' ? [writer.text(calls.opening)] : [];
  // The marker ends the output: it is an end of sequence of these models.
  return writer.sequence(...start, writer.choice(...bodies), writer.optional(writer.text(calls.callClose)));
}

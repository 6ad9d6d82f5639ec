/** The reasoning before an answer as a grammar. Pure. */
import type { NodeId } from '../../../grammar/program.ts';
import { partsOf } from '../reading/input.ts';
import type { CallsSource } from './source.ts';
import { stopOf, textWithout, type Writer } from './writer.ts';

/** UTF-16 units of the shortest marker of a call that the reader looks for in a reasoning. */
const SHORTEST_MARKER = 3;

/**
 * The reasoning at the beginning of an output, up to its end marker and the line breaks behind: the rest of a
 * reasoning that the prompt has begun, or a whole one, which may be absent. The reasoning is free, except
 * that no call begins inside of it: the reader would end the reasoning there.
 */
export function leadOf(
  writer: Writer,
  source: Pick<CallsSource, 'reasoning' | 'calls' | 'tools' | 'inReasoning'>,
): NodeId {
  const { reasoning, calls, tools, inReasoning } = source;
  if (!reasoning) return writer.sequence();
  const { open, close, closing } = reasoning;
  const markers = tools.length === 0 ? [] : [partsOf(calls.sectionOpen)[0] ?? '', partsOf(calls.callOpen)[0] ?? ''];
  const call = markers.filter(({ length }) => length >= SHORTEST_MARKER);
  const stops = [stopOf(close), ...call.flatMap((marker) => [`\n${marker}`, open + marker])];
  const breaks = /^[\n\r]*/.exec(closing.trimStart().slice(close.length))?.[0].length ?? 0;
  const rest = writer.sequence(
    writer.chars(textWithout(stops, writer.builder.budget, '\n')),
    writer.text(close),
    writer.repeat(writer.text('\n'), 0, breaks + 1),
  );
  return inReasoning ? rest : writer.optional(writer.sequence(writer.text(open), rest));
}

/** An answer of any text that may have calls: free until the marker of a call, then as the call. Pure. */

import type { CharAutomaton, NodeId } from '../../../grammar/program.ts';
import { subtract } from '../../../grammar/regular/operations.ts';
import { patternAutomaton } from '../../../grammar/regular/pattern.ts';
import type { CallFormat } from '../output-profile.ts';
import { partsOf } from '../reading/input.ts';
import { isBare } from './answer/no-call.ts';
import type { Calls } from './calls.ts';
import type { CallsSource } from './source.ts';
import { textWithout, type Writer } from './writer.ts';

const SPACE = '[ \\t\\r\\n]*';

/**
 * A free text, then calls, then a free text, and so on. The text may end in each of its free parts.
 *
 * Calls of a format without markers are at the beginning of the output only, as the reader requires. An
 * output that begins with their first bracket is a call.
 */
export function freeWithCalls(writer: Writer, source: CallsSource, calls: Calls): NodeId {
  const { calls: format, parallel } = source;
  const all = calls.all('nothing');
  const free = writer.chars(textWithoutCalls(format, writer));
  if (!isBare(format)) {
    const more = writer.sequence(all, free);
    return writer.sequence(free, parallel ? writer.repeat(more) : writer.optional(more), endOf(writer, format));
  }
  const begun = withoutBeginning(format, writer);
  if (format.style !== 'json' || format.prefix === undefined) return writer.choice(all, begun);
  return writer.choice(all, writer.sequence(begun, writer.optional(writer.sequence(writer.text(format.prefix), all))));
}

/** The marker of a result of a call, at which the reader ends the output. */
export function endOf(writer: Writer, format: CallFormat): NodeId {
  if (format.style !== 'gemma' || format.responseOpen === undefined) return writer.sequence();
  return writer.optional(writer.text(format.responseOpen));
}

/** The texts that begin calls anywhere in an answer, for the reader (reading/call-markers.ts). */
export function callStops(format: CallFormat): string[] {
  const open = partsOf(format.callOpen);
  const texts = [partsOf(format.sectionOpen)[0], open[0], ...open.filter((part) => /^[<[]/.test(part))];
  if (format.style === 'json') texts.push(partsOf(format.prefix ?? '')[0]);
  if (format.style === 'gemma') texts.push(format.responseOpen);
  return [...new Set(texts.flatMap((text) => (text ? [text] : [])))];
}

/** A marker that is a word, such as `functools`, begins a call only with a bracket. */
const isWord = (marker: string): boolean => /^\w+$/.test(marker);

/** The texts without a beginning of a call. */
function textWithoutCalls(format: CallFormat, writer: Writer): CharAutomaton {
  const { budget } = writer.builder;
  const stops = callStops(format);
  // The key of the list of calls at the beginning of a line.
  if (format.style === 'json' && format.wrapper !== undefined) stops.push(JSON.stringify(format.wrapper));
  const text = textWithout(
    stops.filter((stop) => !isWord(stop)),
    budget,
  );
  const words = stops.filter(isWord).map((word) => `${word}${SPACE}\\[?${SPACE}\\{`);
  return words.length === 0 ? text : without(text, words.join('|'), writer);
}

/** The texts of `textWithoutCalls` that do not begin with the bracket of a call without markers. */
function withoutBeginning(format: CallFormat, writer: Writer): NodeId {
  const fence = format.style === 'json' && format.wrapper !== undefined ? `(?:\`\`\`(?:json)?${SPACE})?` : '';
  const start = `^${SPACE}${fence}${format.list ? '\\[' : '\\{'}`;
  return writer.chars(without(textWithoutCalls(format, writer), start, writer));
}

/** The texts in which a pattern matches nowhere. */
function without(text: CharAutomaton, pattern: string, { builder: { budget } }: Writer): CharAutomaton {
  const found = patternAutomaton(pattern, 'search', budget);
  const rest = found ? subtract(text, found, budget) : text;
  if (!rest) throw new Error(`every text has a beginning of a call: ${pattern}`);
  return rest;
}

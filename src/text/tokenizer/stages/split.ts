/**
 * Splits pieces of a text at the matches of an expression, in the five ways of the Rust library
 * (`SplitDelimiterBehavior`). Pure.
 */
import { z } from 'zod';

/** Pieces of a text, none of them empty. */
export interface Pieces {
  readonly texts: readonly string[];
  /** True if the first piece is the beginning of the whole text, with no added token before it. */
  readonly atStart: boolean;
}
/**
 * Cuts pieces.
 * @param most UTF-16 units of the longest text that a step may make, all pieces together
 * @throws EncodeError `too_much_text` if a step makes more
 */
export type PreTokenize = (pieces: Pieces, most: number) => Pieces;

/** Use of the matches: dropped, separate pieces, or merged with a neighbour. */
export const behaviors = z.enum(['Removed', 'Isolated', 'MergedWithPrevious', 'MergedWithNext', 'Contiguous']);
type Behavior = z.infer<typeof behaviors>;

interface Span {
  readonly from: number;
  readonly to: number;
  readonly matched: boolean;
}

/**
 * @param expression must be global
 * @param invert swaps the roles: text between matches counts as matched
 */
export function splitOn(expression: RegExp, behavior: Behavior, invert = false): (pieces: Pieces) => Pieces {
  return ({ texts, atStart }) => {
    const pieces: string[] = [];
    let first = atStart;
    texts.forEach((text, index) => {
      const whole = behavior === 'Isolated' ? matchesOf(text, expression) : undefined;
      const spans = whole
        ? []
        : GROUPED[behavior](spansOf(text, expression, invert)).filter(({ from, to }) => from < to);
      for (const piece of whole ?? spans.map(({ from, to }) => text.slice(from, to))) pieces.push(piece);
      if (index === 0 && !whole) first = atStart && spans[0]?.from === 0;
    });
    return { texts: pieces, atStart: first };
  };
}

/**
 * The matches, if they cover the whole text, as with nearly every model. Four times as fast as `matchAll`.
 */
function matchesOf(text: string, expression: RegExp): readonly string[] | undefined {
  const matches: readonly string[] = text.match(expression) ?? [];
  const length = matches.reduce((sum, match) => sum + match.length, 0);
  return length === text.length && !matches.includes('') ? matches : undefined;
}

function spansOf(text: string, expression: RegExp, invert: boolean): Span[] {
  const spans: Span[] = [];
  let end = 0;
  for (const { index, 0: match } of text.matchAll(expression)) {
    if (end < index) spans.push({ from: end, to: index, matched: invert });
    end = index + match.length;
    spans.push({ from: index, to: end, matched: !invert });
  }
  if (end < text.length) spans.push({ from: end, to: text.length, matched: invert });
  return spans;
}

/** Spans of a text → the pieces that remain, in order. */
const GROUPED: Readonly<Record<Behavior, (spans: readonly Span[]) => readonly Span[]>> = {
  Isolated: (spans) => spans,
  Removed: (spans) => spans.filter(({ matched }) => !matched),
  Contiguous: (spans) => merged(spans, (span, previous) => span.matched === previous.matched),
  MergedWithPrevious: (spans) => merged(spans, (span, previous) => span.matched && !previous.matched),
  MergedWithNext: (spans) => merged(spans, (span, previous) => previous.matched && !span.matched),
};

/**
 * Merges a span with the span before it where `together` is true. `together` gets both as they were split.
 */
function merged(spans: readonly Span[], together: (span: Span, previous: Span) => boolean): Span[] {
  const groups: Span[] = [];
  spans.forEach((span, at) => {
    const previous = spans[at - 1];
    const group = groups.at(-1);
    if (group && previous && together(span, previous)) groups[groups.length - 1] = { ...group, to: span.to };
    else groups.push(span);
  });
  return groups;
}

/**
 * Operations of the stages that can make a text longer. Each one stops before the text is longer than its
 * limit: a tokenizer.json that replaces one letter with a thousand, twice, would otherwise make gigabytes.
 * Pure.
 */
import { checkUnits } from '../encode-error.ts';

/**
 * Replaces all matches. Measures the result before it is built.
 * @param expression must be global
 * @throws EncodeError `too_much_text` if the result has more than `most` UTF-16 units
 */
export function replaceBounded(text: string, expression: RegExp, content: string, most: number): string {
  let units = text.length;
  return text.replaceAll(expression, (match) => {
    units += content.length - match.length;
    // Matches that shrink the text may still follow; they cannot shrink it by more than its own length.
    checkUnits(units - text.length, most);
    return content;
  });
}

/**
 * Applies a function to every text. Stops when the results together are too long.
 * @throws EncodeError `too_much_text` if they have more than `most` UTF-16 units
 */
export function mapBounded(
  texts: readonly string[],
  change: (text: string, index: number) => string,
  most: number,
): readonly string[] {
  let units = 0;
  return texts.map((text, index) => {
    const changed = change(text, index);
    units += changed.length;
    checkUnits(units, most);
    return changed;
  });
}

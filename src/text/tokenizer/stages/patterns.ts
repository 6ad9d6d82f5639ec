/**
 * Translates the patterns of a tokenizer.json, written for Oniguruma, into JavaScript regular expressions.
 * The library translates most of them; this file adds the missing case folds. Pure.
 */
import { SplitPreTokenizer } from '@huggingface/tokenizers';
import { z } from 'zod';

export const patternFields = z.union([z.object({ String: z.string() }), z.object({ Regex: z.string() })]);

/** ASCII letters to which a non-ASCII character folds: ſ (long s) and the Kelvin sign. */
const FOLDED = new Map([
  ['s', '\u{17F}'],
  ['k', '\u{212A}'],
]);

/**
 * A global expression with Unicode semantics.
 * @throws SyntaxError if the pattern uses a feature that JavaScript lacks.
 */
export function expressionOf(pattern: z.infer<typeof patternFields>): RegExp {
  if ('String' in pattern) return new RegExp(pattern.String.replaceAll(/[.*+?^${}()|[\]\\/]/g, '\\$&'), 'gu');
  const Regex = withFolds(pattern.Regex);
  const { pattern: expression } = new SplitPreTokenizer({ type: 'Split', pattern: { Regex }, behavior: 'Isolated' });
  if (expression === null) throw new SyntaxError('a part has no pattern');
  return expression;
}

/**
 * Adds the non-ASCII case folds to the letters inside `(?i:…)`. The library folds A to Z only, but Llama 3
 * treats `'ſ` as a contraction.
 */
function withFolds(source: string): string {
  const groups: boolean[] = [];
  let inClass = false;
  return source.replaceAll(/\\(?:[pP]\{[^}]*\}|.)|\(\?i:|[()[\]]|[skSK]/gsu, (part) => {
    if (part === '[') inClass = true;
    else if (part === ']') inClass = false;
    else if (part === ')' && !inClass) groups.pop();
    else if (part.startsWith('(') && !inClass) groups.push(part === '(?i:' || groups.at(-1) === true);
    const fold = groups.at(-1) ? FOLDED.get(part.toLowerCase()) : undefined;
    if (fold === undefined) return part;
    return inClass ? part + fold : `[${part}${fold}]`;
  });
}

/**
 * Unicode white space, the meaning of `\s` in the Rust library. JavaScript's `\s` includes U+FEFF and
 * excludes U+0085.
 */
export const SPACE = '\\p{White_Space}';

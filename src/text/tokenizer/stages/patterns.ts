/**
 * The patterns of a tokenizer.json, written for Oniguruma, as regular expressions of this language. The library translates; what it
 * leaves out is put right here. Touches nothing.
 */
import { SplitPreTokenizer } from '@huggingface/tokenizers';
import { z } from 'zod';

export const patternFields = z.union([z.object({ String: z.string() }), z.object({ Regex: z.string() })]);

/** Letters of the ASCII alphabet that a character beyond it folds to: ſ (long s) and the Kelvin sign. */
const FOLDED = new Map([
  ['s', '\u{17F}'],
  ['k', '\u{212A}'],
]);

/**
 * A global expression with Unicode semantics.
 * @throws SyntaxError: the pattern uses what has no counterpart here.
 */
export function expressionOf(pattern: z.infer<typeof patternFields>): RegExp {
  if ('String' in pattern) return new RegExp(pattern.String.replaceAll(/[.*+?^${}()|[\]\\/]/g, '\\$&'), 'gu');
  const Regex = withFolds(pattern.Regex);
  const { pattern: expression } = new SplitPreTokenizer({ type: 'Split', pattern: { Regex }, behavior: 'Isolated' });
  if (expression === null) throw new SyntaxError('no pattern');
  return expression;
}

/** Adds to the letters inside `(?i:…)` what folds to them, which the library does for A to Z only: `'ſ` is a contraction to Llama 3. */
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

/** Unicode's white space: what `\s` means to the Rust library (here `\s` has U+FEFF instead of U+0085). */
export const SPACE = '\\p{White_Space}';

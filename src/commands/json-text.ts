/** JSON for programs, which a terminal can show. Pure. */

/** The characters that the terminal of the commands would remove. */
const HIDDEN =
  /[\p{Cc}\p{Cf}\p{Co}\p{Cs}\p{Default_Ignorable_Code_Point}\p{Noncharacter_Code_Point}\u2028\u2029\u2800\u3000]/gu;

const escaped = (hidden: string): string =>
  Array.from({ length: hidden.length }, (_, at) => hidden.charCodeAt(at).toString(16).padStart(4, '0'))
    .map((code) => `\\u${code}`)
    .join('');

/**
 * A value as an indented document. Hidden characters are escaped, so that the text is harmless and its value
 * is exact.
 */
export const jsonText = (value: unknown): string =>
  `${JSON.stringify(value, null, 2)
    .split('\n')
    .map((line) => line.replace(HIDDEN, escaped))
    .join('\n')}\n`;

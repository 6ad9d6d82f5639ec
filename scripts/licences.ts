/** The licences that packages may have, and the rule that an SPDX expression is allowed. Pure. */

/** For packages that are installed with the worker: permissive licences, which ask for a notice only. */
export const ALLOWED: readonly string[] = [
  '0BSD',
  'Apache-2.0',
  'BSD-2-Clause',
  'BSD-3-Clause',
  'CC0-1.0',
  'ISC',
  'MIT',
];
/**
 * Also for tools of the checkout, which no user of the worker gets. MPL-2.0 concerns changes of the tool's own
 * files; PSF-2.0 and the Unlicense are permissive.
 */
export const ALLOWED_FOR_TOOLS: readonly string[] = [...ALLOWED, 'MPL-2.0', 'PSF-2.0', 'Unlicense'];

/**
 * True if an SPDX expression is allowed: one side of `OR`, both sides of `AND`. Parentheses group. An
 * expression with `WITH`, or in another form, is not allowed.
 */
export function isAllowed(expression: string | undefined, allowed: readonly string[]): boolean {
  if (expression === undefined) return false;
  const words = expression.match(/[()]|[^\s()]+/g) ?? [];
  let at = 0;
  const either = (): boolean => {
    let result = both();
    for (; words[at] === 'OR'; ) {
      at += 1;
      // Both sides are read, whatever the first one says.
      const other = both();
      result ||= other;
    }
    return result;
  };
  const both = (): boolean => {
    let result = one();
    for (; words[at] === 'AND'; ) {
      at += 1;
      const other = one();
      result &&= other;
    }
    return result;
  };
  const one = (): boolean => {
    const word = words[at];
    at += 1;
    if (word !== '(') return word !== undefined && allowed.includes(word);
    const result = either();
    const isClosed = words[at] === ')';
    at += 1;
    return result && isClosed;
  };
  const result = either();
  return result && at === words.length;
}

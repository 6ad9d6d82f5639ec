/** Numbers and words of JSON, of Python and of Gemma's notation. Pure. */
const NUMBER = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/;
const LITERALS = new Map([
  ...['true', 'false', 'null'].map((word) => [word, word] as const),
  ...([
    ['True', 'true'],
    ['False', 'false'],
    ['None', 'null'],
  ] as const),
]);

/** JSON of a number or a word; undefined if it is neither. */
export function scalarOf(text: string, notation: 'json' | 'python' | 'gemma'): string | undefined {
  const word = text.trim();
  if (NUMBER.test(word)) return word;
  const literal = LITERALS.get(word);
  if (literal !== undefined) return literal;
  if (notation === 'gemma') return JSON.stringify(word);
  if (notation === 'json' || !/^[-+]?[\d.]/.test(word)) return undefined;
  const number = Number(word.replaceAll('_', ''));
  return Number.isFinite(number) ? String(number) : undefined;
}

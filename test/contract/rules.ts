/**
 * Rules as pairs of a condition and its problem, and the rules of a narration's sentences.
 */
const LIMITS = { human: 100, cute: 150, story: 200 } as const;

/** The problems of the rules that do not hold. */
export function wrong(...rules: readonly (readonly [holds: boolean, problem: string])[]): string[] {
  return rules.filter(([holds]) => !holds).map(([, problem]) => problem);
}

/** Lengths in UTF-16 units, the strictest count. `cute` and `story` may be absent; `cute` has an emoji. */
export function narrationProblems(said: Readonly<Record<string, unknown>>): string[] {
  const cute = said['cute'];
  return wrong(
    ...Object.entries(LIMITS).map(([kind, most]) => {
      const text = String(said[kind] ?? '');
      return [text.length <= most, `${kind} has ${text.length} characters: ${text}`] as const;
    }),
    [typeof said['human'] === 'string' && said['human'] !== '', 'there is no human sentence'],
    [cute === undefined || /\p{Extended_Pictographic}/u.test(String(cute)), `cute has no emoji: ${cute}`],
  );
}

/**
 * Rules as pairs of a condition and its problem, and the rules of a narration's sentences.
 */
const LIMITS = { human: 100, cute: 150, story: 200 } as const;
/** Sentences of these levels have room for a remedy. */
const SEVERE = ['WARN', 'ERROR', 'FATAL'];
const SEVERE_HUMAN = 300;

/** The problems of the broken rules. */
export function brokenRules(...rules: readonly (readonly [holds: boolean, problem: string])[]): string[] {
  return rules.filter(([holds]) => !holds).map(([, problem]) => problem);
}

/** Lengths are in UTF-16 units, the strictest count. `cute`, `story` and, below WARN, `level` may be absent. */
export function narrationProblems(narration: Readonly<Record<string, unknown>>): string[] {
  const cute = narration['cute'];
  return brokenRules(
    ...Object.entries(LIMITS).map(([kind, usual]) => {
      const isSevere = SEVERE.includes(String(narration['level']));
      const most = kind === 'human' && isSevere ? SEVERE_HUMAN : usual;
      const text = String(narration[kind] ?? '');
      return [text.length <= most, `${kind} has ${text.length} characters: ${text}`] as const;
    }),
    [typeof narration['human'] === 'string' && narration['human'] !== '', 'there is no human sentence'],
    [cute === undefined || /\p{Extended_Pictographic}/u.test(String(cute)), `cute has no emoji: ${cute}`],
  );
}

/**
 * The merges as `generate_merges` of transformers orders them (`convert_slow_tokenizer.py`): all pairs, each
 * with its score, sorted several times by stable sorts. The plain rule, without the shortcuts of the source.
 */
interface Pair {
  readonly parts: readonly [string, string];
  readonly score: number;
}

/** @param longestFirst true for versions since 2025: the lengths of the parts follow the score */
export function transformersMerges(
  vocab: Readonly<Record<string, number>>,
  scores: ReadonlyMap<string, number>,
  longestFirst: boolean,
): (readonly [string, string])[] {
  const idOf = (text: string): number => (Object.hasOwn(vocab, text) ? (vocab[text] ?? -1) : -1);
  const inOrder = Object.keys(vocab).sort((a, b) => idOf(a) - idOf(b));
  const pairs = inOrder.flatMap((text): Pair[] => {
    const characters = Array.from(text);
    const local = characters
      .map((_, at) => [characters.slice(0, at).join(''), characters.slice(at).join('')] as const)
      .filter(([left, right]) => idOf(left) >= 0 && idOf(right) >= 0);
    local.sort((a, b) => idOf(a[0]) - idOf(b[0]) || idOf(a[1]) - idOf(b[1]));
    return local.map((parts) => ({ parts, score: scores.get(text) ?? 0 }));
  });
  const length = (text: string): number => Array.from(text).length;
  pairs.sort((a, b) => {
    if (a.score !== b.score || !longestFirst) return b.score - a.score;
    return length(b.parts[0]) - length(a.parts[0]) || length(b.parts[1]) - length(a.parts[1]);
  });
  return pairs.map(({ parts }) => parts);
}

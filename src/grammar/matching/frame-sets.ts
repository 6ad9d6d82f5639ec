/** Sets of numbers that are frames. Pure. */

/** Frames in a key of two. */
const FRAMES = 2 ** 24;

/** A key of a set of frames in ascending order: a number if they are few, which is faster than a text. */
export function keyOf(set: readonly number[], accepts: boolean): string | number {
  const [first = -1, second = -1] = set;
  if (set.length > 2 || first >= FRAMES || second >= FRAMES) return `${accepts ? '+' : ''}${set.join(',')}`;
  return 2 * ((first + 1) * FRAMES + second + 1) + (accepts ? 1 : 0);
}

/** The numbers of a list in ascending order, each once. Insertion is faster for short lists. */
export function sorted(numbers: readonly number[]): number[] {
  if (numbers.length > 64) return [...new Set(numbers)].sort((a, b) => a - b);
  const set: number[] = [];
  for (const one of numbers) {
    let at = set.length;
    while (at > 0 && (set[at - 1] ?? 0) > one) at -= 1;
    if (set[at - 1] !== one) set.splice(at, 0, one);
  }
  return set;
}

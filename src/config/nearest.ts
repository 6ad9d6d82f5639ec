/**
 * The known name that is nearest to a mistyped one. Pure.
 */

/** A longer name has no suggestion: the search takes time × length. */
const MAX_LENGTH = 64;
/** A suggestion differs in at most this share of its characters, or in two. */
const MAX_SHARE = 1 / 3;

/** The name of `known` with the fewest typing errors; undefined if none is similar. */
export function nearestOf(name: string, known: readonly string[]): string | undefined {
  if (name.length > MAX_LENGTH) return undefined;
  let best: string | undefined;
  let least = Math.max(2, Math.floor(name.length * MAX_SHARE));
  for (const one of known) {
    const distance = distanceOf(name, one);
    if (distance < least || (distance === least && best === undefined)) [best, least] = [one, distance];
  }
  return best;
}

/** Levenshtein distance: inserted, deleted and replaced characters. */
function distanceOf(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const replaced = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(replaced, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}

/** Draws tokens at random, the same ones in each run. */

/** Numbers from 0 to 1, the same at each run. Rule: mulberry32. */
export function randomNumbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Draws one of the allowed ids, and sometimes the end of a text that can end. */
export const draw = (random: () => number) => (ids: readonly number[], canEnd: boolean) =>
  canEnd && random() < 0.3 ? -1 : (ids[Math.floor(random() * ids.length)] ?? -1);

/** The counts of a client equal those of its sequences after any changes. */
import { expect, test } from 'vitest';
import { OccupancyCount } from '../../src/bridge/occupancy.ts';

/** Numbers from 0 to `below`, the same in every run. */
function numbers(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state * 1_103_515_245 + 12_345) % 2 ** 31;
    return Math.floor((state / 2 ** 31) * below);
  };
}

test('counts slots, queue and tokens as a look at every sequence would', () => {
  const next = numbers(7);
  const count = new OccupancyCount();
  const all = new Map<number, { hasSlot: boolean; finished: boolean; tokens: number; callerLeft: boolean }>();
  for (let change = 0; change < 5000; change += 1) {
    const id = next(40);
    const sequence = all.get(id) ?? { hasSlot: false, finished: false, tokens: next(100), callerLeft: false };
    all.set(id, sequence);
    const action = next(6);
    if (action === 0) sequence.hasSlot = next(2) === 1;
    if (action === 1) sequence.finished = true;
    if (action === 2) sequence.tokens += next(5);
    if (action === 4) sequence.callerLeft = true;
    if (action === 3) {
      count.remove(sequence);
      all.delete(id);
    } else count.update(sequence);
    const live = [...all.values()].filter(({ finished }) => !finished);
    const [running, waiting] = [live.filter(({ hasSlot }) => hasSlot), live.filter(({ hasSlot }) => !hasSlot)];
    const tokensOf = (some: typeof live): number => some.reduce((sum, { tokens }) => sum + tokens, 0);
    expect(count.sum).toEqual({
      busy: running.length,
      waiting: waiting.length,
      tokens: tokensOf(running),
      waitingTokens: tokensOf(waiting),
      left: live.filter(({ callerLeft }) => callerLeft).length,
    });
  }
});

/** The memory of a load is given back. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { getHeapSpaceStatistics } from 'node:v8';
import { expect, it } from 'vitest';
import { collectGarbage, withSmallHeap } from '../../../src/protocol/host/javascript-heap.ts';

const newSpaceBytes = (): number =>
  getHeapSpaceStatistics().find(({ space_name }) => space_name === 'new_space')?.space_size ?? 0;

it('frees objects that nobody uses', async () => {
  const garbage = new WeakRef({ text: 'object' });
  await nextTurn(); // A reference keeps its object until the end of the turn.
  collectGarbage();
  expect(garbage.deref()).toBeUndefined();
});

it('keeps the heap of new objects small while many objects are made', async () => {
  const work = async () => {
    const kept = Array.from({ length: 400_000 }, (_, index) => ({ text: `object ${index}` }));
    return { kept, bytes: newSpaceBytes() };
  };
  const small = await withSmallHeap(work);
  const usual = await work();
  expect([small.kept, usual.kept].map(({ length }) => length)).toEqual([400_000, 400_000]);
  // V8 decides when it collects: the sizes are not the same in each run.
  expect(2 * small.bytes).toBeLessThanOrEqual(usual.bytes);
});

it('gives the error of the work', async () => {
  await expect(withSmallHeap(() => Promise.reject(new Error('broken')))).rejects.toThrow('broken');
});

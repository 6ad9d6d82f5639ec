/** The memory of a load is given back. */
import { execFile } from 'node:child_process';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { collectGarbage, withSmallHeap } from '../../../src/protocol/host/javascript-heap.ts';

/**
 * Prints the largest heap of new objects in bytes while 400 000 objects are made that stay. V8 can shrink the
 * heap at any time, so the last size is not compared.
 */
const MAKE_OBJECTS = `
  import { getHeapSpaceStatistics } from 'node:v8';
  import { withSmallHeap } from '${new URL('../../../dist/protocol/host/javascript-heap.js', import.meta.url)}';
  async function work() {
    const kept = [];
    let peak = 0;
    for (let index = 0; index < 400_000; index += 1) {
      kept.push({ text: 'object ' + index });
      if (index % 4_000) continue;
      const space = getHeapSpaceStatistics().find(({ space_name }) => space_name === 'new_space');
      peak = Math.max(peak, space.space_size);
    }
    console.log(kept.length === 400_000 ? peak : 0);
  }
  await (process.argv[1] === 'small' ? withSmallHeap(work) : work());`;

/** A process of its own begins with a small heap: the heap of this process depends on the tests before. */
async function peakOfNewObjects(heap: 'small' | 'usual'): Promise<number> {
  const program = ['--input-type=module', '--eval', MAKE_OBJECTS, heap];
  const { stdout } = await promisify(execFile)(process.execPath, program);
  return Number(stdout);
}

it('frees objects that nobody uses', async () => {
  const garbage = new WeakRef({ text: 'object' });
  await nextTurn(); // A reference keeps its object until the end of the turn.
  collectGarbage();
  expect(garbage.deref()).toBeUndefined();
});

it('keeps the heap of new objects small while many objects are made', async () => {
  const [small, usual] = [await peakOfNewObjects('small'), await peakOfNewObjects('usual')];
  expect(small).toBeGreaterThan(0);
  expect(2 * small).toBeLessThanOrEqual(usual);
});

it('gives the error of the work', async () => {
  await expect(withSmallHeap(() => Promise.reject(new Error('broken')))).rejects.toThrow('broken');
});

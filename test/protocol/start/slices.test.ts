/** Work in slices leaves the event loop free. */
import { expect, it } from 'vitest';
import { finished, inSlices, type Steps } from '../../../src/protocol/start/slices.ts';

function* work(ms: number, seen: () => void): Steps<string> {
  const end = performance.now() + ms;
  while (performance.now() < end) yield;
  seen();
  return 'done';
}

it('turns the event loop before the work ends', async () => {
  const order: string[] = [];
  setImmediate(() => order.push('other work'));
  expect(await inSlices(work(100, () => order.push('work')))).toBe('done');
  expect(order).toEqual(['other work', 'work']);
});

it('gives the same result without a turn', () => {
  expect(finished(work(1, () => undefined))).toBe('done');
});

it('passes an error on', async () => {
  const failing = function* (): Steps<never> {
    yield;
    throw new Error('broken');
  };
  await expect(inSlices(failing())).rejects.toThrow('broken');
  expect(() => finished(failing())).toThrow('broken');
});

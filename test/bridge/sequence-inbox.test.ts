/** Reports that come together are taken one in each turn of the event loop, so that whatever else is due comes between them. */
import { expect, test } from 'vitest';
import { Turns } from '../../src/bridge/turns.ts';

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('what comes at once is taken in its order, one in each turn', async () => {
  const taken: number[] = [];
  const turns = new Turns<number>((item) => taken.push(item));
  for (const item of [1, 2, 3]) turns.put(item);
  expect(taken).toEqual([]);
  const seen: number[] = [];
  for (let count = 0; count < 3; count += 1) {
    await turn();
    seen.push(taken.length);
  }
  expect(seen).toEqual([1, 2, 3]);
  expect(taken).toEqual([1, 2, 3]);
});

test('what comes while one is taken waits its turn', async () => {
  const taken: string[] = [];
  const turns: Turns<string> = new Turns((item) => {
    taken.push(item);
    if (item === 'first') turns.put('second');
  });
  turns.put('first');
  await turn();
  expect(taken).toEqual(['first']);
  await turn();
  expect(taken).toEqual(['first', 'second']);
});

test('a flush takes all that waits, in its order, and nothing twice', async () => {
  const taken: number[] = [];
  const turns = new Turns<number>((item) => taken.push(item));
  for (const item of [1, 2, 3]) turns.put(item);
  await turn();
  turns.flush();
  expect(taken).toEqual([1, 2, 3]);
  await turn();
  turns.put(4);
  await turn();
  expect(taken).toEqual([1, 2, 3, 4]);
});

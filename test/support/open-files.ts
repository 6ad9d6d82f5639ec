/** Counts the files that this process has open while it works. Linux only. */
import { readdirSync } from 'node:fs';
import { setImmediate as nextTurn } from 'node:timers/promises';

const openFiles = (): number => readdirSync('/proc/self/fd').length;

/** The result of the work, and the largest number of files that were open at the same time in it. */
export async function withOpenFiles<T>(work: () => Promise<T>): Promise<{ readonly result: T; readonly most: number }> {
  const before = openFiles();
  let [most, isDone] = [0, false];
  const running = work().finally(() => {
    isDone = true;
  });
  while (!isDone) {
    most = Math.max(most, openFiles() - before);
    await nextTurn();
  }
  return { result: await running, most };
}

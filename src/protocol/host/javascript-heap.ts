/** The heap of JavaScript in this process. V8 keeps the memory of a load: it expects as much work again. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/**
 * Keeps the heap of new objects small during some work. V8 enlarges it to 32 MB for many objects that stay,
 * such as a vocabulary, and does not make it smaller afterwards. The flag is reset at once after the work:
 * with another value, V8 refuses compiled code that a process with the default has saved.
 */
export async function withSmallHeap<T>(work: () => Promise<T>): Promise<T> {
  setFlagsFromString('--semi-space-growth-factor=1');
  try {
    return await work();
  } finally {
    setFlagsFromString('--semi-space-growth-factor=2');
  }
}

/**
 * Collects garbage, and gives free memory back to the system. Takes 30 ms for the vocabulary of 151 936
 * tokens. Without a call, V8 waits for more objects: a worker that has nothing to do keeps the garbage of its
 * load.
 */
export function collectGarbage(): void {
  // The options of the process need not have the flag: the next context has the function.
  setFlagsFromString('--expose-gc');
  const collect: unknown = runInNewContext('globalThis.gc');
  setFlagsFromString('--no-expose-gc');
  if (typeof collect === 'function') collect();
}

/** Work in slices, between which the event loop answers probes. */
import { setImmediate as nextTurn } from 'node:timers/promises';

/** Longest time of a slice in milliseconds, apart from its last step. */
const SLICE_MS = 10;

/** Work in steps of at most a few milliseconds. */
export type Steps<T> = Generator<undefined, T>;

/** The result of all steps, without a turn of the event loop. */
export function finished<T>(steps: Steps<T>): T {
  for (;;) {
    const { done, value } = steps.next();
    if (done) return value;
  }
}

/** The result of all steps. */
export async function inSlices<T>(steps: Steps<T>): Promise<T> {
  for (;;) {
    const until = performance.now() + SLICE_MS;
    do {
      const { done, value } = steps.next();
      if (done) return value;
    } while (performance.now() < until);
    await nextTurn();
  }
}

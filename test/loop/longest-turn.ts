/** How long one piece of work holds the event loop, measured in this process. */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';

/** No request may hold the event loop longer than this many milliseconds. */
export const CEILING_MS = 50;
/** Runs until one is below the ceiling: other processes take the processor away, but add nothing to a turn. */
const RUNS = 10;

/** Milliseconds of a synchronous call: the best of several runs. */
export function callMs(work: () => unknown): number {
  let best = Number.POSITIVE_INFINITY;
  for (let run = 0; run < RUNS && best >= CEILING_MS / 2; run += 1) {
    const began = performance.now();
    work();
    best = Math.min(best, performance.now() - began);
  }
  return best;
}

/** Milliseconds of the longest turn of the event loop while `work` runs: the best of several runs. */
export async function turnMs(work: () => Promise<unknown>): Promise<number> {
  let best = Number.POSITIVE_INFINITY;
  for (let run = 0; run < RUNS && best >= CEILING_MS; run += 1) {
    const delay = monitorEventLoopDelay({ resolution: 1 });
    delay.enable();
    await sleep(3); // The first measured interval begins in an idle loop.
    delay.reset();
    await work();
    await sleep(3); // The last measured interval ends after the last turn of the work.
    delay.disable();
    best = Math.min(best, delay.max / 1e6);
  }
  return best;
}

/**
 * How long one piece of work holds the event loop, measured in this process. Processor time instead of elapsed
 * time, so that other processes do not count; the time of a turn includes the client of the test.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';

/** No request may hold the event loop longer than this many milliseconds. */
export const CEILING_MS = 50;
/** Runs until one is below the ceiling: compilation and garbage collection hit some runs only. */
const RUNS = 10;

/** Milliseconds of processor time of a synchronous call: the best of several runs. */
export function callMs(work: () => unknown): number {
  let best = Number.POSITIVE_INFINITY;
  for (let run = 0; run < RUNS && best >= CEILING_MS; run += 1) {
    const began = process.cpuUsage();
    work();
    best = Math.min(best, since(began));
  }
  return best;
}

/** Milliseconds of processor time of the longest turn of the event loop during `work`: the best of several runs. */
export async function turnMs(work: () => Promise<unknown>): Promise<number> {
  let best = Number.POSITIVE_INFINITY;
  for (let run = 0; run < RUNS && best >= CEILING_MS; run += 1) best = Math.min(best, await longestOf(work));
  return best;
}

async function longestOf(work: () => Promise<unknown>): Promise<number> {
  let longest = 0;
  let over = false;
  let began = process.cpuUsage();
  const done = work().finally(() => {
    over = true;
  });
  do {
    await nextTurn();
    longest = Math.max(longest, since(began));
    began = process.cpuUsage();
  } while (!over);
  await done;
  return longest;
}

function since(began: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(began);
  return (user + system) / 1000;
}

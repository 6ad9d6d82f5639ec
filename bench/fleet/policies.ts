/** Routing policies: each chooses a worker of the table for a request. */
import type { FleetView } from './fleet-view.ts';
import type { Random } from './random.ts';
import type { Job } from './simulated-worker.ts';

/** Chooses a worker; undefined if the table is empty. One for each router. */
export type Choose = (job: Job, now: number) => number | undefined;

export interface Policy {
  readonly name: string;
  /** Time between two samples of a worker, in milliseconds. */
  readonly sampleMs: number;
  readonly create: (view: FleetView, random: Random, owners: Map<number, number>) => Choose;
}

type Load = (worker: number, now: number) => number;

/** The worker with the least load; ties are random. */
function least(view: FleetView, random: Random, load: Load): Choose {
  return (_, now) => {
    let [best, lowest, ties]: [number | undefined, number, number] = [undefined, Number.POSITIVE_INFINITY, 0];
    for (const worker of view.listed) {
      const value = load(worker, now);
      if (value > lowest) continue;
      ties = value < lowest ? 1 : ties + 1;
      if (ties === 1 || random.below(ties) === 0) best = worker;
      lowest = value;
    }
    return best;
  };
}

export const roundRobin: Policy = {
  name: 'round robin',
  sampleMs: 1000,
  create: (view) => {
    let next = 0;
    return () => {
      next = (next + 1) % Math.max(1, view.listed.length);
      return view.listed[next];
    };
  },
};

/** The least load in the last samples. */
export const leastSampled = (sampleMs: number): Policy => ({
  name: `least load, samples of ${sampleMs} ms`,
  sampleMs,
  create: (view, random) => least(view, random, (worker, now) => view.sampled(worker, now)),
});

/** The least load by the requests that the router has under way: exact with one router. */
export const leastOwn: Policy = {
  name: 'least load, own count',
  sampleMs: 1000,
  create: (view, random) => least(view, random, (worker) => view.own[worker] ?? 0),
};

const greater =
  (view: FleetView): Load =>
  (worker, now) =>
    Math.max(view.own[worker] ?? 0, view.sampled(worker, now));

/** The rule of docs/orchestrator.md: the least load by the greater of own count and last sample. */
export const leastGreater = (sampleMs: number): Policy => ({
  name: `least load, the greater of own count and samples of ${sampleMs} ms`,
  sampleMs,
  create: (view, random) => least(view, random, greater(view)),
});

/** The less loaded of two random workers. */
export const twoChoices = (sampleMs: number): Policy => ({
  name: `the better of two, own count and samples of ${sampleMs} ms`,
  sampleMs,
  create: (view, random) => {
    const load = greater(view);
    return (_, now) => {
      const one = view.listed[random.below(view.listed.length)];
      const other = view.listed[random.below(view.listed.length)];
      if (one === undefined || other === undefined) return undefined;
      return load(other, now) < load(one, now) ? other : one;
    };
  },
});

/**
 * Chooses the worker of the session's last turn. If its load is at least `overflow`, or it has left the
 * table: the least loaded worker, which then keeps the session.
 */
export const prefixAffinity = (overflow: number, sampleMs = 1000): Policy => ({
  name: `prefix affinity, overflow at ${overflow}`,
  sampleMs,
  create: (view, random, owners) => {
    const load = greater(view);
    const otherwise = least(view, random, load);
    return (job, now) => {
      const owner = owners.get(job.session);
      const stays = owner !== undefined && load(owner, now) < overflow && view.listed.includes(owner);
      const chosen = stays ? owner : otherwise(job, now);
      if (chosen !== undefined) owners.set(job.session, chosen);
      return chosen;
    };
  },
});

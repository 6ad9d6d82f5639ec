/** The sums over the running jobs equal those of a look at every job, after any changes. */
import { expect, test } from 'vitest';
import { DemandCount, JobDemand } from '../../src/jobs/capacity/demand.ts';

const SLOTS = 3;

test('a job needs its slots until its outputs have ended, and one place until it is removed', () => {
  const demand = new JobDemand(5, SLOTS);
  const seen = () => [demand.together, demand.later, demand.extraSlots];
  expect(seen()).toEqual([3, 2, 0]);
  demand.started();
  demand.started();
  demand.started();
  expect(seen()).toEqual([3, 2, 2]);
  demand.ended(true);
  expect(seen()).toEqual([3, 1, 1]);
  demand.ended(false); // cancelled before it had a slot
  expect(seen()).toEqual([3, 0, 1]);
  for (let rest = 0; rest < 3; rest += 1) demand.ended(rest < 2);
  expect(seen()).toEqual([1, 0, 0]);
});

test('counts the jobs as a look at every job would', () => {
  let state = 11;
  const next = (below: number): number => {
    state = (state * 1_103_515_245 + 12_345) % 2 ** 31;
    return Math.floor((state / 2 ** 31) * below);
  };
  const count = new DemandCount();
  const jobs: { demand: JobDemand; outputs: number; busy: number }[] = [];
  for (let change = 0; change < 5000; change += 1) {
    const job = jobs[next(jobs.length + 1)];
    const action = next(4);
    if (!job) {
      const outputs = 1 + next(8);
      const demand = new JobDemand(outputs, SLOTS);
      jobs.push({ demand, outputs, busy: 0 });
      count.add(demand);
    } else if (action === 0) {
      count.remove(job.demand);
      jobs.splice(jobs.indexOf(job), 1);
      job.demand.ended(false); // a removed job changes nothing
    } else if (action === 1 && job.busy < Math.min(SLOTS, job.outputs)) {
      job.busy += 1;
      job.demand.started();
    } else if (job.outputs > 0) {
      const hadSlot = job.busy > 0;
      job.outputs -= 1;
      job.busy -= hadSlot ? 1 : 0;
      job.demand.ended(hadSlot);
    }
    const later = jobs.map(({ outputs }) => Math.max(0, outputs - SLOTS));
    const sum = (numbers: number[]): number => numbers.reduce((total, one) => total + one, 0);
    expect(count.sum).toEqual({
      together: sum(jobs.map(({ outputs }) => Math.max(1, Math.min(outputs, SLOTS)))),
      extraSlots: sum(jobs.map(({ busy }) => Math.max(0, busy - 1))),
      leastLater: later.length === 0 ? 0 : Math.min(...later),
    });
  }
});

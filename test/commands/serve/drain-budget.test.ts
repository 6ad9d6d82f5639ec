/** The time limit of a drain, and the shares of its stages. */
import { expect, test } from 'vitest';
import { DrainBudget, LAST_STAGES_MS, MAX_LAST_SHARE, type Stage } from '../../../src/commands/serve/drain-budget.ts';
import { LINGER_MS, MAX_LINGER_SHARE } from '../../../src/http/connections/end/server-end.ts';

const STAGES: readonly Stage[] = ['jobs', 'cancel', 'close', 'flush', 'exit'];
/** Seconds, up to the maximum of `--shutdown-timeout`. */
const TIMEOUTS = [1, 2, 3, 5, 8, 9, 30, 600, 86_400];

/** A budget, and its clock: milliseconds since the request to stop. */
function budgetOf(seconds: number): { budget: DrainBudget; clock: { now: number } } {
  const clock = { now: 0 };
  return { budget: new DrainBudget(seconds * 1000, 5000, () => 5000 + clock.now), clock };
}

/** The time that the stages take together if each takes all of its time, in milliseconds. */
function longest(seconds: number): number {
  const { budget, clock } = budgetOf(seconds);
  for (const stage of STAGES) clock.now += budget.leftMs(stage);
  return clock.now;
}

test.each(TIMEOUTS)('with %s s, all stages together take exactly that time', (seconds) => {
  expect(longest(seconds)).toBeCloseTo(seconds * 1000, 6);
});

test.each(TIMEOUTS)('with %s s, running jobs get all but the last four seconds, and at least half', (seconds) => {
  const { budget } = budgetOf(seconds);
  expect(budget.jobsMs).toBeCloseTo(Math.max(seconds * 1000 - 4000, seconds * 1000 * MAX_LAST_SHARE), 6);
  expect(budget.leftMs('jobs')).toBeCloseTo(budget.jobsMs, 6);
});

test('every last stage has a time, also with the shortest timeout', () => {
  const { budget, clock } = budgetOf(1);
  const shares = STAGES.map((stage) => {
    const left = budget.leftMs(stage);
    clock.now += left;
    return Math.round(left);
  });
  expect(shares).toEqual([500, 188, 250, 50, 13]);
});

test('a stage that begins early gets no more than its share; the last lines get the rest', () => {
  const { budget, clock } = budgetOf(30);
  clock.now = 100;
  expect(budget.leftMs('cancel')).toBe(LAST_STAGES_MS.cancel);
  expect(budget.leftMs('close')).toBe(LAST_STAGES_MS.close);
  expect(budget.leftMs('flush')).toBe(30_000 - LAST_STAGES_MS.exit - 100);
  expect(budget.elapsedMs).toBe(100);
});

test('a stage that is late has no time', () => {
  const { budget, clock } = budgetOf(30);
  clock.now = 31_000;
  expect(STAGES.map((stage) => budget.leftMs(stage))).toEqual([0, 0, 0, 0, 0]);
});

test.each(TIMEOUTS)('with %s s, an idle connection has ended before the connections are cut', (seconds) => {
  const { budget } = budgetOf(seconds);
  const linger = Math.min(LINGER_MS, seconds * 1000 * MAX_LINGER_SHARE);
  expect(2 * linger).toBeLessThan(budget.leftMs('close'));
});

/** The load and the sizes of the simulated fleets, and figures of their runs. */

import type { RunFigures } from './figures.ts';
import {
  leastGreater,
  leastOwn,
  leastSampled,
  type Policy,
  prefixAffinity,
  roundRobin,
  twoChoices,
} from './policies.ts';
import { MEASURED } from './service.ts';
import { type Loss, type Plan, simulate } from './simulation.ts';

export const SEED = 575;
/** A worker with its defaults: 16 slots, 64 places in the queue, 64 rows for stored prefixes. */
export const LIMITS = { slots: 16, queue: 64, stored: 64 };
/** Chats with instructions of 200 tokens, questions of 40, answers of 80 and 3 turns in the mean. */
const CHAT = { turns: 3, thinkMs: 10_000, instructions: 200, question: 40, answer: 80 };
/** Limit of the time to first token that a load must keep, as its 95th percentile. */
export const GOAL_MS = 5000;
export const WARM_UP_MS = 100_000;
/** Requests of a run, about: a small fleet runs longer, so that its quantiles have as many values. */
const COUNTED_MS: Readonly<{ [workers: number]: number }> = {
  10: 2_000_000,
  100: 300_000,
  1000: 60_000,
};

export const POLICIES: readonly Policy[] = [
  roundRobin,
  leastSampled(50),
  leastSampled(1000),
  leastSampled(5000),
  leastGreater(1000),
  leastOwn,
  twoChoices(1000),
  prefixAffinity(LIMITS.slots),
];

export interface Case {
  readonly workers: number;
  readonly policy: Policy;
  /** New requests per second and worker, if none is refused. */
  readonly load: number;
  readonly routers?: number;
  readonly loss?: Loss;
  readonly countedMs?: number;
  readonly seed?: number;
}

export function planOf({ workers, policy, load, routers = 1, loss, countedMs, seed = SEED }: Case): Plan {
  const counted = countedMs ?? COUNTED_MS[workers] ?? 200_000;
  return {
    seed,
    workers,
    routers,
    policy,
    times: MEASURED,
    limits: LIMITS,
    workload: { ...CHAT, sessionsPerWorker: load / CHAT.turns },
    warmUpMs: WARM_UP_MS,
    endMs: WARM_UP_MS + counted,
    ...(loss && { loss: { ...loss, at: WARM_UP_MS + loss.at } }),
  };
}

export const run = (one: Case): RunFigures => simulate(planOf(one));

export const hitRate = ({ cachedTokens, promptTokens }: RunFigures): number => cachedTokens / promptTokens;

/** True if the 95th percentile of the times to first token keeps the goal, and no request is refused. */
const keeps = (record: RunFigures): boolean => record.counted.refused === 0 && record.firstToken(0.95) <= GOAL_MS;

/** The highest load, in requests per second and worker, with which a policy keeps the goal: to 4 %. */
export function highestLoad(one: Omit<Case, 'load'>): number {
  let [low, high] = [0.05, 2];
  while (high / low > 1.04) {
    const load = Math.sqrt(low * high);
    if (keeps(run({ ...one, load }))) low = load;
    else high = load;
  }
  return low;
}

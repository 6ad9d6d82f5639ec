/**
 * Many ready callbacks at once: workers that are ready together, whose pool-manager is there or away. The
 * rule of the delays is that of src/lifecycle/callback. The receiver is one process that answers one callback
 * after another. Pure, with a seed; milliseconds.
 */
import { backoffDelay } from '../../src/protocol/backoff.ts';
import { Agenda } from './agenda.ts';
import { Random } from './random.ts';

/** As `CALLBACK_TIMES` in src/lifecycle/callback/ready-callback.ts; a test compares both. */
export const CALLBACK = {
  spreadMs: 250,
  firstDelayMs: 1000,
  longestDelayMs: 60_000,
  answerMs: 5000,
  giveUpMs: 600_000,
};
const MOST_JITTER = 1.25;

export interface StormPlan {
  readonly seed: number;
  readonly workers: number;
  /** Callbacks that the receiver answers per second. */
  readonly rate: number;
  /** Time until the receiver exists: earlier connections are refused. */
  readonly awayMs: number;
  /** False: the delays have no jitter and the first attempt no spread, for comparison. */
  readonly jitter?: boolean;
}

export interface Storm {
  /** Attempts of all workers, and those whose answer came after the worker had stopped waiting for it. */
  readonly attempts: number;
  readonly late: number;
  readonly refused: number;
  /** Most attempts in one second of those that reach the receiver. */
  readonly peak: number;
  /**
   * From the moment at which the receiver exists: until it has read a callback of each worker, and until each
   * worker has its answer. NaN if some gave up.
   */
  readonly knownMs: number;
  readonly acceptedMs: number;
  readonly accepted: number;
  readonly gaveUp: number;
}

interface Call {
  readonly worker: number;
  readonly number: number;
  readonly isLast: boolean;
}

export function storm(plan: StormPlan): Storm {
  const { seed, workers, rate, awayMs, jitter = true } = plan;
  const agenda = new Agenda();
  const random = new Random(seed);
  const arrivals: number[] = [];
  const result = { attempts: 0, late: 0, refused: 0, accepted: 0, gaveUp: 0 };
  const known = new Set<number>();
  let [freeAt, lastAccepted, lastKnown] = [awayMs, awayMs, awayMs];

  const retry = (call: Call, now: number): void => {
    const limits = { firstMs: CALLBACK.firstDelayMs, longestMs: CALLBACK.longestDelayMs / MOST_JITTER };
    const delay = backoffDelay(call.number, limits, () => (jitter ? random.next() : 0.5));
    const left = CALLBACK.giveUpMs - now;
    if (call.isLast || left <= 0) result.gaveUp += 1;
    else {
      // The last delay is shortened, as in ready-callback.ts.
      const next = { ...call, number: call.number + 1, isLast: delay >= left };
      agenda.at(now + Math.min(delay, left), (at) => attempt(next, at));
    }
  };
  const attempt = (call: Call, now: number): void => {
    result.attempts += 1;
    if (now < awayMs) {
      result.refused += 1;
      retry(call, now);
      return;
    }
    arrivals.push(now);
    freeAt = Math.max(freeAt, now) + 1000 / rate;
    if (!known.has(call.worker)) {
      known.add(call.worker);
      lastKnown = Math.max(lastKnown, freeAt);
    }
    if (freeAt - now > CALLBACK.answerMs) {
      // The receiver reads the body that has arrived, and its answer finds nobody.
      result.late += 1;
      retry(call, now + CALLBACK.answerMs);
      return;
    }
    result.accepted += 1;
    lastAccepted = Math.max(lastAccepted, freeAt);
  };
  for (let worker = 0; worker < workers; worker += 1) {
    const spread = jitter ? random.next() * CALLBACK.spreadMs : 0;
    agenda.at(spread, (now) => attempt({ worker, number: 1, isLast: false }, now));
  }
  agenda.runUntil(CALLBACK.giveUpMs + 60_000);
  const acceptedMs = result.gaveUp === 0 ? lastAccepted - awayMs : Number.NaN;
  return { ...result, peak: mostPerSecond(arrivals), knownMs: lastKnown - awayMs, acceptedMs };
}

/** Most of the times that lie within one second. */
function mostPerSecond(times: readonly number[]): number {
  const sorted = [...times].sort((a, b) => a - b);
  let [first, most] = [0, 0];
  for (const [index, time] of sorted.entries()) {
    while ((sorted[first] ?? time) <= time - 1000) first += 1;
    most = Math.max(most, index - first + 1);
  }
  return most;
}

/** Finds the measured cause of a slow phase: the one that took the largest part of the lost time. Pure. */
import type { Span } from './span.ts';

/**
 * `neighbours`: more sequences of other requests decode in the same steps. `long_prompt`: the steps also
 * compute prompts of other requests. `machine`: other processes use the processors. `reader`: all readers of
 * the job lag, and it pauses.
 */
export type SlowCause = 'neighbours' | 'long_prompt' | 'machine' | 'reader' | 'unknown';

/** The fastest time of a job, with which a slow phase is compared. */
export interface BestSpeed {
  /** Tokens per millisecond of one output. */
  readonly rate: number;
  /** Sequences of other requests, on average. */
  readonly others: number;
  /** Processors that the engine process used; undefined if not measured. */
  readonly processors: number | undefined;
}

/** A cause explains at least this part of the lost time. */
const LEAST_SHARE = 1 / 3;
/** Less pressure is usual: the engine, the worker and its clients share the processors. */
const LEAST_PRESSURE = 0.25;
/** More others than at the best speed by at least this number, on average. */
const LEAST_OTHERS = 0.5;

/**
 * The cause of a slow phase, and its part of the lost time, from 0 to 1; 0 if the cause is unknown. The lost
 * time is the time that the tokens took longer than at the best speed.
 */
export function causeOf(slow: Span, best: BestSpeed): { readonly cause: SlowCause; readonly share: number } {
  const lostMs = slow.ms * (1 - slow.rate / best.rate);
  if (lostMs <= 0) return { cause: 'unknown', share: 0 };
  const machineMs = (slow.ms - slow.pausedMs) * missingShare(slow, best);
  const rest = Math.max(0, lostMs - slow.pausedMs - slow.promptMs - machineMs);
  const neighboursMs = slow.others >= best.others + LEAST_OTHERS ? rest : 0;
  const measured: readonly (readonly [SlowCause, number])[] = [
    ['reader', slow.pausedMs],
    ['long_prompt', slow.promptMs],
    ['machine', machineMs],
    ['neighbours', neighboursMs],
  ];
  const [cause, ms] = measured.reduce((most, one) => (one[1] > most[1] ? one : most));
  const share = Math.min(1, ms / lostMs);
  return share >= LEAST_SHARE ? { cause, share } : { cause: 'unknown', share: 0 };
}

/**
 * Share of the processor time of the engine that it lacks, compared with its best speed. It is claimed only
 * if tasks of the machine waited for a processor: an engine that waits for a GPU uses less of them too.
 */
function missingShare({ pressure = 0, processors }: Span, best: BestSpeed): number {
  if (pressure < LEAST_PRESSURE || processors === undefined || !best.processors) return 0;
  return Math.max(0, 1 - processors / best.processors);
}

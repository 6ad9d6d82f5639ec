/** Finds the measured cause of a slow phase: the one without which the job would be fastest. Pure. */
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
  /** Outputs of the job, on average. */
  readonly outputs: number;
  /** Processors that the engine process used; undefined if not measured. */
  readonly processors: number | undefined;
}

/** A cause explains at least this part of the slow-down. */
const LEAST_SHARE = 1 / 3;
/** Less pressure is usual: the engine, the worker and its clients share the processors. */
const LEAST_PRESSURE = 0.25;
/** More others than at the best speed by at least this number, on average. */
const LEAST_OTHERS = 0.5;

/**
 * The cause of a slow phase, and its part of the slow-down, from 0 to 1; 0 if the cause is unknown. Each
 * cause makes the job slower by a factor, and the factors multiply: six times the sequences on half of the
 * processors are twelve times slower. The factors of pauses, prompts and the machine are measured. The rest
 * belongs to the neighbours, if there are more of them, and as far as their number explains it. The
 * logarithms of the factors are the parts.
 */
export function causeOf(slow: Span, best: BestSpeed): { readonly cause: SlowCause; readonly share: number } {
  // A phase without a token counts like one with a token.
  const total = best.rate / Math.max(slow.rate, 1 / slow.outputMs);
  const active = Math.max(1, slow.ms - slow.pausedMs);
  const reader = slow.ms / active;
  const prompt = active / Math.max(1, active - slow.promptMs);
  const machine = machineFactor(slow, best);
  const rest = total / (reader * prompt * machine);
  const factors: readonly (readonly [SlowCause, number])[] = [
    ['reader', reader],
    ['long_prompt', prompt],
    ['machine', machine],
    ['neighbours', Math.min(rest, neighboursFactor(slow, best))],
  ];
  const shareOf = (factor: number): number => (total > 1 ? Math.min(1, Math.log(factor) / Math.log(total)) : 0);
  // Pauses of half of the time are the cause, however slow the other half was.
  if (reader >= 2) return { cause: 'reader', share: shareOf(reader) };
  const [cause, factor] = factors.reduce((most, one) => (one[1] > most[1] ? one : most));
  const share = shareOf(factor);
  return share >= LEAST_SHARE ? { cause, share } : { cause: 'unknown', share: 0 };
}

/** Twice the sequences in a step take at most twice the time: each could run alone. */
function neighboursFactor({ others, outputs }: Span, best: BestSpeed): number {
  return others >= best.others + LEAST_OTHERS ? (others + outputs) / (best.others + best.outputs) : 1;
}

/**
 * The factor by which the engine gets less processor time than at the best speed. It counts only if tasks of
 * the machine waited for a processor: an engine that waits for a GPU uses less of them too.
 */
function machineFactor({ pressure = 0, processors }: Span, { processors: before }: BestSpeed): number {
  if (pressure < LEAST_PRESSURE || processors === undefined || before === undefined) return 1;
  return Math.max(1, before / Math.max(processors, 0.001));
}

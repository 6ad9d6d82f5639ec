/**
 * Chooses the draft of a sequence that runs alone. Ids that a grammar forces come first (jump-forward): they
 * are always accepted. Otherwise prompt lookup proposes ids, up to the first one that the grammar forbids. A
 * draft has no end id: nothing is drawn after an end. Only proposes: the runner and the sampler verify.
 */
import type { RunCost } from '../cost-model.ts';
import type { Constraint } from '../sampling/constraint.ts';
import { MAX_DRAFT, type PromptLookup } from './prompt-lookup.ts';

export interface Draft {
  /** At least one id. */
  readonly ids: readonly number[];
  /** The ids follow from the grammar; prompt lookup learns nothing from them. */
  readonly forced?: true;
}

/** The part of a sequence that a draft needs. */
interface Drafted {
  readonly endIds: ReadonlySet<number>;
  readonly constraint: Constraint | undefined;
  /** Made at its first use. */
  readonly promptLookup: PromptLookup;
}

/**
 * @param max maximum number of ids that the sequence can still use
 * @param cost cost of a run of several tokens of one row
 * @returns undefined if no draft is likely to save time
 */
export function draftFor(sequence: Drafted, max: number, cost: RunCost): Draft | undefined {
  const { constraint, endIds } = sequence;
  const forced = withoutEnd(constraint?.nextForced(Math.min(max, MAX_DRAFT)) ?? [], endIds);
  const count = cheaperLength(forced.length, cost);
  if (count > 0) return { ids: forced.slice(0, count), forced: true };
  const proposed = withoutEnd(sequence.promptLookup.propose(max, cost), endIds);
  const ids = constraint && proposed.length > 0 ? proposed.slice(0, constraint.allowedPrefix(proposed)) : proposed;
  return ids.length > 0 ? { ids } : undefined;
}

function withoutEnd(ids: readonly number[], endIds: ReadonlySet<number>): readonly number[] {
  const end = ids.findIndex((id) => endIds.has(id));
  return end < 0 ? ids : ids.slice(0, end);
}

/** Number of ids of the longest draft whose run takes no longer than a step for each of its tokens. */
function cheaperLength(max: number, cost: RunCost): number {
  const step = cost.estimate(1);
  for (let count = max; count > 0; count -= 1) if (cost.estimate(count + 1) <= (count + 1) * step) return count;
  return 0;
}

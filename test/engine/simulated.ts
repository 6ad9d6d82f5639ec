/** A scheduler with a cache, and a step that changes both as a run of the plan does. No model. */
import { KvCache, type KvCacheOptions } from '../../src/engine/cache/kv-cache.ts';
import { CostModel } from '../../src/engine/cost-model.ts';
import { PrefillBudget } from '../../src/engine/prefill-budget.ts';
import { Scheduler } from '../../src/engine/scheduler.ts';
import { Sequence } from '../../src/engine/sequence.ts';
import { WaitEstimate } from '../../src/engine/wait-estimate.ts';
import type { SequenceRequest } from '../../src/protocol/messages.ts';
import { prompt, request } from './harness.ts';

export type Copy = readonly [from: number, to: number, tokens: number];

interface Parts {
  readonly copies?: Copy[];
  readonly costs?: CostModel;
  readonly cache?: Partial<KvCacheOptions>;
}

export function setUp(slots: number, chunk = 4, parts: Parts = {}) {
  const clock = { now: 0 };
  const { copies, costs = new CostModel() } = parts;
  // All runs cost the same: a chunk doubles the time of a decode step.
  costs.noteTokens(chunk, 10);
  costs.noteRows(1, 10);
  const budget = new PrefillBudget(costs, chunk);
  const cache = new KvCache({
    slots,
    capacity: 64,
    ...parts.cache,
    ...(copies && {
      copyRow: (from, to) => {
        copies.push([from.row, to, from.length]);
        return true;
      },
    }),
  });
  const scheduler = new Scheduler({
    cache,
    budget,
    waits: new WaitEstimate(budget),
    now: () => clock.now,
    draftCost: costs.tokens,
  });
  /** Changes the cache and the sequences as a run of the plan does. */
  const run = () => {
    scheduler.admit();
    const plan = scheduler.plan();
    for (const { sequence, start, count } of plan.prefill) {
      cache.commit(sequence.slot, sequence.input.slice(start, start + count));
      if (start + count === sequence.input.length) sequence.accept({ id: 1 }, clock.now);
      else sequence.notePrefill(start + count, clock.now);
    }
    for (const sequence of plan.verify ? [plan.verify.sequence] : plan.decode) {
      cache.commit(sequence.slot, [sequence.lastId]);
      sequence.accept({ id: 1 }, clock.now);
    }
    scheduler.settle();
    return plan;
  };
  const add = (length: number, maxTokens = 50, more: Partial<SequenceRequest> = {}): Sequence => {
    const asked = request({ ...more, prompt: prompt(length, length), maxTokens });
    const sequence = new Sequence(asked, clock.now);
    scheduler.add(sequence);
    return sequence;
  };
  const notes = (sequence: Sequence) => sequence.report()?.notes ?? [];
  return { clock, cache, scheduler, run, add, notes };
}

/**
 * Reserves the memory of an open session. Where address space is limited, the cache gets fewer or shorter
 * rows than planned.
 */
import type { MemoryPlan } from '../../protocol/memory-plan.ts';
import { countsAddressSpace } from '../host/host-memory.ts';
import { MappingError } from '../host/mapped-memory.ts';
import type { Capacity, Session } from '../ort/session.ts';
import { LEAST_ROW_TOKENS } from './memory-plan.ts';

/** The rows that were reserved. */
export type ReservedRows = Pick<MemoryPlan, 'slots' | 'rows' | 'context'>;

/**
 * Reserves the planned rows. If the system refuses them, halves the rows that only store prefixes until none
 * is left, and then the tokens of a row. If the system counts address space (`ulimit -v`,
 * `vm.overcommit_memory=2`), the rows take no more of it than the planned memory, so that the rest is left
 * for the runtime. Slots of the least length are always tried.
 * @param counts replaced by tests
 * @throws MappingError if the system refuses even rows of the least length; OrtError if the memory is not
 * available
 */
export function reserveCache(
  session: Pick<Session, 'reserve' | 'bytesFor' | 'growth'>,
  plan: Pick<MemoryPlan, 'slots' | 'rows' | 'context' | 'cache'>,
  runs: Pick<Capacity, 'chunk' | 'keep'>,
  counts: () => boolean = countsAddressSpace,
): ReservedRows {
  const least = plan.slots * session.bytesFor(leastTokens(plan.context));
  const most = session.growth === 'pages' && counts() ? Math.max(plan.cache, least) : Number.POSITIVE_INFINITY;
  let { slots, rows, context } = plan;
  for (;;) {
    try {
      if (rows * session.bytesFor(context) <= most) {
        session.reserve({ rows, slots, capacity: context, ...runs });
        return { slots, rows, context };
      }
    } catch (error) {
      if (!(error instanceof MappingError) || !canShrink(plan, rows, context)) throw error;
    }
    if (!canShrink(plan, rows, context)) throw new MappingError(`cannot allocate ${rows} rows of ${context} tokens`);
    if (rows > slots) rows = slots + Math.floor((rows - slots) / 2);
    else context = Math.max(leastTokens(plan.context), Math.floor(context / 2));
  }
}

const leastTokens = (context: number): number => Math.min(context, LEAST_ROW_TOKENS);

const canShrink = (plan: Pick<MemoryPlan, 'slots' | 'context'>, rows: number, context: number): boolean =>
  rows > plan.slots || context > leastTokens(plan.context);

/**
 * Plans the memory of a model before it is loaded: weights, KV cache, logits and the runtime's workspace,
 * compared with the free memory of the device. Chooses the number of slots and the memory of the cache for
 * `auto`. Refuses a model that does not fit, and suggests values that fit. Pure.
 */
import type { DeviceName } from '../../protocol/devices.ts';
import type { EngineOptions } from '../../protocol/loading.ts';
import type { MemoryPlan } from '../../protocol/memory-plan.ts';
import type { Reason } from '../../protocol/reasons.ts';
import { type CacheGrowth, storedRows } from '../ort/cache/growth.ts';
import { budgetIn, cacheFor, highest } from './cache-budget.ts';
import { LoadError } from './load-error.ts';

export const MAX_AUTO_SLOTS = 16;
/**
 * `auto` uses half of the memory that the rest of the model leaves, because other workers may share the
 * machine, and memory follows use: a cache that is not used leaves its memory to others.
 */
const AUTO_SHARE = 2;
/** `auto` needs no more memory than that of as many full rows for each slot: half of them are prefixes. */
const AUTO_ROWS = 2;
/** A cache that is allocated at once: `auto` uses a quarter of the free memory. */
const AUTO_SHARE_AT_ONCE = 4;
/** A suggested context is a multiple of this. */
const CONTEXT_STEP = 16;
/** A row must hold as many tokens, or the context if it is shorter. */
export const LEAST_ROW_TOKENS = 256;
/** Settings give the memory of the cache in MiB. */
const MIB = 2 ** 20;

/** The number of slots for `auto` of a cache allocated at once, if the system does not report free memory. */
const SLOTS_IF_UNKNOWN = 4;

/** The inputs of a plan. All sizes in bytes. */
export interface Needs {
  readonly device: DeviceName;
  readonly weights: number;
  /** The part of `weights` that the process has for itself, as copies of the runtime; absent = none. */
  readonly copied?: number;
  /** Memory that only the opening of the model takes; absent = none. */
  readonly opening?: number;
  /** Memory of one row of the KV cache, as a function of its number of tokens. */
  readonly rowBytes: (tokens: number) => number;
  readonly growth: CacheGrowth;
  /** Rows are moved through tensors of one row, which several slots need. Default: false. */
  readonly movesRows?: boolean;
  /** Size of the logits, as a function of the number of slots. */
  readonly logits: (slots: number) => number;
  /**
   * The runtime's memory besides weights, KV cache and logits: its state on the device, and intermediate
   * values.
   */
  readonly work: number;
  /** Free memory; undefined if the system does not report it. Every plan then fits. */
  readonly free: number | undefined;
  /** Memory that other workers have reserved, which is not part of `free`; absent = none. */
  readonly others?: { readonly bytes: number; readonly workers: number };
}

export type Requested = Pick<EngineOptions, 'slots' | 'context' | 'cacheMemory'>;

/** A size of the cache. */
interface CacheSize {
  readonly slots: number;
  /** Tokens in a row. */
  readonly context: number;
  readonly cache: number;
}

/**
 * Plans the memory for the requested slots and memory of the cache, or for those that `auto` chooses. If this
 * memory holds fewer tokens than the context, rows are shorter.
 * @throws LoadError `does_not_fit` if the plan exceeds the free memory, `cache_too_small` if the requested
 * memory holds no useful row.
 */
export function planMemory(needs: Needs, requested: Requested): MemoryPlan {
  const size = needs.growth === 'none' ? sizeAtOnce(needs, requested) : sizeByUse(needs, requested);
  const plan = sumOf(needs, size, requested.context);
  if (needs.free !== undefined && plan.total > needs.free)
    throw new LoadError({ code: 'does_not_fit', device: needs.device, plan, ...suggest(needs, plan, requested) });
  return plan;
}

function sumOf(needs: Needs, { slots, context, cache }: CacheSize, requested: number): MemoryPlan {
  const { weights, copied = 0, opening = 0, growth, work, free, others } = needs;
  const parts = { weights, cache, logits: needs.logits(slots), work };
  const rows = slots + storedRows(growth);
  const row = needs.rowBytes(context);
  // Sequences do not use the row through which others are moved.
  const moved = (allocatedRows(needs, slots) - slots) * row;
  const budget = budgetIn(growth, cache - moved, row);
  const total = parts.weights + parts.cache + parts.logits + parts.work + opening;
  const reserved = others && { reserved: others.bytes, otherWorkers: others.workers };
  const shorter = context < requested && { requestedContext: requested };
  return {
    slots,
    rows,
    context,
    ...shorter,
    ...parts,
    ...(copied > 0 && { copied }),
    ...(opening > 0 && { opening }),
    budget,
    total,
    ...(free !== undefined && { free }),
    ...reserved,
  };
}

/** The cache takes memory as it is used: the number of slots does not depend on the memory. */
function sizeByUse(needs: Needs, { slots: wanted, context, cacheMemory }: Requested): CacheSize {
  const { growth, rowBytes } = needs;
  const slots = wanted === 'auto' ? MAX_AUTO_SLOTS : wanted;
  const row = rowBytes(context);
  const most = cacheFor(growth, (slots + storedRows(growth)) * row, row);
  const given = typeof cacheMemory === 'number' ? cacheMemory : autoCache(needs, slots, context);
  const cache = Math.min(given, most);
  const budget = budgetIn(growth, cache, row);
  const leastMemory = toMib(leastCache(needs, context));
  return { slots, cache, context: contextIn(budget, needs, { context, cacheMemory: given, leastMemory }) };
}

/** Never less than a row needs. */
function autoCache(needs: Needs, slots: number, context: number): number {
  const { growth, rowBytes, free } = needs;
  const row = rowBytes(context);
  if (free === undefined) return cacheFor(growth, SLOTS_IF_UNKNOWN * row, row);
  const half = Math.floor((free - fixedOf(needs, slots)) / AUTO_SHARE);
  return Math.max(leastCache(needs, context), Math.min(half, cacheFor(growth, AUTO_ROWS * slots * row, row)));
}

/** All rows are allocated at once: fewer slots where the memory is short, then shorter rows. */
function sizeAtOnce(needs: Needs, { slots: wanted, context, cacheMemory }: Requested): CacheSize {
  const row = needs.rowBytes(context);
  if (typeof cacheMemory !== 'number') {
    const slots = wanted === 'auto' ? autoSlots(needs, context) : wanted;
    return { slots, context, cache: allocatedRows(needs, slots) * row };
  }
  const slots = wanted === 'auto' ? Math.min(MAX_AUTO_SLOTS, slotsIn(needs, cacheMemory / row)) : wanted;
  const rows = allocatedRows(needs, slots);
  const leastMemory = toMib(rows * leastCache(needs, context));
  const fits = contextIn(cacheMemory / rows, needs, { context, cacheMemory, leastMemory });
  return { slots, context: fits, cache: rows * needs.rowBytes(fits) };
}

/**
 * The tokens of a row that takes at most `budget` bytes, up to the context.
 * @throws LoadError `cache_too_small` if they are too few
 */
function contextIn(
  budget: number,
  needs: Needs,
  { context, cacheMemory, leastMemory }: Readonly<Record<'context' | 'cacheMemory' | 'leastMemory', number>>,
): number {
  const tokens = highest(1, context, (count) => needs.rowBytes(count) <= budget) ?? 0;
  const least = leastTokens(context);
  if (tokens >= least) return tokens;
  throw new LoadError({ code: 'cache_too_small', cacheMemory, tokens, least, leastMemory });
}

const leastTokens = (context: number): number => Math.min(context, LEAST_ROW_TOKENS);

/** Memory of the cache with which a row is long enough. */
function leastCache({ growth, rowBytes }: Needs, context: number): number {
  const row = rowBytes(leastTokens(context));
  return cacheFor(growth, row, row);
}

const toMib = (bytes: number): number => Math.ceil(bytes / MIB) * MIB;

/** Memory besides the cache. */
const fixedOf = ({ weights, logits, work, opening = 0 }: Needs, slots: number): number =>
  weights + logits(slots) + work + opening;

/** At least one slot, even if it does not fit: the caller checks the plan. */
function autoSlots(needs: Needs, context: number): number {
  if (needs.free === undefined) return SLOTS_IF_UNKNOWN;
  const quarter = slotsIn(needs, needs.free / AUTO_SHARE_AT_ONCE / needs.rowBytes(context));
  let slots = Math.min(MAX_AUTO_SLOTS, quarter);
  while (slots > 1 && !fitsAtOnce(needs, slots, context)) slots--;
  return slots;
}

const fitsAtOnce = (needs: Needs, slots: number, context: number): boolean =>
  fixedOf(needs, slots) + allocatedRows(needs, slots) * needs.rowBytes(context) <=
  (needs.free ?? Number.POSITIVE_INFINITY);

/** Rows of a cache that is allocated at once. */
const allocatedRows = ({ movesRows = false }: Needs, slots: number): number => slots + (movesRows && slots > 1 ? 1 : 0);

/** The slots whose cache takes at most the memory of these rows, which can be a fraction; at least 1. */
const slotsIn = ({ movesRows = false }: Needs, rows: number): number =>
  Math.max(1, Math.floor(rows) - (movesRows ? 1 : 0));

type Suggestion = Pick<Reason<'does_not_fit'>, 'suggestion'>;

/** Less memory for the cache, or fewer slots. Nothing if neither is enough. */
function suggest(needs: Needs, plan: MemoryPlan, requested: Requested): Suggestion {
  if (needs.growth === 'none') return suggestAtOnce(needs, plan, requested);
  const { free = 0 } = needs;
  const least = leastCache(needs, requested.context);
  const left = Math.floor((free - fixedOf(needs, plan.slots)) / MIB) * MIB;
  if (left >= least) return { suggestion: { cacheMemory: left } };
  const slots = highest(1, plan.slots - 1, (count) => fixedOf(needs, count) + toMib(least) <= free);
  if (slots === undefined) return {};
  const cacheMemory = typeof requested.cacheMemory === 'number' && { cacheMemory: toMib(least) };
  return { suggestion: { slots, ...cacheMemory } };
}

/** Fewer slots of the same context, or one slot of a shorter context. */
function suggestAtOnce(needs: Needs, { slots, context }: MemoryPlan, { cacheMemory }: Requested): Suggestion {
  const fewer = highest(1, slots - 1, (count) => fitsAtOnce(needs, count, context));
  if (fewer !== undefined) return { suggestion: { slots: fewer, ...(cacheMemory !== undefined && { context }) } };
  const steps = highest(1, Math.floor(context / CONTEXT_STEP), (count) => fitsAtOnce(needs, 1, count * CONTEXT_STEP));
  return steps === undefined ? {} : { suggestion: { slots: 1, context: steps * CONTEXT_STEP } };
}

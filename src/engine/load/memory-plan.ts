/**
 * Plans the memory of a model before it is loaded: weights, KV cache, logits and the runtime's workspace,
 * compared with the free memory of the device. Chooses the number of slots for `auto`. Refuses a model that
 * does not fit, and suggests values that fit. Pure.
 */
import type { DeviceName } from '../../protocol/devices.ts';
import type { EngineOptions } from '../../protocol/loading.ts';
import type { MemoryPlan } from '../../protocol/memory-plan.ts';
import type { Reason } from '../../protocol/reasons.ts';
import { LoadError } from './load-error.ts';

export const MAX_AUTO_SLOTS = 16;
/** `auto` uses a quarter of the free memory for the KV cache, because other workers may share the machine. */
const AUTO_SHARE = 4;
/** A suggested context is a multiple of this. */
const CONTEXT_STEP = 16;

/** Number of slots for `auto` if the system does not report free memory. */
const SLOTS_IF_UNKNOWN = 4;

/** The inputs of a plan. All sizes in bytes. */
export interface Needs {
  readonly device: DeviceName;
  readonly weights: number;
  /** Size of one row of the KV cache, as a function of its number of tokens. */
  readonly rowBytes: (tokens: number) => number;
  /** Rows in addition to those of the slots. */
  readonly spareRows: number;
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

export type Requested = Pick<EngineOptions, 'slots' | 'context'>;

/**
 * Plans the memory for the requested context, with the requested slots or the slots that `auto` chooses.
 * @throws LoadError `does_not_fit` if the plan exceeds the free memory.
 */
export function planMemory(needs: Needs, { slots: requested, context }: Requested): MemoryPlan {
  const slots = requested === 'auto' ? autoSlots(needs, context) : requested;
  const plan = sumOf(needs, slots, context);
  if (needs.free !== undefined && plan.total > needs.free) throw new LoadError(refusal(needs, plan));
  return plan;
}

function sumOf(
  { weights, rowBytes, spareRows, logits, work, free, others }: Needs,
  slots: number,
  context: number,
): MemoryPlan {
  const parts = { weights, cache: (slots + spareRows) * rowBytes(context), logits: logits(slots), work };
  const total = parts.weights + parts.cache + parts.logits + parts.work;
  const reserved = others && { reserved: others.bytes, otherWorkers: others.workers };
  return { slots, context, ...parts, total, ...(free !== undefined && { free }), ...reserved };
}

const fits = (needs: Needs, slots: number, context: number): boolean =>
  sumOf(needs, slots, context).total <= (needs.free ?? Number.POSITIVE_INFINITY);

/** At least one slot, even if it does not fit: the caller checks the plan. */
function autoSlots(needs: Needs, context: number): number {
  if (needs.free === undefined) return SLOTS_IF_UNKNOWN;
  const quarter = Math.floor(needs.free / AUTO_SHARE / needs.rowBytes(context));
  let slots = Math.max(1, Math.min(MAX_AUTO_SLOTS, quarter));
  while (slots > 1 && !fits(needs, slots, context)) slots--;
  return slots;
}

function refusal(needs: Needs, plan: MemoryPlan): Reason {
  const suggestion = suggest(needs, plan);
  return { code: 'does_not_fit', device: needs.device, plan, ...(suggestion && { suggestion }) };
}

/** Fewer slots of the same context, or one slot of a shorter context. */
function suggest(needs: Needs, { slots, context }: MemoryPlan): Reason<'does_not_fit'>['suggestion'] {
  const fewer = highest(1, slots - 1, (count) => fits(needs, count, context));
  if (fewer !== undefined) return { slots: fewer };
  const steps = highest(1, Math.floor(context / CONTEXT_STEP), (count) => fits(needs, 1, count * CONTEXT_STEP));
  return steps === undefined ? undefined : { slots: 1, context: steps * CONTEXT_STEP };
}

/**
 * The highest integer of a range for which `holds` is true, by binary search: `holds` is true up to some
 * integer and false above it. Undefined if it is true for none.
 */
function highest(min: number, max: number, holds: (value: number) => boolean): number | undefined {
  if (max < min || !holds(min)) return undefined;
  let [low, high] = [min, max];
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (holds(middle)) low = middle;
    else high = middle - 1;
  }
  return low;
}

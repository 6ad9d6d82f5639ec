/**
 * What a model will need, told before it is loaded: weights, cache, logits, work space, against what is free where it will lie. Decides how
 * many slots `auto` takes; refuses what cannot fit, and says what would. Pure.
 */
import type { EngineOptions, MemoryPlan } from '../../protocol/loading.ts';

const MOST_AUTO_SLOTS = 16;
/** `auto` takes a quarter of what is free for the cache: other workers share the machine. */
const AUTO_SHARE = 4;
/** A context that is suggested is a multiple of this. */
const CONTEXT_STEP = 16;

/** Slots that `auto` takes where nobody knows what is free. */
const BLIND_SLOTS = 4;

/** What the plan is made from. All sizes in bytes. */
export interface Needs {
  /** Where the model is to run. */
  readonly device: string;
  readonly weights: number;
  /** Of one row of the cache, by its tokens. */
  readonly rowBytes: (tokens: number) => number;
  /** Rows that are needed beside those of the slots. */
  readonly spareRows: number;
  /** By the number of slots. */
  readonly logits: (slots: number) => number;
  /** What the runtime takes beside them: its own state on the device, and room for the values between two operators. */
  readonly work: number;
  /** Free memory; undefined where the system does not tell, and then everything fits. */
  readonly free: number | undefined;
}

type Asked = Pick<EngineOptions, 'slots' | 'context'>;

/** The model does not fit. The message spells the sum out and says what would fit. */
export class MemoryError extends Error {
  override readonly name = 'MemoryError';
}

/**
 * @throws MemoryError
 */
export function planMemory(needs: Needs, { slots: asked, context }: Asked): MemoryPlan {
  const slots = asked === 'auto' ? autoSlots(needs, context) : asked;
  const plan = sumOf(needs, slots, context);
  if (needs.free !== undefined && plan.total > needs.free) throw new MemoryError(refusal(needs, plan));
  return plan;
}

function sumOf(
  { weights, rowBytes, spareRows, logits, work, free }: Needs,
  slots: number,
  context: number,
): MemoryPlan {
  const parts = { weights, cache: (slots + spareRows) * rowBytes(context), logits: logits(slots), work };
  const total = parts.weights + parts.cache + parts.logits + parts.work;
  return { slots, context, ...parts, total, ...(free !== undefined && { free }) };
}

const fits = (needs: Needs, slots: number, context: number): boolean =>
  sumOf(needs, slots, context).total <= (needs.free ?? Number.POSITIVE_INFINITY);

/** At least one: whether that fits is seen afterwards. */
function autoSlots(needs: Needs, context: number): number {
  if (needs.free === undefined) return BLIND_SLOTS;
  const quarter = Math.floor(needs.free / AUTO_SHARE / needs.rowBytes(context));
  let slots = Math.max(1, Math.min(MOST_AUTO_SLOTS, quarter));
  while (slots > 1 && !fits(needs, slots, context)) slots--;
  return slots;
}

const size = (bytes: number): string =>
  bytes < 1e9 ? `${(bytes / 1e6).toFixed(1)} MB` : `${(bytes / 1e9).toFixed(2)} GB`;

function refusal(needs: Needs, { slots, context, weights, cache, logits, work, total, free = 0 }: MemoryPlan): string {
  const parts = `weights ${size(weights)}, cache ${size(cache)} (${slots} x ${context} tokens), logits ${size(logits)}, work ${size(work)}`;
  const sum = `The model does not fit ${needs.device}: it needs ${size(total)}: ${parts}; ${size(free)} are free`;
  return `${sum}. ${suggestion(needs, slots, context)}`;
}

/** Fewer slots of the same context, or one slot of a shorter one. */
function suggestion(needs: Needs, slots: number, context: number): string {
  const fewer = highest(1, slots - 1, (count) => fits(needs, count, context));
  if (fewer !== undefined) return `--slots ${fewer} would fit`;
  const steps = highest(1, Math.floor(context / CONTEXT_STEP), (count) => fits(needs, 1, count * CONTEXT_STEP));
  if (steps !== undefined) return `--slots 1 --context ${steps * CONTEXT_STEP} would fit`;
  return 'No --slots and no --context would fit: take smaller weights with --dtype, or another device';
}

/** The highest whole number that `holds`, of a range in which it holds up to some point; undefined where it holds for none. */
function highest(least: number, most: number, holds: (value: number) => boolean): number | undefined {
  if (most < least || !holds(least)) return undefined;
  let [low, high] = [least, most];
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (holds(middle)) low = middle;
    else high = middle - 1;
  }
  return low;
}

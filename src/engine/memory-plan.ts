/**
 * What a model will need, told before it is loaded: weights, cache, logits, work space, against what is free where it will lie. Decides how
 * many slots `auto` takes; refuses what cannot fit, and says what would. Pure.
 */
import type { EngineOptions, MemoryPlan } from '../bridge/opening.ts';

const MOST_AUTO_SLOTS = 16;
/** `auto` takes a quarter of what is free for the cache: other workers share the machine. */
const AUTO_SHARE = 4;
/** A context that is suggested is a multiple of this. */
const CONTEXT_STEP = 16;

/** What the plan is made from. All sizes in bytes. */
export interface Needs {
  readonly weights: number;
  /** Of one row of the cache, by its tokens. */
  readonly rowBytes: (tokens: number) => number;
  readonly logits: number;
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
  const { weights, logits, work, free } = needs;
  const row = needs.rowBytes(context);
  const left = free === undefined ? undefined : free - weights - logits - work;
  const slots = asked === 'auto' ? autoSlots(row, free, left) : asked;
  const cache = slots * row;
  if (left !== undefined && cache > left) throw new MemoryError(refusal(needs, slots, context, left));
  const total = weights + cache + logits + work;
  return { slots, context, weights, cache, logits, work, total, ...(free !== undefined && { free }) };
}

/** At least one: whether that fits is seen afterwards. */
function autoSlots(row: number, free: number | undefined, left: number | undefined): number {
  if (free === undefined || left === undefined) return 1;
  return Math.min(MOST_AUTO_SLOTS, Math.max(1, Math.floor(Math.min(free / AUTO_SHARE, left) / row)));
}

const size = (bytes: number): string =>
  bytes < 1e9 ? `${(bytes / 1e6).toFixed(1)} MB` : `${(bytes / 1e9).toFixed(2)} GB`;

function refusal(needs: Needs, slots: number, context: number, left: number): string {
  const { weights, logits, work, free = 0, rowBytes } = needs;
  const cache = slots * rowBytes(context);
  const parts = `weights ${size(weights)}, cache ${size(cache)} (${slots} x ${context} tokens), logits ${size(logits)}, work ${size(work)}`;
  const sum = `needs ${size(weights + cache + logits + work)}: ${parts}; ${size(Math.max(0, free))} are free`;
  return `${sum}. ${suggestion(needs, slots, context, left)}`;
}

/** Fewer slots of the same context, or one slot of a shorter one. */
function suggestion({ rowBytes }: Needs, slots: number, context: number, left: number): string {
  const fewer = Math.floor(left / rowBytes(context));
  if (fewer >= 1 && fewer < slots) return `--slots ${fewer} would fit`;
  const shorter = Math.floor(((left / rowBytes(context)) * context) / CONTEXT_STEP) * CONTEXT_STEP;
  if (shorter >= CONTEXT_STEP) return `--slots 1 --context ${shorter} would fit`;
  return 'No --slots and no --context would fit: take smaller weights with --dtype, or another device';
}

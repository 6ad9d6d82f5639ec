/**
 * The slots of the cache: which are free, and which ids each holds. Bookkeeping only: the memory belongs to the session.
 * A slot is a row of the cache. What a slot holds is kept after its sequence has ended, so that a prompt that begins alike starts there.
 */

/** A free slot taken for a prompt. */
export interface Taken {
  readonly slot: number;
  /** Ids of the prompt that the slot already holds, from the first on: 0 … prompt − 1. */
  readonly kept: number;
}

/** How full the cache is. */
export interface CacheUsage {
  readonly slots: number;
  readonly busy: number;
  /** Tokens of room, of all slots. */
  readonly capacity: number;
  /** Tokens held, those of free slots too. */
  readonly held: number;
}

interface Slot {
  /** The ids whose keys and values are in the row: the first `length` are valid. */
  readonly ids: Int32Array;
  length: number;
  busy: boolean;
  /** Order of the last release: among equals the slot that has been free longest is taken. */
  released: number;
}

export class KvCache {
  /** Tokens per slot. */
  readonly capacity: number;
  readonly #slots: readonly Slot[];
  #releases = 0;

  constructor(slots: number, capacity: number) {
    this.capacity = capacity;
    this.#slots = Array.from({ length: slots }, () => ({
      ids: new Int32Array(capacity),
      length: 0,
      busy: false,
      released: 0,
    }));
  }

  get free(): number {
    return this.#slots.reduce((count, slot) => count + (slot.busy ? 0 : 1), 0);
  }

  /** How many ids the slot holds: where the next one goes. */
  length(slot: number): number {
    return this.#at(slot).length;
  }

  /**
   * Takes the free slot with the longest common prefix, keeping that prefix, or nothing when no slot is free. At least the prompt's last
   * id is left to compute: its logits are what the first token is drawn from.
   */
  take(prompt: ArrayLike<number>): Taken | undefined {
    let best: (Taken & { readonly released: number }) | undefined;
    for (const [index, slot] of this.#slots.entries()) {
      if (slot.busy) continue;
      const kept = commonPrefix(slot, prompt);
      if (!best || kept > best.kept || (kept === best.kept && slot.released < best.released))
        best = { slot: index, kept, released: slot.released };
    }
    if (!best) return undefined;
    const slot = this.#at(best.slot);
    slot.busy = true;
    slot.length = best.kept;
    return { slot: best.slot, kept: best.kept };
  }

  /** Records ids whose keys and values a run has appended to the row. */
  commit(slot: number, ids: ArrayLike<number>): void {
    const row = this.#at(slot);
    if (row.length + ids.length > this.capacity) throw new RangeError(`Slot ${slot} is full`);
    row.ids.set(ids, row.length);
    row.length += ids.length;
  }

  /** Frees the slot; what it holds is kept for the next prompt. */
  release(slot: number): void {
    const row = this.#at(slot);
    row.busy = false;
    row.released = ++this.#releases;
  }

  /** Forgets all but the first `length` ids: what lies past them may be overwritten. */
  truncate(slot: number, length: number): void {
    const row = this.#at(slot);
    row.length = Math.min(row.length, length);
  }

  usage(): CacheUsage {
    const slots = this.#slots.length;
    const held = this.#slots.reduce((sum, slot) => sum + slot.length, 0);
    return { slots, busy: slots - this.free, capacity: slots * this.capacity, held };
  }

  #at(slot: number): Slot {
    const row = this.#slots[slot];
    if (!row) throw new RangeError(`There is no slot ${slot}`);
    return row;
  }
}

/** Ids that slot and prompt have in common from the first on, at most all of the prompt but its last. */
function commonPrefix(slot: Slot, prompt: ArrayLike<number>): number {
  const most = Math.min(slot.length, prompt.length - 1);
  let kept = 0;
  while (kept < most && slot.ids[kept] === prompt[kept]) kept++;
  return kept;
}

const MOST_AUTO_SLOTS = 8;
const MEMORY_SHARE = 4;

/** Slots for `auto`: those whose cache fits a quarter of the free memory, 1 to 8. Both in bytes. */
export function slotsThatFit(slotBytes: number, freeBytes: number): number {
  return Math.min(MOST_AUTO_SLOTS, Math.max(1, Math.floor(freeBytes / MEMORY_SHARE / slotBytes)));
}

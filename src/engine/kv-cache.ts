/**
 * The slots of the cache: which are free, and which ids each holds. Bookkeeping only: the memory belongs to the session.
 * A slot is a row of the cache. What a slot holds is kept after its sequence has ended, so that a prompt that begins alike starts there.
 */

/** Ids of a prompt that are computed even if all of them are in the slot. */
const LEFT_TO_COMPUTE = 2;

/** A free slot taken for a prompt. */
export interface Taken {
  readonly slot: number;
  /** Ids of the prompt that the slot already holds, from the first on: 0 … prompt − 2. */
  readonly cachedTokens: number;
  /** The place in the prompt where the slot held another id; absent when the one begins with the other. */
  readonly divergedAt?: number;
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
  /** Whether a slot can forget its last ids and keep those before them; elsewhere it keeps all or nothing. */
  readonly #truncates: boolean;
  readonly #slots: readonly Slot[];
  #releases = 0;

  constructor(slots: number, capacity: number, truncates = true) {
    this.capacity = capacity;
    this.#truncates = truncates;
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
   * two ids are left to compute: the first token is drawn from the logits of the last, and a run over one position rounds in another way
   * than one over several, so that a prompt computed anew would give other logits.
   */
  take(prompt: ArrayLike<number>): Taken | undefined {
    let best:
      | { readonly index: number; readonly common: number; readonly kept: number; readonly slot: Slot }
      | undefined;
    for (const [index, slot] of this.#slots.entries()) {
      if (slot.busy) continue;
      const common = commonPrefix(slot, prompt);
      const kept = this.#keep(slot, Math.max(0, Math.min(common, prompt.length - LEFT_TO_COMPUTE)));
      if (!best || kept > best.kept || (kept === best.kept && slot.released < best.slot.released))
        best = { index, common, kept, slot };
    }
    if (!best) return undefined;
    const { index, common, kept: cachedTokens, slot } = best;
    const diverged = common < Math.min(slot.length, prompt.length);
    slot.busy = true;
    slot.length = cachedTokens;
    return { slot: index, cachedTokens, ...(diverged && { divergedAt: common }) };
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

  /** Forgets all but the first `length` ids, or all: what lies past them may be overwritten. */
  truncate(slot: number, length: number): void {
    const row = this.#at(slot);
    row.length = this.#keep(row, Math.min(row.length, length));
  }

  usage(): CacheUsage {
    const slots = this.#slots.length;
    const held = this.#slots.reduce((sum, slot) => sum + slot.length, 0);
    return { slots, busy: slots - this.free, capacity: slots * this.capacity, held };
  }

  /** How many of the `wanted` first ids a slot can keep. */
  #keep(slot: Slot, wanted: number): number {
    return this.#truncates || wanted === slot.length ? wanted : 0;
  }

  #at(slot: number): Slot {
    const row = this.#slots[slot];
    if (!row) throw new RangeError(`There is no slot ${slot}`);
    return row;
  }
}

/** Ids that slot and prompt have in common from the first on. */
function commonPrefix(slot: Slot, prompt: ArrayLike<number>): number {
  const most = Math.min(slot.length, prompt.length);
  let common = 0;
  while (common < most && slot.ids[common] === prompt[common]) common++;
  return common;
}

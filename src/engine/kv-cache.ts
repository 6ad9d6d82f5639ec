/**
 * The slots of the KV cache: records which slots are free, and the token ids in each. The session owns the
 * memory. A slot is a row of the cache. It keeps its ids after its sequence has finished, so that a later
 * prompt with the same prefix reuses them. Pure bookkeeping.
 */

/** Number of prompt ids that are computed even if the slot contains the whole prompt. */
const MIN_COMPUTED = 2;

/** A free slot taken for a prompt. */
export interface TakenSlot {
  readonly slot: number;
  /** Length of the prompt's prefix that the slot already contains: 0 … prompt − 2. */
  readonly cachedTokens: number;
  /** Index of the first prompt id that differs from the slot's id; absent if one is a prefix of the other. */
  readonly divergedAt?: number;
}

interface Slot {
  /** The ids whose keys and values are in the row; the first `length` are valid. */
  readonly ids: Int32Array;
  length: number;
  busy: boolean;
  /** Sequence number of the last release. Among equal slots, the one released first is taken. */
  released: number;
}

export class KvCache {
  /** Tokens per slot. */
  readonly capacity: number;
  /**
   * True if a slot can drop its last ids and keep the ids before them. Otherwise a slot keeps all ids or
   * none.
   */
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

  /** Number of ids in the slot, which is the index of the next id. */
  length(slot: number): number {
    return this.#at(slot).length;
  }

  /**
   * Takes the free slot with the longest common prefix and keeps that prefix; returns undefined if no slot is
   * free. At least the last two ids of the prompt are computed. The first token is drawn from the logits
   * after the last id, and a run over one position rounds differently from a run over several: with two ids,
   * a reused prefix gives the same logits as a prompt that is computed from its start.
   */
  take(prompt: ArrayLike<number>): TakenSlot | undefined {
    let best:
      | { readonly index: number; readonly common: number; readonly cachedTokens: number; readonly slot: Slot }
      | undefined;
    for (const [index, slot] of this.#slots.entries()) {
      if (slot.busy) continue;
      const common = commonPrefix(slot, prompt);
      const cachedTokens = this.#keep(slot, Math.max(0, Math.min(common, prompt.length - MIN_COMPUTED)));
      const more = cachedTokens - (best?.cachedTokens ?? -1);
      if (!best || more > 0 || (more === 0 && slot.released < best.slot.released))
        best = { index, common, cachedTokens, slot };
    }
    if (!best) return undefined;
    const { index, common, cachedTokens, slot } = best;
    const diverged = common < Math.min(slot.length, prompt.length);
    slot.busy = true;
    slot.length = cachedTokens;
    return { slot: index, cachedTokens, ...(diverged && { divergedAt: common }) };
  }

  /**
   * Records ids whose keys and values a run has appended to the slot's row.
   * @throws RangeError if the ids exceed the slot's capacity.
   */
  commit(slot: number, ids: ArrayLike<number>): void {
    const row = this.#at(slot);
    if (row.length + ids.length > this.capacity) throw new RangeError(`Slot ${slot} is full`);
    row.ids.set(ids, row.length);
    row.length += ids.length;
  }

  /** Frees the slot. Its ids stay for a later prompt. */
  release(slot: number): void {
    const row = this.#at(slot);
    row.busy = false;
    row.released = ++this.#releases;
  }

  /** Drops all ids after the first `length`, or all ids if the cache cannot drop a part. */
  truncate(slot: number, length: number): void {
    const row = this.#at(slot);
    row.length = this.#keep(row, Math.min(row.length, length));
  }

  /** Number of ids that a slot keeps when all ids after the first `length` are dropped. */
  #keep(slot: Slot, length: number): number {
    return this.#truncates || length === slot.length ? length : 0;
  }

  #at(slot: number): Slot {
    const row = this.#slots[slot];
    if (!row) throw new RangeError(`There is no slot ${slot}`);
    return row;
  }
}

/** Length of the common prefix of slot and prompt. */
function commonPrefix(slot: Slot, prompt: ArrayLike<number>): number {
  const length = Math.min(slot.length, prompt.length);
  let common = 0;
  while (common < length && slot.ids[common] === prompt[common]) common++;
  return common;
}
